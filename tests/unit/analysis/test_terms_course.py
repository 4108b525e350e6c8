"""What a report says of K and U that were adapted."""

import io
import json

import h5py
import numpy as np
import pytest

import stsyn_mpi
from stsyn_mpi.analysis.summary import summarise
from stsyn_mpi.analysis.terms_course import TermsStretches, terms_stretches
from stsyn_mpi.analysis.terms_plot import draw_terms
from stsyn_mpi.cli.main import run as run_command


@pytest.fixture(scope="module")
def adapted(tmp_path_factory):
    """A run whose messages are costly, from U = 1 on."""
    return stsyn_mpi.simulate(
        workers=6,
        adapt="ku",
        wait_for=3,
        target_updates=1,
        delay="exponential:mean=20ms",
        network="constant:cost=200ms",
        timing_only=True,
        rounds=40,
        out=str(tmp_path_factory.mktemp("adapted") / "run.h5"),
    )


def test_rows_follow_the_changes(adapted):
    with stsyn_mpi.open_run(adapted) as run:
        changes, k, u = run.changes(), run["wait_for"], run["target_updates"]
    assert changes
    assert changes[-1].target_updates >= 8
    for change in changes:
        assert (k[change.round + 1], u[change.round + 1]) == (
            change.wait_for,
            change.target_updates,
        )


def test_the_terminal_has_a_line_and_a_table(adapted, capsys):
    assert run_command(["report", str(adapted)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    with stsyn_mpi.open_run(adapted) as run:
        last = run.changes()[-1]
    assert f"K 3 -> {last.wait_for}, U 1 -> {last.target_updates} in" in said
    assert "communication is" in said


def test_json_has_the_changes(adapted, capsys):
    assert run_command(["report", str(adapted), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    with stsyn_mpi.open_run(adapted) as run:
        rounds = [change.round for change in run.changes()]
    assert [change["round"] for change in found["terms"]["changes"]] == rounds
    assert found["terms"]["n_changes"] == len(rounds)


def test_the_figure_has_a_step_for_each_stretch_of_rounds(adapted, tmp_path):
    with stsyn_mpi.open_run(adapted) as run:
        k, u, stretches = run["wait_for"], run["target_updates"], terms_stretches(run)
    lengths = np.diff(np.append(stretches.starts, 40))
    assert np.repeat(stretches.wait_for, lengths).tolist() == list(k)
    assert np.repeat(stretches.target_updates, lengths).tolist() == list(u)
    above, below = draw_terms(stretches).axes
    for axes, values in ((above, k), (below, u)):
        (steps,) = axes.patches
        drawn = steps.get_data()
        rounds = np.searchsorted(drawn.edges, np.arange(40)) - 1
        assert drawn.values[rounds].tolist() == list(values)
    assert run_command(["report", str(adapted), "--png", str(tmp_path)]) == 0
    assert (tmp_path / "terms-course.png").exists()


@pytest.mark.parametrize(
    ("k", "u"), [(2**62, 2**62), (-(2**63), -(2**63)), (0, 0), (1, 1)]
)
def test_any_numbers_can_be_drawn(k, u):
    one = np.array([0])
    draw_terms(TermsStretches(3, 1, one, one + k, one + u)).savefig(io.BytesIO())


def test_a_run_with_fixed_terms_has_none(run_path):
    with stsyn_mpi.open_run(run_path) as run:
        assert summarise(run).terms is None
        assert terms_stretches(run) is None


def test_reasons_of_strangers_steer_nothing(adapted, tmp_path, capsys):
    path, page = tmp_path / "hostile.h5", tmp_path / "page.html"
    path.write_bytes(adapted.read_bytes())
    with h5py.File(path, "r+") as file:
        reason = file["changes/reason"]
        text = b"\x1b[2J[bold]<script>alert(1)</script>"
        reason[:] = np.full(len(reason), text, dtype=reason.dtype)
    assert run_command(["report", str(path), "--html", str(page)]) == 0
    said = capsys.readouterr().out
    assert "\x1b[2J" not in said
    assert "[bold]" in said
    assert "<script>alert" not in page.read_text()
    assert "&lt;script&gt;alert" in page.read_text()
