import dataclasses
import json

import pytest

from stsyn_mpi.config import TrainConfig, field_types
from stsyn_mpi.errors import InputError
from stsyn_mpi.simulate_config import SimulateConfig

DIFFERENT = {
    "bool": lambda value: not value,
    "int": lambda value: (value or 1) + 1,
    "float": lambda value: (value or 0.5) / 4,
    "seconds": lambda value: (value or 0.5) / 4,
    "str": lambda value: f"{value}x",
    "texts": lambda value: ("raise:root,round=3",),
}


def toml(tmp_path, text):
    path = tmp_path / "run.toml"
    path.write_text(text)
    return path


def test_file_then_flags_then_defaults(tmp_path):
    path = toml(tmp_path, 'wait-for = 3\nlr = 1\nmodel = "softmax"\nfault = []\n')
    config = TrainConfig.from_sources(path, {"wait_for": 2, "seed": None})
    assert (config.wait_for, config.lr, config.model, config.seed) == (
        2,
        1.0,
        "softmax",
        0,
    )
    assert isinstance(config.lr, float)


def test_durations_are_seconds_in_any_form(tmp_path):
    path = toml(tmp_path, 'time-limit = "10m"\nalive_interval = 0.5\n')
    config = TrainConfig.from_sources(path, {})
    assert (config.time_limit, config.alive_interval) == (600.0, 0.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wait-fro = 3", "unknown key 'wait-fro'.*did you mean 'wait-for'"),
        ('rounds = "3"', "rounds in .*must be a whole number, got '3'"),
        ("rounds = 3.0", "rounds in .*must be a whole number, got 3.0"),
        ("rounds = true", "rounds in .*must be a whole number, got True"),
        ("force = 1", "force in .*must be true or false, got 1"),
        ("lr = 'x'", "lr in .*must be a number, got 'x'"),
        ("time-limit = '3 weeks'", "time-limit in .*duration.*got '3 weeks'"),
        ("fault = [1]", "fault in .*must be a list of texts"),
        ("[train]\nlr = 1", "unknown key 'train'"),
        ("wait-for = 1\nwait_for = 2", "with a dash and an underscore"),
        ("lr = ", "is not TOML"),
    ],
)
def test_bad_files_are_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as caught:
        TrainConfig.from_sources(toml(tmp_path, text), {})
    assert "run.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"time_limit": "abc"}, "^--time-limit must be a duration such as .*got 'abc'"),
        ({"batch_size": "1"}, "^--batch-size must be a whole number, got '1'"),
        ({"wait_fro": 3}, "^unknown option 'wait_fro' .did you mean 'wait_for'"),
    ],
)
def test_bad_flags_and_keywords_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        TrainConfig.from_sources(None, values)


@pytest.mark.parametrize(
    ("kind", "command"), [(TrainConfig, "train"), (SimulateConfig, "simulate")]
)
def test_the_command_that_lists_the_keys_is_named(tmp_path, kind, command):
    with pytest.raises(InputError, match=f"see stsyn-mpi {command} --help"):
        kind.from_sources(toml(tmp_path, "zzzz = 1"), {})


def test_missing_and_binary_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        TrainConfig.from_sources(tmp_path / "none.toml", {})
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is not TOML"):
        TrainConfig.from_sources(tmp_path / "bytes.toml", {})


def test_json_holds_every_field_and_comes_back():
    changed = {
        field.name: DIFFERENT[field_types(TrainConfig)[field.name].rstrip("?")](
            field.default
        )
        for field in dataclasses.fields(TrainConfig)
    }
    config = TrainConfig(**changed)
    stored = json.loads(config.to_json())
    assert list(stored) == sorted(field_types(TrainConfig))
    assert TrainConfig.from_json(config.to_json()) == config
    assert TrainConfig.from_json("{}") == TrainConfig()


@pytest.mark.parametrize("text", ["", "[]", '{"lr": "x"}', '{"x": 1}', "[" * 100_000])
def test_bad_json_is_refused(text):
    with pytest.raises(InputError, match="stored configuration"):
        TrainConfig.from_json(text)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"target_updates": 0}, "--target-updates must be a whole number >= 1.*got 0"),
        ({"wait_for": 9, "workers": 8}, "--wait-for must be .*K <= M = 8, got 9"),
        ({"wait_for": 0}, "--wait-for must be"),
        ({"workers": 0}, "--workers must be"),
        ({"rounds": 0}, "--rounds must be"),
        ({"batch_size": 0}, "--batch-size must be"),
        ({"seed": -1}, "--seed must be"),
        ({"seed": 2**63}, "--seed must be"),
        ({"eval_every": -1}, "--eval-every must be"),
        ({"upload_buffers": 9, "workers": 8}, "--upload-buffers must be at most 8"),
        ({"lr": 0.0}, "--lr must be positive"),
        ({"lr": float("nan")}, "--lr must be positive and finite, got nan"),
        ({"time_limit": 0.0}, "--time-limit must be positive"),
        ({"alive_interval": float("inf")}, "--alive-interval must be positive"),
        (
            {"alive_interval": 1e-6},
            "--alive-interval must be at least 0.01 s, got 1e-06",
        ),
        ({"weight_decay": -1.0}, "--weight-decay must be >= 0"),
        ({"momentum": 1.0}, "--momentum must be in 0 <= momentum < 1"),
        ({"nesterov": True}, "--nesterov needs a --momentum"),
        ({"target_accuracy": 90.0}, "--target-accuracy must be a share"),
        ({"target_accuracy": 0.5, "eval_every": 0}, "needs --eval-every"),
        ({"strategy": "stsin"}, "unknown --strategy 'stsin'.*did you mean 'stsyn'"),
        ({"model": "mpl"}, "unknown --model 'mpl'"),
        ({"partition": "dirichlt:alpha=1"}, "did you mean 'dirichlet'"),
        ({"partition": "shards:per_worker=0"}, "per_worker of 'shards' must be"),
        ({"log_level": "loud"}, "unknown --log-level"),
        ({"wait": "spin"}, "unknown --wait"),
        ({"device": "tpu"}, "unknown --device"),
        ({"gpu_direct": "yes"}, "unknown --gpu-direct 'yes'"),
        ({"delay": "exponential"}, "^--delay: .*, as in exponential:mean=20ms$"),
        ({"delay": "gamma:mean"}, "^--delay: mean of 'gamma' needs a value, as in"),
        ({"strategy": "stsyn:K"}, "^--strategy: K .*needs a value, as in stsyn:K=1$"),
        ({"strategy": "STSYN"}, "^unknown --strategy 'STSYN'.*did you mean 'stsyn'"),
        ({"strategy": "stsyn:k=2"}, "^--strategy: .*did you mean 'K'"),
        ({"strategy": "flanp:rounds=1.5"}, "a whole number >= 1, got '1.5'"),
        ({"weights": "staleness:power=20"}, "^--weights: power .*at most 10, got 20"),
        ({"partition": "iid:x=1"}, "^--partition: 'iid' has no parameter"),
        ({"lr_schedule": "step:factor=1"}, "^--lr-schedule: .*as in step:every=1$"),
        ({"delay": "constant:mean=1,factors=1/2", "workers": 3}, "3 workers, got 2"),
        ({"fault": ("kill:worker=3,round=0",), "workers": 3}, "worker must be 0 to 2"),
        ({"lr_schedule": "cosine", "time_limit": 5.0}, "needs --rounds"),
        ({"lr_schedule": "step:every=0,factor=1"}, "every of 'step' must be a whole"),
    ],
)
def test_what_cannot_be_is_refused_by_option_and_value(values, message):
    with pytest.raises(InputError, match=message):
        TrainConfig(**values).validate()


def test_defaults_are_valid():
    assert TrainConfig().validate() == TrainConfig()


@pytest.mark.parametrize(
    ("values", "n_workers", "wait_for", "rounds"),
    [
        ({}, 8, 4, 100),
        ({}, 7, 4, 100),
        ({}, 1, 1, 100),
        ({"wait_for": 8, "rounds": 3}, 8, 8, 3),
        ({"strategy": "local-sgd", "wait_for": 2}, 8, 8, 100),
        ({"time_limit": 5.0}, 2, 1, None),
        ({"target_accuracy": 0.5}, 2, 1, 10_000),
        ({"target_accuracy": 0.5, "time_limit": 5.0}, 2, 1, None),
    ],
)
def test_what_was_open_is_filled_in(values, n_workers, wait_for, rounds):
    resolved = TrainConfig(**values).resolved(n_workers)
    assert resolved.workers == n_workers
    assert (resolved.wait_for, resolved.rounds) == (wait_for, rounds)
    assert resolved.resolved(n_workers) == resolved


def test_real_number_of_workers_is_checked():
    with pytest.raises(InputError, match="one rank is too few"):
        TrainConfig().resolved(0)
    with pytest.raises(InputError, match=r"--workers 3 contradicts.*4 workers"):
        TrainConfig(workers=3).resolved(4)
    with pytest.raises(InputError, match="K <= M = 2, got 3"):
        TrainConfig(wait_for=3).resolved(2)
