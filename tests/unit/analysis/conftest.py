import pytest
from synthetic_run import write_run


@pytest.fixture(scope="module")
def run_path(tmp_path_factory):
    """A finished run of 40 rounds: M=8, K=4, U=10, evaluated in every second round."""
    path = tmp_path_factory.mktemp("runs") / "run.h5"
    write_run(path, n_rounds=40)
    return path


@pytest.fixture
def write(tmp_path):
    """Write a run of other kinds and return its path."""

    def make(name="other.h5", **options):
        write_run(tmp_path / name, **options)
        return tmp_path / name

    return make


@pytest.fixture(scope="module")
def cut_first_round(tmp_path_factory):
    """A run that was stopped in its first round, of which it has local updates."""
    path = tmp_path_factory.mktemp("runs") / "cut.h5"
    write_run(path, n_rounds=0, state="stopped", cut=True)
    return path
