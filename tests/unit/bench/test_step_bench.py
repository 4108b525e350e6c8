"""The measure of a training step, on turns too few to mean anything."""

import json

import numpy as np
import pytest

from stsyn_mpi.bench import step
from stsyn_mpi.cli.main import run as run_command
from stsyn_mpi.errors import RunFailure

OWN = {
    "step_own_ms_median",
    "step_products_ms_median",
    "products_share",
    "gflop_per_step",
    "gflop_per_s",
}
COMPARED = {
    "step_torch_nchw_ms_median",
    "step_torch_nhwc_ms_median",
    "ratio_to_torch_median",
    "ratio_to_torch_p10",
    "ratio_to_torch_p90",
}


def test_without_torch_our_own_figures_and_a_line_that_names_it(monkeypatch, capsys):
    monkeypatch.setattr(step, "has_torch", lambda: False)
    assert run_command(["bench", "--step", "--rounds", "2", "--json"]) == 0
    printed = capsys.readouterr()
    figures = json.loads(printed.out)
    assert set(figures) == OWN
    assert 0.2 < figures["products_share"] < 1
    assert figures["step_own_ms_median"] > figures["step_products_ms_median"] > 1
    assert "torch is missing: pip install 'stsyn-mpi[torch]'" in printed.err


def test_with_torch_both_of_its_memory_formats(capsys):
    pytest.importorskip("torch", reason="pip install 'stsyn-mpi[torch]'")
    assert run_command(["bench", "--step", "--rounds", "2", "--json"]) == 0
    printed = capsys.readouterr()
    figures = json.loads(printed.out)
    assert set(figures) == OWN | COMPARED
    assert all(value > 0 for value in figures.values())
    assert "torch is missing" not in printed.err


def test_ratios_are_of_pairs_and_to_the_better_of_both_formats():
    figures = step.step_figures(
        {
            "own": np.array([10.0, 30.0, 12.0]),
            "products": np.array([8.0, 15.0, 9.0]),
            "torch_nchw": np.array([99.0, 99.0, 99.0]),
            "torch_nhwc": np.array([20.0, 40.0, 12.0]),
        }
    )
    assert figures["step_own_ms_median"] == 12.0
    assert figures["products_share"] == 0.75
    assert figures["ratio_to_torch_median"] == 0.75
    assert figures["ratio_to_torch_p10"] == pytest.approx(0.55)
    assert figures["ratio_to_torch_p90"] == pytest.approx(0.95)
    assert figures["gflop_per_step"] == pytest.approx(8.0633088)
    assert figures["gflop_per_s"] == pytest.approx(8063.3088 / 12)


def test_a_side_that_fails_ends_the_measure(monkeypatch, capfd):
    monkeypatch.setattr(step, "has_torch", lambda: False)
    monkeypatch.setattr(step, "OWN_SIDES", ("own", "nobody"))
    with pytest.raises(RunFailure, match="the training step of 'nobody' failed"):
        step.measure_step(None, 1)
    assert "KeyError: 'nobody'" in capfd.readouterr().err


def test_a_side_that_fails_at_work_ends_it_too():
    with (
        step._started("own") as side,
        pytest.raises(RunFailure, match="step of 'own' failed"),
    ):
        side.run("many")


@pytest.mark.parametrize("loss", [2.31, float("nan")])
def test_a_side_that_computes_something_else_is_refused(loss):
    step._check_losses({"own": 2.3, "torch_nchw": 2.3001})
    with pytest.raises(RunFailure, match=f"'torch_nchw' is {loss}, ours is 2.3"):
        step._check_losses({"own": 2.3, "torch_nchw": loss})


def test_a_kernel_that_is_forced_on_blas_is_named(monkeypatch):
    monkeypatch.setattr(step, "has_torch", lambda: True)
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    assert "OPENBLAS_CORETYPE=Haswell is set" in "".join(step.remarks())
    monkeypatch.delenv("OPENBLAS_CORETYPE")
    assert step.remarks() == []


def test_one_measure_at_a_time(capsys):
    assert run_command(["bench", "--step", "--simulation"]) == 2
    assert "--simulation and --step" in capsys.readouterr().err
