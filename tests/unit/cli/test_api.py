"""Training from Python says no in one line, like the command."""

import stsyn_mpi as st
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
