"""Texts made to exhaust or to confuse whoever reads them."""

import json
import time
import tracemalloc

import pytest

from stsyn_mpi.config import TrainConfig
from stsyn_mpi.errors import InputError
from stsyn_mpi.spec import parse_duration
from stsyn_mpi.study.config import StudyConfig

DIGITS = "9" * 5000


def refusal(function, *arguments):
    with pytest.raises(InputError) as caught:
        function(*arguments)
    line = str(caught.value)
    assert "\n" not in line
    return line


@pytest.mark.parametrize(
    "text", [f"{DIGITS}:00:00", f"{'9' * 400}:00:00", DIGITS, "9" * 500_000 + "!"]
)
def test_durations_beyond_all_numbers(text):
    start = time.process_time()
    assert "must be a duration" in refusal(parse_duration, text)
    # Patterns that go back and forth over the digits take minutes.
    assert time.process_time() - start < 10


def test_a_trace_whose_name_no_file_can_have():
    config = TrainConfig(delay="trace:file=a\0b")
    assert "cannot read 'a\\x00b'" in refusal(config.validate)


@pytest.mark.parametrize("key", ["seed", "lr", "workers", "time-limit", "model"])
@pytest.mark.parametrize("number", [DIGITS, "0x" + "f" * 5000, "0o" + "7" * 9000])
def test_numbers_that_python_does_not_write(tmp_path, key, number):
    path = tmp_path / "run.toml"
    path.write_text(f"{key} = {number}")
    line = refusal(lambda: TrainConfig.from_sources(path, {}).validate())
    assert len(line) < 500


@pytest.mark.parametrize("config", [TrainConfig, StudyConfig])
@pytest.mark.parametrize(
    "text",
    [
        "x = " + "[" * 100_000,
        "x = " + "[" * 100_000 + "]" * 100_000,
        "x = " + "{a = " * 100_000,
        "[" + "a." * 20_000 + "a]",
        "a." * 20_000 + "a = 1",
        "a . " * 20_000 + "a = 1",
        "x = {" + "'a'." * 20_000 + "a = 1}",
    ],
)
def test_deep_nesting(tmp_path, config, text):
    path = tmp_path / "run.toml"
    path.write_text(text)
    assert len(refusal(config.from_sources, path, {})) < 500


def test_points_in_values_are_no_dotted_keys(tmp_path):
    factors = "/".join(["1.5"] * 1000)
    delay = f"constant:mean=20ms,factors={factors}"
    path = tmp_path / "run.toml"
    path.write_text(f'delay = "{delay}"\nworkers = 1000')
    assert TrainConfig.from_sources(path, {}).validate().delay == delay


def test_a_file_without_end(tmp_path):
    tracemalloc.start()
    try:
        assert "more than 1048576 bytes" in refusal(
            TrainConfig.from_sources, "/dev/zero", {}
        )
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "value", ["[" * 500 + "]" * 500, '{"a":' * 500 + "1" + "}" * 500, f"1{'0' * 4000}"]
)
def test_deep_values_in_stored_configurations(value):
    text = json.dumps({"model": "@"}).replace('"@"', value)
    assert "model in stored configuration must be a text" in refusal(
        TrainConfig.from_json, text
    )
