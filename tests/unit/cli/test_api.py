"""Training from Python says no in one line, like the command."""

import pytest

import stsyn_mpi as st
from stsyn_mpi.errors import InputError
from stsyn_mpi.mpi.launch import launched_by_mpi


def test_without_a_launcher(capsys, monkeypatch):
    monkeypatch.setattr("stsyn_mpi.api.launched_by_mpi", lambda environ: False)
    assert not launched_by_mpi({})
    assert st.train(rounds=1) == 2
    assert "mpirun" in capsys.readouterr().err


def test_unknown_option_names_the_nearest(capsys, monkeypatch):
    monkeypatch.setattr("stsyn_mpi.api.launched_by_mpi", lambda environ: True)
    assert st.train(round=1) == 2
    assert capsys.readouterr().err.count("rounds") >= 1


def test_simulation_from_python_gives_a_run_file(tmp_path):
    path = st.simulate(
        "softmax",
        workers=3,
        rounds=4,
        delay="exponential:mean=1",
        out=str(tmp_path / "run.h5"),
    )
    with st.open_run(path) as run:
        assert (run.clock, run.n_rounds, run.state) == ("virtual", 4, "done")


def test_simulation_from_python_refuses_and_writes_nothing(tmp_path):
    with pytest.raises(InputError, match="K <= M = 3"):
        st.simulate(workers=3, wait_for=4, out=str(tmp_path / "run.h5"))
    assert not list(tmp_path.iterdir())
