import dataclasses

import pytest

from stsyn_mpi.config import TrainConfig
from stsyn_mpi.simulate_config import SimulateConfig
from stsyn_mpi.study.fingerprint import code_version, fingerprint

CONFIG = SimulateConfig(workers=4, rounds=10)
OF_NO_MATTER = {
    "out": "elsewhere.h5",
    "force": True,
    "log_level": "debug",
    "log_dir": "logs",
}


def key(config=CONFIG, data="checksum", code="1 abc"):
    return fingerprint(config, data, code)


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(SimulateConfig)])
def test_every_option_counts_but_those_of_the_files(name):
    value = getattr(CONFIG, name)
    other = OF_NO_MATTER.get(name)
    if other is None:
        other = (not value) if isinstance(value, bool) else _another(value)
    changed = dataclasses.replace(CONFIG, **{name: other})
    assert changed != CONFIG
    assert (key(changed) == key()) is (name in OF_NO_MATTER)


def _another(value):
    if isinstance(value, str):
        return value + "2"
    return ("fault",) if isinstance(value, tuple) else (value or 0) + 1


def test_data_code_and_machine_count():
    names = [option.name for option in dataclasses.fields(TrainConfig)]
    real = TrainConfig(**{name: getattr(CONFIG, name) for name in names})
    assert len({key(), key(data="other"), key(code="1 abd"), key(real)}) == 4
    assert key() == key(dataclasses.replace(CONFIG))


def test_a_trace_that_is_replaced_counts(tmp_path):
    trace = tmp_path / "run.h5"
    config = dataclasses.replace(CONFIG, delay=f"trace:file={trace}")
    keys = [key(config)]
    for content in (b"one", b"two"):
        trace.write_bytes(content)
        keys.append(key(config))
    assert len(set(keys)) == 3


def test_the_code_version_is_that_of_the_source(monkeypatch, tmp_path):
    from stsyn_mpi.study import fingerprint as module

    source = tmp_path / "package" / "study"
    source.mkdir(parents=True)
    monkeypatch.setattr(module, "__file__", str(source / "fingerprint.py"))
    versions = []
    for text in ("a = 1", "a = 2"):
        (source.parent / "model.py").write_text(text)
        versions.append(code_version.__wrapped__())
    (source.parent / "model.py").rename(source.parent / "models.py")
    versions.append(code_version.__wrapped__())
    assert len(set(versions)) == 3
    assert versions[0] != code_version()
