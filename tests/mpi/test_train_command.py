"""``stsyn-mpi train -M`` from outside a launcher, to its end."""

import pytest

from stsyn_mpi.runfile.reader import open_run

pytestmark = [pytest.mark.mpi, pytest.mark.once]


def test_a_file_of_options_trains_into_a_new_run_file(start_alone, tmp_path):
    (tmp_path / "own.toml").write_text('model = "softmax"\nworkers = 7\nrounds = 9\n')
    job = start_alone("own.toml", "-M", 2, "--rounds", 2, "--log-dir", "logs")
    assert job.wait() == 0, job.errors
    (path,) = (tmp_path / "runs").glob("stsyn-*.h5")
    with open_run(path) as run:
        assert run.n_rounds == 2
        assert run.config["model"] == "softmax"
        assert run.config["workers"] == 2
    assert len(list((tmp_path / "logs").iterdir())) == 3


def test_a_second_start_does_not_overwrite_unless_forced(start_alone, tmp_path):
    options = ("-M", 1, "--rounds", 1, "--out", "run.h5")
    assert start_alone(*options).wait() == 0
    first = (tmp_path / "run.h5").read_bytes()
    assert start_alone(*options).wait() == 2
    assert (tmp_path / "run.h5").read_bytes() == first
    assert start_alone(*options, "--force").wait() == 0
    assert (tmp_path / "run.h5").read_bytes() != first
