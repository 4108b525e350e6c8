"""Fitted laws in the report: terminal, JSON, page, figure."""

import json

import h5py
import numpy as np
import pytest

from stsyn_mpi.analysis import fit_plot
from stsyn_mpi.analysis.fit_table import fit_tables
from stsyn_mpi.analysis.fitting.run_fits import fit_parts
from stsyn_mpi.analysis.page.fitting import fit_part
from stsyn_mpi.api import simulate
from stsyn_mpi.cli.main import run as run_command
from stsyn_mpi.runfile import open_run

LAWS = {
    "exponential",
    "shifted-exponential",
    "gamma",
    "lognormal",
    "weibull",
    "pareto",
    "empirical",
}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A simulated run to whose updates work was added: it has both parts."""
    file_name = tmp_path_factory.mktemp("runs") / "run.h5"
    simulate(
        strategy="stsyn:K=3,U=5",
        delay="lognormal:mean=20ms,sigma=1.5,factors=5*1/3",
        workers=6,
        rounds=100,
        timing_only=True,
        out=str(file_name),
    )
    with h5py.File(file_name, "r+") as file:
        table = file["updates"]
        work = np.random.default_rng(1).gamma(20, 0.0001, len(table["work_s"]))
        table["work_s"][:] = work * (table["completed"][:] == 1)
    return file_name


@pytest.fixture(scope="module")
def fits(path):
    with open_run(path) as run:
        return fit_parts(run)


def report(capsys, *arguments):
    code = run_command(["report", *map(str, arguments)])
    captured = capsys.readouterr()
    assert (code, captured.err) == (0, "")
    return captured.out


def test_the_terminal_ranks_the_laws_and_names_the_option(
    capsys, monkeypatch, path, fits
):
    monkeypatch.setenv("COLUMNS", "80")
    lines = report(capsys, path).splitlines()
    begin = next(n for n, line in enumerate(lines) if "update times:" in line)
    assert max(map(len, lines[begin:])) <= 80
    text = " ".join(" ".join(lines[begin:]).split())
    rows = {line.split()[0]: line for line in lines[begin:] if line.strip()}
    assert [name for name in rows if name in LAWS] == [
        law.name for law in fits.fits[0].laws
    ]
    assert " sigma 1." in rows["lognormal"]
    assert "--delay lognormal:mean=" in text
    assert "injected delays alone: lognormal, mean" in text
    assert "work alone: gamma, mean 1,989" in text
    assert "cut off, which count as longer than they were" in text


def test_json_has_every_law_and_null_for_what_is_infinite(capsys, path, fits):
    (content,) = json.loads(report(capsys, path, "--json"))
    together, injected, computed = content["fit"]["fits"]
    assert [f["part"] for f in content["fit"]["fits"]] == [f.part for f in fits.fits]
    assert {law["name"] for law in together["laws"]} == LAWS
    first = together["laws"][0]
    assert first["name"] == "lognormal"
    assert first["mean_s"] == fits.fits[0].laws[0].mean_s
    assert len(first["intervals"]["sigma"]) == 2
    assert together["delay"].startswith(first["delay"])
    assert together["worker_factors"][5] > 2 * together["worker_factors"][0]
    pareto = next(law for law in together["laws"] if law["name"] == "pareto")
    assert pareto["mean_s"] is None
    assert pareto["delay"] == ""
    assert "points" not in first
    assert injected["scope"] == computed["scope"] == "per-update"


def test_the_page_marks_the_law_that_is_used(fits):
    html = fit_part(fits)
    for name in LAWS:
        assert html.count(f'<th scope="row">{name}</th>') == 3
    best = html.index('<th scope="row">lognormal</th>')
    assert html.index('class="marked"') > best
    assert "Whole updates" in html
    assert "Work alone" in html


def test_quantiles_of_the_right_law_are_on_the_diagonal(fits):
    pytest.importorskip("matplotlib")
    figure = fit_plot.draw_fit(fits)
    assert len(figure.axes) == 3
    whole, injected, work = figure.axes
    assert injected.get_xscale() == injected.get_yscale() == "log"
    assert work.get_xscale() == "linear"
    for axes, unit in ((whole, "(ms)"), (injected, "(ms)"), (work, "(ms)")):
        assert axes.get_xlabel().endswith(unit)
        assert axes.get_ylabel() == axes.get_xlabel().replace("measured", "fitted")
    assert whole.get_title(loc="left") == "whole updates"
    _, best, *others = injected.lines
    assert best.get_label() == "lognormal"
    assert len(others) == 2
    x, y = best.get_xdata(), best.get_ydata()
    np.testing.assert_allclose(y[x > 1], x[x > 1], rtol=0.2)
    # Up to where the curve is sure, and no farther.
    last_s = fits.fits[1].laws[-1].quantile(np.array([fits.fits[1].seen]))
    assert x.max() == pytest.approx(1e3 * last_s[0], rel=0.05)


def edited(tmp_path, source, change):
    target = tmp_path / "edited.h5"
    target.write_bytes(source.read_bytes())
    with h5py.File(target, "r+") as file:
        change(file["updates"])
    return target


def test_what_cannot_be_fitted_has_a_line_and_the_report_goes_on(
    capsys, tmp_path, path
):
    def no_work(table):
        table["work_s"][np.flatnonzero(table["completed"][:])[0]] = 0.0

    text = report(capsys, edited(tmp_path, path, no_work))
    assert "No law of update times (computed): 1 completed update took no" in text
    assert "update times: whole updates" in text


def test_a_run_that_is_too_short_says_so_everywhere(capsys, tmp_path):
    path = simulate(
        strategy="k-sync:K=1",
        delay="exponential:mean=20ms",
        workers=2,
        rounds=3,
        timing_only=True,
        out=str(tmp_path / "short.h5"),
    )
    words = "too short to fit a law of update times: 3 completed updates known"
    assert words in " ".join(report(capsys, path).split())
    (content,) = json.loads(report(capsys, path, "--json"))
    assert content["fit"]["fits"] == []
    assert words in content["fit"]["notes"][0]
    with open_run(path) as run:
        fits = fit_parts(run)
    assert words in fit_part(fits)
    assert not fit_plot.can_draw(fits)


def test_constant_times_need_no_figure(tmp_path):
    path = simulate(
        delay="constant:mean=20ms",
        workers=3,
        rounds=20,
        timing_only=True,
        out=str(tmp_path / "constant.h5"),
    )
    with open_run(path) as run:
        fits = fit_parts(run)
    assert not fit_plot.can_draw(fits)
    assert "constant" in fit_part(fits)
    assert fit_tables(fits) is not None
