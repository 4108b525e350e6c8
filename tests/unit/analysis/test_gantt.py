import numpy as np
import pytest
from synthetic_run import config_json, draw_rounds

from stsyn_mpi.analysis import gantt_bars
from stsyn_mpi.analysis.gantt import gantt_view
from stsyn_mpi.analysis.gantt_plot import draw_gantt, gantt_notes
from stsyn_mpi.analysis.gantt_rounds import ChosenRound, choose_rounds, parse_rounds
from stsyn_mpi.api import simulate
from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile import open_run
from stsyn_mpi.runfile.schema import WorkerStatus
from stsyn_mpi.runfile.update_search import UpdateSearch
from stsyn_mpi.runfile.writer import RunWriter

# worker, start_s, injected_s, work_s, completed; a round each
FIRST = [
    (0, 0.0, 0.3, 0.1, 1),
    (0, 0.45, 0.2, 0.1, 1),
    (0, 0.75, 0.2, 0.0, 0),
    (1, 0.0, 0.9, 0.05, 1),
]
SECOND = [(0, 0.0, 0.1, 0.1, 1), (1, 0.0, 0.6, 0.2, 0)]


def write_rounds(path, rounds, n_workers=2, **columns):
    """Write a run of these updates; columns are given by round."""
    writer = RunWriter.create(
        path, n_workers, config_json(n_workers), {}, record_updates=True
    )
    (row, _), *_ = draw_rounds(1, n_workers=n_workers, wait_for=1)
    for j, updates in enumerate(rounds):
        if updates:
            writer.append_updates(np.array([(j, *update) for update in updates]))
        own = {name: values[j] for name, values in columns.items()}
        writer.commit_round(row | {"round": j} | own)
    writer.close()
    return path


@pytest.fixture
def view_of(tmp_path):
    def view(rounds, index=0, n_workers=2, **columns):
        n = len(rounds)
        columns = {
            "wall_s": np.arange(1.0, n + 1),
            "kth_arrival_s": np.full(n, 0.9),
            "worker_idle_s": np.full((n, n_workers), 0.02),
            "worker_updates": np.zeros((n, n_workers), dtype=int),
        } | columns
        path = write_rounds(tmp_path / "run.h5", rounds, n_workers, **columns)
        with open_run(path) as run:
            return gantt_view(run, UpdateSearch(run), ChosenRound(index, ""))

    return view


def stuck_view(view_of, index):
    """Both are cut off in round 0; worker 1 is stuck in round 1, and free in round 2.

    Worker 0 goes on for 0.2 s, and is idle for 0.02 s before the next round.
    """
    first = [(0, 0.0, 0.3, 0.1, 1), (0, 0.45, 0.1, 0.2, 0), (1, 0.1, 0.2, 0.6, 0)]
    third = [(0, 0.0, 0.1, 0.1, 1), (1, 0.4, 0.1, 0.2, 1), (1, 0.7, 0.1, 0.1, 0)]
    return view_of(
        [first, FIRST[:2], third],
        index,
        worker_cancelled_s=[[0.3, 0.8], [0.2, 1.0], [0.0, 0.3 + 0.2]],
        worker_idle_s=[[0.01, 0.1], [0.02, 0.0], [0.02, 0.05]],
        worker_status=[[1, 3], [1, 3], [1, 1]],
        worker_updates=[[1, 0], [2, 0], [1, 1]],
    )


@pytest.mark.parametrize(
    ("index", "absent", "cancelled", "idle"),
    [
        (
            0,
            {},
            [(0, 0.45, 0.75), (0, 0.75, 0.95), (1, 0.1, 0.9), (1, 0.9, 1.9)],
            [(0, 0.95, 0.97)],
        ),
        (1, {1: "stuck since round 0"}, [(1, 0.0, 1.3)], [(0, 0.75, 0.77)]),
        # Free 0.05 s before its first update.
        (2, {}, [(1, 0.05, 0.35), (1, 0.7, 0.9)], [(0, 0.2, 1.0), (1, 0.9, 1.0)]),
    ],
)
def test_an_update_that_was_cancelled_is_drawn_until_it_has_ended(
    view_of, index, absent, cancelled, idle
):
    view = stuck_view(view_of, index)
    assert view.absent == absent
    np.testing.assert_allclose(sorted(segments(view, "cancelled")), cancelled)
    np.testing.assert_allclose(segments(view, "idle"), idle)


def segments(view, kind):
    bars = view.bars[kind]
    parts = (bars.lane.tolist(), bars.start_s, bars.start_s + bars.length_s)
    return [(m, round(a, 6), round(b, 6)) for m, a, b in zip(*parts, strict=True)]


def test_segments_of_a_known_round(view_of):
    view = view_of([FIRST, SECOND])
    assert segments(view, "injected") == [(0, 0, 0.3), (0, 0.45, 0.65), (1, 0, 0.9)]
    assert segments(view, "computed") == [
        (0, 0.3, 0.4),
        (0, 0.65, 0.75),
        (1, 0.9, 0.95),
    ]
    assert segments(view, "cancelled") == [(0, 0.75, 0.95)]
    # As long as each worker itself waited for its next model.
    assert segments(view, "idle") == [(0, 0.95, 0.97), (1, 0.95, 0.97)]
    assert view.kth_s.tolist() == [0.9]
    assert view.length_s == 1.0
    assert not view.is_stretch
    assert view.are_all


def test_the_last_round_has_no_next_model(view_of):
    view = view_of([FIRST, SECOND], index=1)
    assert segments(view, "injected") == [(0, 0, 0.1)]
    assert segments(view, "cancelled") == [(1, 0, 0.8)]
    assert segments(view, "idle") == [(0, 0.2, 1.0), (1, 0.8, 1.0)]


def test_workers_away_are_named(view_of):
    status = np.full((2, 4), WorkerStatus.USED)
    status[0] = (
        WorkerStatus.IDLE,
        WorkerStatus.LATE,
        WorkerStatus.LOST,
        WorkerStatus.IDLE,
    )
    view = view_of([FIRST, SECOND], n_workers=4, worker_status=status)
    # Worker 0 has recorded updates: it was at work for another round.
    assert view.absent == {1: "late", 2: "lost", 3: "idle"}


def test_a_round_without_rows_has_no_view(view_of):
    assert view_of([[], SECOND]) is None


def test_work_that_came_late_belongs_to_its_round(tmp_path):
    writer = RunWriter.create(
        tmp_path / "run.h5", 2, config_json(2), {}, record_updates=True
    )
    rows = [
        (j, *update) for j, updates in ((0, FIRST), (1, SECOND)) for update in updates
    ]
    late = [row for row in rows if row[:2] == (0, 1)]
    writer.append_updates(np.array([row for row in rows if row not in late] + late))
    for row, _ in draw_rounds(2, n_workers=2, wait_for=1):
        writer.commit_round(row)
    writer.close()
    with open_run(tmp_path / "run.h5") as run:
        view = gantt_view(run, UpdateSearch(run), ChosenRound(0, ""))
    assert segments(view, "computed")[-1] == (1, 0.9, 0.95)


@pytest.mark.parametrize("start_s", [0.0, 0.01])
def test_a_model_that_a_worker_has_twice_is_two_tasks(view_of, start_s):
    twice = [(0, 0.0, 0.3, 0.1, 1), (0, start_s, 0.2, 0.1, 1), (1, 0.0, 0.9, 0.0, 1)]
    view = view_of([twice, SECOND])
    begin = 0.4 + start_s
    assert segments(view, "computed")[:2] == [
        (0, 0.3, 0.4),
        (0, round(begin + 0.2, 6), round(begin + 0.3, 6)),
    ]


def test_delays_are_drawn_as_far_as_they_were_waited(view_of):
    """A timer that overshoots is made up for by delays that are not waited."""
    overslept = [
        (0, 0.0, 0.3, 0.1, 1),
        (0, 0.6, 0.2, 0.05, 1),
        (0, 0.68, 0.2, 0.05, 1),
        (0, 0.74, 0.1, 0.05, 1),
        (1, 0.0, 0.9, 0.0, 1),
    ]
    view = view_of([overslept, SECOND])
    assert segments(view, "injected")[:4] == [
        (0, 0, 0.3),
        (0, 0.6, 0.63),
        (0, 0.68, 0.69),
        (0, 0.74, 0.84),
    ]
    assert segments(view, "computed")[:3] == [
        (0, 0.3, 0.4),
        (0, 0.63, 0.68),
        (0, 0.69, 0.74),
    ]


def test_updates_that_are_not_found_are_counted(view_of):
    updates = np.array([[2, 4], [1, 0]])
    view = view_of([FIRST, SECOND], worker_updates=updates)
    assert view.n_missing == 3
    assert "3 completed updates came so late" in gantt_notes(view)


def test_many_updates_share_a_bar(view_of, monkeypatch):
    monkeypatch.setattr(gantt_bars, "_MOST_BARS", 10)
    rows = [(0, 0.01 * i, 0.004, 0.006, 1) for i in range(90)]
    view = view_of([[*rows, (0, 0.9, 0.05, 0.0, 0)], SECOND])
    assert view.updates_a_bar == 10
    assert len(view.bars["injected"].lane) == 9
    assert view.bars["injected"].length_s.sum() == pytest.approx(0.36)
    assert view.bars["computed"].length_s.sum() == pytest.approx(0.54)
    assert segments(view, "cancelled") == [(0, 0.9, 0.95)]


def test_of_many_workers_the_fastest_and_the_slowest_are_drawn(view_of):
    updates = np.array([np.random.default_rng(1).permutation(200)])
    rows = [(m, 0.0, 0.1, 0.1, 1) for m in range(200)]
    view = view_of([rows], n_workers=200, worker_updates=updates)
    drawn = updates[0][view.workers].tolist()
    assert drawn == [*range(199, 167, -1), *range(31, -1, -1)]
    assert "Of 200 workers" in gantt_notes(view)


@pytest.mark.parametrize("strategy", ["async", "fedbuff", "k-async"])
def test_asynchronous_rounds_fill_a_stretch_of_the_roots_time(tmp_path, strategy):
    path = simulate(
        workers=5,
        wait_for=2,
        target_updates=3,
        rounds=80,
        strategy=strategy,
        timing_only=True,
        delay="exponential:mean=20ms",
        out=str(tmp_path / "run.h5"),
    )
    with open_run(path) as run:
        search = UpdateSearch(run)
        view, at_end = (gantt_view(run, search, ChosenRound(j, "")) for j in (30, 79))
        wall_s = run["wall_s"]
    assert at_end.last_round == 79
    assert at_end.is_stretch
    assert view.is_stretch
    assert view.first_round == 30
    assert view.length_s == pytest.approx(wall_s[view.last_round] - wall_s[29])
    # Messages cost nothing: who computes does so until the model of a round is there.
    bars = view.bars["injected"]
    ends = bars.start_s + bars.length_s
    uploads = wall_s[30 : view.last_round + 1] - wall_s[29]
    for end_s in uploads:
        assert np.isclose(ends, end_s, atol=1e-9).any()


def test_a_simulated_round_ends_with_its_kth_arrival(tmp_path):
    path = simulate(
        workers=6,
        wait_for=3,
        target_updates=4,
        rounds=20,
        timing_only=True,
        delay="exponential:mean=20ms",
        out=str(tmp_path / "run.h5"),
    )
    with open_run(path) as run:
        search = UpdateSearch(run)
        views = [gantt_view(run, search, ChosenRound(j, "")) for j in range(20)]
        updates = run["worker_updates"]
    for view, row in zip(views, updates, strict=True):
        cut = view.bars["cancelled"]
        assert len(view.bars["injected"].lane) == row.sum()
        np.testing.assert_allclose(cut.start_s + cut.length_s, view.kth_s[0])
        assert view.n_missing == 0
        assert view.absent == {}


def test_rounds_are_asked_for_by_number_and_word():
    round_s = np.array([9.0, 1.0, 2.0, 5.0, 3.0])
    entries = parse_rounds("0, early,median,slowest,last,3")
    chosen = choose_rounds(entries, round_s, "run.h5")
    assert [(c.index, c.words) for c in chosen] == [
        (0, "round 0, the slowest"),
        (1, "round 1, an early one"),
        (4, "round 4, of median time and the last"),
        (3, "round 3"),
    ]


def test_a_run_of_one_round_has_one_view():
    chosen = choose_rounds(parse_rounds("early,median,slowest"), np.ones(1), "run.h5")
    assert [c.index for c in chosen] == [0]


@pytest.mark.parametrize("text", ["", "first", "-1", "1.5", "1,,2", "0x1", "1e3"])
def test_what_is_no_round_is_said(text):
    with pytest.raises(InputError, match=r"--gantt .* is no round: a number from 0 on"):
        parse_rounds(text)


def test_limits_are_said():
    with pytest.raises(InputError, match="at most 12 rounds"):
        parse_rounds(",".join("0" * 13))
    with pytest.raises(InputError, match=r"--gantt 5: a.h5 has the rounds 0 to 4"):
        choose_rounds((5,), np.ones(5), "a.h5")


def test_the_picture_has_every_bar_and_the_line(view_of):
    pytest.importorskip("matplotlib")
    axes = draw_gantt(view_of([FIRST, SECOND]), "wall").axes[0]
    drawn = {c.get_label(): len(c.get_paths()) for c in axes.collections}
    assert drawn == {
        "injected delay": 3,
        "computed": 3,
        "cancelled": 1,
        "idle until the next model": 2,
    }
    (line,) = axes.lines
    assert set(line.get_xdata()) == {900.0}
    assert axes.get_xlabel() == "wall time since the round began (ms)"


def test_hostile_numbers_make_a_picture(tmp_path):
    pytest.importorskip("matplotlib")
    odd = [(m, v, v, v, 1) for m in (0, 1) for v in (np.nan, -1.0, np.inf, 1e308)]
    path = write_rounds(
        tmp_path / "run.h5",
        [odd],
        wall_s=[np.nan],
        kth_arrival_s=[np.inf],
        worker_staleness=np.full((1, 2), 2**31 - 1),
    )
    with open_run(path) as run:
        view = gantt_view(run, UpdateSearch(run), ChosenRound(0, ""))
    draw_gantt(view, "wall").draw_without_rendering()
