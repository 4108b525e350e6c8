import base64
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from synthetic_run import write_run

from stsyn_mpi.analysis import run_report
from stsyn_mpi.analysis.gantt_rounds import DEFAULT, parse_rounds
from stsyn_mpi.analysis.page import elements
from stsyn_mpi.analysis.page.build import build_page
from stsyn_mpi.analysis.prediction import PredictedQuantity, Prediction
from stsyn_mpi.analysis.run_report import read_reports
from stsyn_mpi.analysis.side_by_side import (
    common_accuracy,
    seconds_to,
    unique_stems,
)
from stsyn_mpi.analysis.stragglers import HostPace, StragglerReport, WorkerPace
from stsyn_mpi.runfile import open_run

pytest.importorskip("matplotlib")

ROUNDS = parse_rounds(DEFAULT)
HOSTILE = (
    "<script>alert('x')</script><img src=http://a.b/c onerror=x>&\"'$title \x1b[2J"
)


class Page(HTMLParser):
    """A page taken apart: its tags, its text, and what its images hold."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def pale(monkeypatch):
    """Leave the images blank, in tests of all else: making them takes long."""
    blank = base64.b64decode("iVBORw0KGgo=")
    monkeypatch.setattr(elements, "image_of", lambda picture: ("image/png", blank))


def page_of(*paths, rounds=ROUNDS):
    return Page(build_page(read_reports(paths, rounds)))


@pytest.fixture(scope="module")
def reports(run_path):
    return read_reports([run_path], ROUNDS)


@pytest.fixture(scope="module")
def page(source):
    return Page(source)


@pytest.fixture(scope="module")
def source(reports):
    return build_page(reports)


def test_the_page_refers_to_nothing_outside_it(page, source):
    for _, attributes in page.tags:
        assert not set(attributes) & {"srcset", "action", "data", "background"}
        assert attributes.get("href", "#").startswith("#")
        assert attributes.get("src", "data:").startswith("data:")
        assert not any(name.startswith("on") for name in attributes)
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "iframe", "object", "embed", "base", "svg"}
    style = source[source.index("<style>") : source.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert "@media print" in style
    (policy,) = [m["content"] for m in page.all("meta") if "http-equiv" in m]
    assert policy.startswith("default-src 'none'")


def test_every_figure_is_in_it_with_what_it_shows(page):
    images = page.all("img")
    assert len(images) == 4 + 4 + 3
    texts = [image["alt"] for image in images]
    assert len(set(texts)) == len(texts)
    for words in (
        "Test accuracy of run over time",
        "Test accuracy of run over communication",
        "Test and training loss of run over time",
        "Parts of the rounds of run; a mean round takes",
        "local updates of 8 workers of run over 40 rounds",
        "in which each of 8 workers of run came in",
        "Quantiles of fitted laws over those of the update times of run",
        "What workers of run did in round 1, an early one",
    ):
        assert any(words in text for text in texts), words
    for image in images:
        kind, _, data = image["src"].removeprefix("data:").partition(";base64,")
        content = base64.b64decode(data, validate=True)
        begin = {"image/png": b"\x89PNG", "image/svg+xml": b"<?xml"}[kind]
        assert content.startswith(begin)
    # How the rounds worker by worker are read is said once.
    assert len(page.all("figcaption")) == len(images) - 2


def test_it_says_what_the_terminal_says_and_all_options(page, run_path):
    for words in (
        "done: all rounds done",
        "stsyn with M=8, K=4, U=10",
        "% after round 38",
        "nobody",
        "exponential:mean=20ms",
        "root: head; workers: n0 (4), n1 (4)",
        "package_version",
        "library_versions",
    ):
        assert words in page.text, words
    with open_run(run_path) as run:
        assert all(key in page.text for key in run.config)
    assert {"class": "marked"} in page.all("td")


def test_only_what_is_not_the_default_is_marked(source):
    marked = re.findall(r'<th scope="row">(\w+)</th><td class="marked">', source)
    assert "delay" in marked
    assert "target_updates" not in marked
    assert "batch_size" not in marked


def test_a_page_of_eight_workers_is_small(source):
    assert len(source) < 2_000_000


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"state": "running"}, "unfinished, closed without an ending"),
        ({"state": "failed"}, "failed"),
    ],
)
@pytest.mark.usefixtures("pale")
def test_an_unfinished_run_says_so(write, options, words):
    page = page_of(write(n_rounds=3, **options))
    assert words in page.text
    assert {"class": "standing"} in page.all("p")
    assert {"class": "done"} not in page.all("p")


@pytest.mark.usefixtures("pale")
def test_a_run_of_a_dead_writer_is_reported_as_far_as_it_goes(tmp_path):
    from killed_runs import write_killed

    write_killed(tmp_path / "killed.h5", 5)
    page = page_of(tmp_path / "killed.h5")
    assert "its writer died" in page.text
    assert "reported as far as it goes" in page.text


@pytest.mark.usefixtures("pale")
def test_a_run_that_is_going_on_says_so(tmp_path):
    writer = write_run(tmp_path / "run.h5", n_rounds=5, state="running", close=False)
    try:
        page = page_of(tmp_path / "run.h5")
    finally:
        writer.close()
    assert "still going" in page.text


def test_hostile_texts_are_only_text(write):
    import h5py

    path = write("<b>$x$_run.h5", n_rounds=4, hosts=["r", *[HOSTILE] * 8])
    with h5py.File(path, "r+") as file:
        config = file.attrs["config"]
        for key in ("stsyn", "exponential:mean=20ms", "digits"):
            config = config.replace(key, HOSTILE.replace('"', "'").replace("\x1b", ""))
        file.attrs["config"] = config
        for name in ("mpi_library", "platform", "command_line", "own"):
            file.attrs[name] = HOSTILE
        file["state_reason"][()] = HOSTILE.encode()
    source = build_page(read_reports([path, path], ROUNDS))
    page = Page(source)
    assert not page.all("script")
    assert all(image["src"].startswith("data:") for image in page.all("img"))
    assert not any("onerror" in a for _, a in page.tags)
    assert "\x1b" not in source
    assert "<script>alert('x')</script>" in page.text
    assert "$title ?[2J" in page.text
    assert "<b>$x$_run" in page.text


@pytest.mark.usefixtures("pale")
def test_runs_are_compared_and_each_has_its_section(run_path, write):
    path = write(n_rounds=20, wait_for=8, seed=1)
    page = page_of(run_path, path)
    assert "2 runs compared" in page.text
    assert "--seed" in page.text
    assert [a["href"] for a in page.all("a")] == ["#run-0", "#run-1"]
    assert [h["id"] for h in page.all("h2") if "id" in h] == ["run-0", "run-1"]
    assert len(page.all("img")) == 4 + 2 * (4 + 3)
    assert "Test accuracy of run, other over time" in page.all("img")[0]["alt"]


def test_time_to_the_best_accuracy_that_all_reached(run_path, write):
    path = write(n_rounds=20)
    reports = read_reports([run_path, path], ROUNDS)
    target = common_accuracy(reports)
    assert target == reports[1].summary.best_accuracy
    with open_run(path) as run:
        assert seconds_to(reports[1], target) == run["wall_s"][18]
    assert seconds_to(reports[0], target) == reports[0].accuracy.seconds[9]
    assert seconds_to(reports[1], target + 0.01) is None
    never = replace(reports[0].summary, best_accuracy=None)
    assert common_accuracy([replace(reports[0], summary=never), reports[1]]) is None


@pytest.mark.usefixtures("pale")
def test_a_run_of_timing_alone_has_all_but_accuracy(tmp_path):
    from stsyn_mpi.api import simulate

    path = simulate(
        workers=4,
        rounds=6,
        timing_only=True,
        delay="exponential:mean=20ms",
        record_updates=False,
        out=str(tmp_path / "run.h5"),
    )
    page = page_of(path)
    assert len(page.all("img")) == 3
    assert "No round was evaluated" in page.text
    assert "recorded no local updates" in page.text
    assert "timing_only" in page.text


def test_names_are_told_apart(tmp_path):
    paths = [tmp_path / "a/run.h5", tmp_path / "b/run.h5", tmp_path / "run-2.h5"]
    assert unique_stems(paths) == ["run", "run-2", "run-2-2"]


@pytest.mark.usefixtures("pale")
def test_a_resumed_run_tells_of_its_writers(write):
    from stsyn_mpi.runfile.writer import RunWriter

    path = write(n_rounds=9, state="stopped")
    RunWriter.resume(path, 7, {}).close()
    page = page_of(path)
    assert "Writers before the last resume" in page.text
    assert "n_superseded 2" in page.text


def pace(worker, host="n0", **changes):
    usual = WorkerPace(worker, host, 40, 0.02, 1.0, 0.25, 1.5, 0.1, "", False, 0.4)
    return replace(usual, **changes)


def stragglers(workers, hosts=(), seconds=(7.0, 2.0), note="A <note>."):
    return StragglerReport(tuple(workers), tuple(hosts), *seconds, note)


def with_findings(report, **findings):
    summary = replace(report.summary, **findings)
    return Page(build_page([replace(report, summary=summary)]))


@pytest.mark.usefixtures("pale")
def test_stragglers_are_marked_and_come_first(reports):
    slow = pace(7, "n1", speed=0.3, pattern="persistent", is_flagged=True, p_value=1e-9)
    found = stragglers([*(pace(m) for m in range(7)), slow])
    page = with_findings(reports[0], stragglers=found)
    assert "1 worker of 8 is called a straggler." in page.text
    assert "took 2 s in this run" in page.text
    assert "would have waited 7 s" in page.text
    assert "A <note>." in page.text
    table = page.text[page.text.index("share of rounds straggled") :]
    assert table.index("persistent") < table.index("25.0%", table.index("persistent"))
    assert "1e-09" in table


@pytest.mark.usefixtures("pale")
def test_many_workers_and_unknown_figures_fit_the_table(reports):
    unknown = [None] * 5
    many = [WorkerPace(m, "", 3, *unknown, "", False, None) for m in range(500)]
    hosts = [HostPace(f"n{n}", (n,), *unknown[:4], "", False) for n in range(40)]
    found = stragglers(many, hosts, (None, None), "")
    page = with_findings(reports[0], stragglers=found)
    assert "468 faster workers not shown" in page.text
    assert "8 faster hosts not shown" in page.text
    assert "None" not in page.text


@pytest.mark.usefixtures("pale")
def test_what_was_predicted_stands_beside_what_was_measured(reports):
    quantities = (
        PredictedQuantity("round time", "s", 0.2, 0.05, 0.21, 0.004, True),
        PredictedQuantity("uploaders", "1", 5.0, None, 6.0, 0.1, False),
    )
    prediction = Prediction(quantities, "Updates are <independent>.", "")
    page = with_findings(reports[0], prediction=prediction)
    for words in (
        "round time 200 ms 50 ms 210 ms 4 ms 1.050 as expected",
        "uploaders 5 6 0.1 1.200 unexpected",
        "Updates are <independent>.",
    ):
        assert words in page.text, words


@pytest.mark.usefixtures("pale")
def test_why_there_is_no_prediction_is_said(reports):
    prediction = Prediction((), "", "No law of delays is known.")
    page = with_findings(reports[0], prediction=prediction)
    assert "No law of delays is known." in page.text


@pytest.mark.parametrize("odd", [np.nan, np.inf, -1.0, 1e308])
def test_hostile_numbers_make_a_page(write, odd):
    import h5py

    path = write(n_rounds=6)
    with h5py.File(path, "r+") as file:
        for name, values in file.items():
            is_column = isinstance(values, h5py.Dataset) and values.ndim
            if is_column and values.dtype == np.float64:
                values[2:5] = odd
            elif is_column and name.startswith("worker_"):
                values[1] = -(2**31) if values.dtype.itemsize == 4 else -5
        for values in file["updates"].values():
            if values.dtype.kind == "f":
                values[::3] = odd
        file["updates/round"][7] = 2**62
        file["updates/worker"][8] = -7
    assert page_of(path).all("img")


def test_numbers_of_a_report_are_bounded_whatever_the_file(write):
    path = write(n_rounds=300)
    (report,) = read_reports([path], ROUNDS)
    assert report.load.sums.shape == (8, 100)
    assert len(report.anatomy.round_s) == 100
    assert run_report.read_reports([path], (299,))[0].gantts[0].chosen.index == 299
