"""Successive halving, with trials that only count."""

import math

import pytest

from stsyn_mpi.simulate_config import SimulateConfig
from stsyn_mpi.tuning import judging
from stsyn_mpi.tuning.candidates import make_candidate
from stsyn_mpi.tuning.race import Budget, Race, Standing
from stsyn_mpi.tuning.request import Request
from stsyn_mpi.tuning.trials import TooLongError, Trial
from stsyn_mpi.tuning.worth import Worth

STSYN = [f"stsyn:K=4,U={u}" for u in range(101, 121)]
OTHERS = [f"local-sgd:U={u}" for u in range(1, 41)]


class Counted:
    """Trials whose cost is U: of local SGD less than of STSyn."""

    class progress:
        n_there = 0

        @staticmethod
        def begin(n_wanted):
            """Take any number."""

    def __init__(self, cpu_s=0.0):
        self.cpu_s, self.limits, self.made = cpu_s, {}, []

    def make(self, candidate, seed, limit_s):
        self.limits[candidate.label, seed] = limit_s
        self.made.append((candidate.label, seed))
        if candidate.label == "local-sgd:U=3":
            raise TooLongError("too long")
        cost_s = float(candidate.target_updates)
        reached = cost_s if limit_s is None or cost_s <= limit_s else math.inf
        return Trial(seed, reached, 1.0, 1.0, self.cpu_s)


def race(trials, always=(), budget_s=1e6, **options):
    one = Race(trials, Budget(budget_s), 5, 8, frozenset(always), **options)
    return one, one.run([make_candidate(it, 8, 4, 1) for it in (*OTHERS, *STSYN)])


def test_the_fewer_are_left_the_more_seeds_each_is_given():
    trials = Counted()
    _, standings = race(trials)
    n_seeds = {it.candidate.label: len(it.trials) for it in standings}
    # Of the forty the third takes too long, and is out.
    assert [n for _, n in sorted(n_seeds.items())].count(1) == 59 - 16 - 2
    assert [it for it in n_seeds if n_seeds[it] == 8] == [
        *("local-sgd:U=1", "local-sgd:U=2"),
        *(f"local-sgd:U={u}" for u in range(4, 10)),
        *("stsyn:K=4,U=101", "stsyn:K=4,U=102"),
    ]
    assert {seed for _, seed in trials.made} == set(range(5, 13))


def test_what_the_run_has_is_given_all_seeds_however_bad():
    _, standings = race(Counted(), always=["local-sgd:U=40"])
    n_seeds = {it.candidate.label: len(it.trials) for it in standings}
    assert (n_seeds["local-sgd:U=40"], n_seeds["local-sgd:U=39"]) == (8, 1)


def test_stsyn_and_the_runs_own_have_longer_to_reach_the_target():
    trials = Counted()
    _, standings = race(trials, always=["local-sgd:U=40"], reach_s=9.0)
    # The first took one second, so that is what the others are held against.
    assert trials.limits["local-sgd:U=2", 5] == 8.0
    assert (
        trials.limits["local-sgd:U=40", 5]
        == trials.limits["stsyn:K=4,U=101", 5]
        == 50.0
    )
    n_reached = {it.candidate.label: it.n_reached for it in standings}
    assert [label for label, n in n_reached.items() if n] == [
        *("local-sgd:U=1", "local-sgd:U=2"),
        *(f"local-sgd:U={u}" for u in (4, 5, 6, 7, 8, 40)),
    ]


def test_the_budget_ends_it_and_the_first_were_tried():
    one, standings = race(Counted(cpu_s=1e5), budget_s=1e6)
    assert one.ended_early
    assert {len(it.trials) for it in standings} == {1}
    one, standings = race(Counted(), budget_s=1e-9)
    assert (one.ended_early, standings) == (True, [])


@pytest.mark.parametrize("costs", [[2.0, math.inf], [math.inf, 2.0]])
def test_a_mean_is_infinite_where_one_never_arrives(costs):
    trials = [Trial(n, cost, 1.0, 1.0, 0.0) for n, cost in enumerate(costs)]
    standing = Standing(make_candidate("stsyn", 8, 4, 1), trials)
    assert (standing.mean_s, standing.n_reached) == (math.inf, 1)


def test_what_was_left_out_of_the_rounds_is_said_after_training_too(
    monkeypatch, tmp_path
):
    """Two races, of which the first alone ended early."""
    ended = iter([True, False])

    class Short(Race):
        def run(self, candidates):
            self.ended_early = next(ended)
            return [Standing(it, [Trial(0, 1.0, 1.0, 1.0, 0.0)]) for it in candidates]

    monkeypatch.setattr(judging, "Race", Short)
    monkeypatch.setattr(judging, "find_reach", lambda *_: 1.0)
    own = make_candidate("stsyn", 8, 4, 1)
    request, quiet = Request(tmp_path / "run.h5", target=0.5), Counted.progress
    judged = judging.judge(request, SimulateConfig(), Worth(1.0), [own], own, quiet)
    assert judged.ended_early
