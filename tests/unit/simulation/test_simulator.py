"""The virtual machine: what happens when, and what messages cost."""

import numpy as np
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st
from shipped_schemes import SHIPPED
from virtual_runs import make_simulator, run_virtually

from stsyn_mpi.errors import RunFailure
from stsyn_mpi.protocol import events as ev
from stsyn_mpi.protocol.commands import Outcome
from stsyn_mpi.simulation.delays import parse_delay
from stsyn_mpi.simulation.workers import Task, VirtualWorkers
from stsyn_mpi.strategies import strategy_names

pytestmark = pytest.mark.timeout(60)


def count(recorder, kind):
    return recorder.kinds().count(kind)


class Schedule:
    """A law that gives each worker the durations of a table, round after round."""

    mean, variance, scope = 1.0, 0.0, "per-update"

    def __init__(self, table):
        self.table = table

    def draw_updates(self, worker, round_index, first_update, n_updates):
        row = self.table[worker]
        indices = range(first_update, first_update + n_updates)
        return np.array([row[min(i, len(row) - 1)] for i in indices], dtype=float)

    def draw_rounds(self, first_round, n_rounds, n_workers, n_updates):
        rows = [self.draw_updates(w, 0, 0, n_updates) for w in range(n_workers)]
        return np.array([rows] * n_rounds)


def run_schedule(strategy, table, **options):
    return run_virtually(
        strategy,
        n_workers=len(table),
        law=Schedule(table),
        validated=True,
        records_updates=True,
        **{"n_rounds": 1, **options},
    )


def test_stsyn_takes_what_is_complete_and_cancels_what_is_not():
    table = [[1, 1, 1], [2, 2, 2], [5, 5, 5]]
    recorder, _ = run_schedule("stsyn:K=2,U=2", table)
    (record,) = recorder.records
    assert recorder.wall_s.tolist() == [4.0]
    assert record.worker_updates == (4, 2, 0)
    assert (record.n_uploaders, record.updates_cancelled) == (2, 3)
    assert recorder.durations[0, 0] == (2.0, 0.0, 4.0, 0.0, 0.0)
    assert recorder.durations[0, 1] == (4.0, 0.0, 4.0, 0.0, 0.0)
    target_s, *rest = recorder.durations[0, 2]
    assert np.isnan(target_s)
    assert rest == [0.0, 0.0, 4.0, 0.0]


def test_rows_of_updates_say_when_each_began_and_which_was_cut():
    recorder, _ = run_schedule("stsyn:K=1,U=2", [[1, 2, 4], [2.5, 9]])
    assert recorder.updates.tolist() == [
        [0, 0, 0.0, 1.0, 0.0, 1],
        [0, 0, 1.0, 2.0, 0.0, 1],
        [0, 0, 3.0, 0.0, 0.0, 0],
        [0, 1, 0.0, 2.5, 0.0, 1],
        [0, 1, 2.5, 0.5, 0.0, 0],
    ]


def test_whoever_stops_at_the_target_has_nothing_cut():
    recorder, _ = run_schedule("local-sgd:U=2", [[1], [3]], n_rounds=2)
    assert recorder.wall_s.tolist() == [6.0, 12.0]
    assert recorder.column("updates_cancelled").tolist() == [0, 0]
    assert recorder.updates[:, 5].all()
    # The faster one sits idle from its target to the next model.
    assert recorder.durations[1, 0] == (2.0, 0.0, 2.0, 0.0, 4.0)


def test_completions_at_one_instant_all_count_and_one_report_is_made():
    recorder, _ = run_schedule("stsyn:K=1,U=3", [[1]] * 4, n_rounds=3)
    assert recorder.wall_s.tolist() == [3.0, 6.0, 9.0]
    assert all(record.worker_updates == (3,) * 4 for record in recorder.records)
    assert count(recorder, ev.ProgressReported) == 3


def test_a_worker_far_ahead_is_followed_however_far_it_comes():
    recorder, _ = run_schedule("stsyn:K=2,U=2", [[0.01], [5]], n_rounds=2)
    assert recorder.column("worker_updates").tolist() == [[1000, 2], [1000, 2]]


def test_updates_that_take_no_time_are_refused():
    with pytest.raises(RunFailure, match="worker 0 take no time in round 0"):
        run_schedule("stsyn:K=2,U=2", [[0.0], [1.0]])


@pytest.mark.parametrize("strategy", SHIPPED)
def test_no_event_is_made_of_what_nobody_asked_for(strategy):
    """Updates are known in advance: only asked-for reports and answers are events."""
    recorder, _ = run_virtually(strategy, n_rounds=30)
    n_models = recorder.column("models_down").sum()
    n_reports = count(recorder, ev.ProgressReported)
    n_answers = count(recorder, ev.UploadAnnounced)
    assert count(recorder, ev.ModelDelivered) <= n_models + 20
    assert n_answers <= n_models + 20
    if strategy in ("k-batch-sync", "rennala"):
        assert n_reports <= recorder.column("updates_done").sum()
    elif strategy == "stsyn":
        assert n_reports == 5 * 30
    else:
        assert n_reports == 0


def test_a_round_puts_k_entries_on_the_heap_not_m():
    simulator, recorder = make_simulator(n_workers=500, wait_for=5, n_rounds=4)
    pushes = []
    at = simulator._agenda.at
    simulator._agenda.at = lambda t, act, *operands: (
        pushes.append(t),
        at(t, act, *operands),
    )
    simulator.run()
    assert len(recorder.records) == 4
    assert len(pushes) <= 4 * (5 + 2)


def test_the_same_options_give_the_same_run_and_another_seed_another():
    first, again = run_virtually(seed=3)[0], run_virtually(seed=3)[0]
    assert repr(first.records) == repr(again.records)
    assert first.wall_s.tolist() == again.wall_s.tolist()
    assert first.wall_s.tolist() != run_virtually(seed=4)[0].wall_s.tolist()


@pytest.mark.parametrize("delay", ["exponential:mean=1", "markov:mean=1"])
def test_a_worker_has_the_same_draws_under_every_scheme(delay):
    """Common random numbers: the law is asked for (worker, round, update) alone."""
    drawn = {}
    for strategy in ("stsyn", "local-sgd", "k-fastest", "fednova", "stsyn:K=20,U=3"):
        recorder, _ = run_virtually(
            strategy, delay=delay, n_rounds=6, records_updates=True
        )
        rows = recorder.updates[recorder.updates[:, 5] == 1]
        for round_index, worker in {(int(r[0]), int(r[1])) for r in rows}:
            own = rows[(rows[:, 0] == round_index) & (rows[:, 1] == worker)]
            before = drawn.setdefault((round_index, worker), own[:, 3])
            n = min(len(before), len(own))
            assert before[:n] == pytest.approx(own[:n, 3], rel=1e-9)
            if len(own) > len(before):
                drawn[round_index, worker] = own[:, 3]
    law = parse_delay(delay, 0, 20)
    for (round_index, worker), durations in drawn.items():
        scalar = [law.draw(worker, round_index, i) for i in range(len(durations))]
        assert durations == pytest.approx(scalar, rel=1e-9)


def test_a_constant_cost_is_added_to_every_round():
    """E tau + C, and more than that: with common random numbers in every round."""
    free, _ = run_virtually(n_rounds=50)
    costly, _ = run_virtually(n_rounds=50, network="constant:cost=3s")
    assert costly.round_s == pytest.approx(free.round_s + 3.0)
    assert (costly.column("updates_done") == free.column("updates_done")).all()


def test_uploads_one_after_another_cost_their_number():
    """+ s E|S| (PAPER.md 3): a model of 4000 bytes takes 2 s on this link."""
    free, _ = run_virtually(n_rounds=50)
    serial = "link:latency=0s,bandwidth=2000,sharing=serial"
    costly, _ = run_virtually(n_rounds=50, network=serial)
    assert costly.column("n_uploaders").tolist() == free.column("n_uploaders").tolist()
    expected = free.round_s + 2.0 + 2.0 * free.column("n_uploaders")
    assert costly.round_s == pytest.approx(expected)


def test_sharing_fairly_takes_as_long_for_all_as_one_after_another():
    options = {"n_rounds": 20, "wait_for": 20}
    link = "link:latency=1s,bandwidth=2000,sharing="
    serial, _ = run_virtually(network=link + "serial", **options)
    fair, _ = run_virtually(network=link + "fair", **options)
    alone, _ = run_virtually(network=link + "none", **options)
    assert fair.round_s == pytest.approx(serial.round_s)
    assert alone.round_s == pytest.approx(serial.round_s - 19 * 2.0)


def test_a_halt_that_overtakes_its_model_is_answered_with_nothing():
    """Control takes 1 s, a model 1 + 10 s: K-sync halts whom its model never reached.

    Worker 0 stops after its update; the stale model of worker 1 is dropped.
    """
    simulator, recorder = make_simulator(
        "async",
        n_workers=3,
        n_rounds=12,
        network="link:latency=1s,bandwidth=400",
        law=Schedule([[1], [1], [30]]),
        validated=True,
        time_limit_s=12.5,
    )
    finish = simulator.run()
    assert finish.outcome is Outcome.STOPPED
    late = [e for e in recorder.events if isinstance(e, ev.UploadAnnounced)]
    assert late[-1].n_updates == 0


def test_the_time_limit_is_virtual():
    recorder, finish = run_virtually(n_rounds=None, time_limit_s=100.0)
    assert finish.outcome is Outcome.STOPPED
    assert "time limit" in finish.reason
    assert 80.0 < recorder.wall_s[-1] <= 100.0


def test_somebody_may_ask_for_an_end():
    simulator, recorder = make_simulator(n_rounds=None)
    simulator.recorder.close_round = lambda record, timings: (
        recorder.records.append(record),
        simulator.request_stop("enough") if record.round == 7 else None,
    )
    finish = simulator.run()
    assert (finish.outcome, finish.reason) == (Outcome.STOPPED, "enough")
    assert len(recorder.records) == 8


NETWORKS = (
    "free",
    "constant:cost=2s",
    "link:latency=300ms,bandwidth=4000",
    "link:latency=300ms,bandwidth=4000,sharing=serial",
    "link:latency=0s,bandwidth=3000,sharing=fair",
)


@st.composite
def runs(draw):
    n_workers = draw(st.integers(1, 6))
    return {
        "strategy": draw(st.sampled_from(sorted(strategy_names()))),
        "n_workers": n_workers,
        "wait_for": draw(st.integers(1, n_workers)),
        "target_updates": draw(st.integers(1, 4)),
        "network": draw(st.sampled_from(NETWORKS)),
        "delay": draw(
            st.sampled_from(
                [
                    "exponential:mean=1",
                    "constant:mean=1",
                    "pareto:mean=1,shape=1.5",
                    "exponential:mean=1,scope=per-round",
                ]
            )
        ),
        "seed": draw(st.integers(0, 100)),
        "is_deterministic": draw(st.booleans()),
        "time_limit_s": draw(st.sampled_from([None, 9.5])),
    }


@settings(max_examples=150, deadline=None)
@given(options=runs())
def test_every_run_ends_and_adds_up(options):
    """`validate` holds after every event, and time never runs back."""
    note(f"{options}")
    recorder, finish = run_virtually(
        n_rounds=8, validated=True, records_updates=True, **options
    )
    assert finish.outcome in (Outcome.DONE, Outcome.STOPPED)
    assert finish.outcome is Outcome.STOPPED or len(recorder.records) == 8
    done = recorder.column("updates_done").sum() + finish.updates_cut
    rows = recorder.updates if recorder.rows else np.empty((0, 6))
    assert rows[:, 5].sum() == done
    assert (rows[:, 2:] >= 0).all()
    for record in recorder.records:
        assert record.updates_used + record.updates_dropped == record.updates_done
        assert record.n_late == 0
    assert not finish.unreachable


def test_drawing_more_for_one_forgets_nothing_of_another():
    law = parse_delay("exponential:mean=1", 5, 3)
    workers = VirtualWorkers(law, 3, 2)
    workers.begin([0], Task(4, 1.5, [2], [0], False))
    workers.begin([1], Task(7, 2.0, [60], [3], True))
    ends = np.cumsum([law.draw(0, 4, i) for i in range(80)])
    progress = workers.stop([0], 1.5 + ends[39])
    assert progress.n_updates.tolist() == [40]
    assert progress.injected_s == pytest.approx([ends[39]])
    assert workers.end_of(1, 60) == pytest.approx(
        2.0 + sum(law.draw(1, 7, 3 + i) for i in range(60))
    )


def test_drawing_more_for_one_keeps_the_updates_of_who_is_far_ahead():
    law = parse_delay("exponential:mean=1", 5, 3)
    workers = VirtualWorkers(law, 3, 2)
    workers.begin([0, 1], Task(0, 0.0, [2, 2], [0, 0], False))
    ends = np.cumsum([[law.draw(m, 0, i) for i in range(200)] for m in (0, 1)], axis=1)
    assert workers.end_of(0, 12) == pytest.approx(ends[0, 11])
    workers.begin([2], Task(0, 0.0, [60], [0], True))
    t = ends[:, 110].min()
    progress = workers.stop([0, 1], t)
    done = (ends <= t).sum(axis=1).tolist()
    assert progress.n_updates.tolist() == done
    rows = workers.rows([0, 1], progress, t)
    assert len(rows) == sum(done) + 2
    assert rows[:, 3].sum() == pytest.approx(2 * t)


@pytest.mark.parametrize("strategy", ["async", "fedbuff:K=4", "k-fastest", "k-async"])
def test_nobody_is_late_however_uneven_the_waits_for_a_link_are(strategy):
    """Who is simulated does not hang: everybody is waited for."""
    recorder, _ = run_virtually(
        strategy,
        n_workers=50,
        n_rounds=150,
        delay="pareto:mean=1,shape=1.5",
        network="link:latency=0s,bandwidth=4000,sharing=fair",
    )
    assert recorder.column("n_late").sum() == 0
    assert np.isnan(recorder.column("grace_s")).all()
    if strategy != "k-fastest":
        assert recorder.column("updates_dropped").sum() == 0
