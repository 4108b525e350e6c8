"""Which candidates there are, and which of them theory leaves out."""

import pytest

from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile.reader import open_run
from stsyn_mpi.simulate_config import SimulateConfig
from stsyn_mpi.strategies import strategy_names
from stsyn_mpi.tuning.candidates import fitting, make_candidate, rounds_for
from stsyn_mpi.tuning.grid import Wishes, make_grid, read_wishes
from stsyn_mpi.tuning.machine import machine_of
from stsyn_mpi.tuning.pruning import expected_worth_per_s, prune
from stsyn_mpi.tuning.worth import Worth


def labels(n_workers=8, **wishes):
    texts = read_wishes(*(wishes.get(key) for key in ("strategies", "k", "u")))
    return [it.label for it in make_grid(texts, n_workers, 0.02)]


def test_every_scheme_is_there_and_none_twice():
    grid = make_grid(Wishes(), 20, 0.02)
    assert {it.name for it in grid} == set(strategy_names())
    assert len({it.label for it in grid}) == len(grid)
    common = SimulateConfig(workers=20, delay="exponential:mean=20ms")
    assert fitting(grid, common) == (grid, [])


def test_k_and_u_stand_where_a_scheme_takes_them():
    found = labels(strategies="stsyn,sync-sgd,k-sync,local-sgd,async", k="2,9", u="3")
    assert found == [
        "stsyn:K=2,U=3",
        "sync-sgd",
        "k-sync:K=2",
        "local-sgd:U=3",
        "async",
    ]
    assert labels(strategies="stsyn:K=5,U=7", k="1") == ["stsyn:K=5,U=7"]
    # A batch of gradients may have many from each worker.
    assert labels(strategies="k-batch-sync", k="99") == ["k-batch-sync:K=99"]


def test_own_parameters_stay_and_adacomm_has_an_interval_that_fits():
    assert labels(strategies="flanp:first=4", u="5") == ["flanp:U=5,first=4"]
    assert labels(strategies="adacomm", u="5") == ["adacomm:U=5,interval=2"]
    assert labels(strategies="adacomm:interval=7", u="5") == ["adacomm:U=5,interval=7"]


def test_a_single_worker_has_candidates():
    assert "stsyn:K=1,U=10" in labels(n_workers=1)


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({"k": "0"}, "-K must be whole numbers from 1 to 10000"),
        ({"u": "5,x"}, "-U must be whole numbers"),
        ({"strategies": "stsin"}, "did you mean 'stsyn'"),
        ({"strategies": "stsyn", "k": "9"}, "none of them is at most M = 8"),
        (
            {
                "k": ",".join(map(str, range(1, 9))),
                "u": ",".join(map(str, range(1, 999))),
            },
            "more than 2,000 candidates",
        ),
    ],
)
def test_what_gives_no_candidates_is_said(wishes, words):
    with pytest.raises(InputError, match=words):
        labels(**wishes)


def test_what_does_not_go_with_the_run_is_left_out_and_said():
    common = SimulateConfig(
        workers=8, delay="exponential:mean=20ms", weights="nova", momentum=0.9
    )
    grid = [make_candidate(it, 8, 4, 10) for it in ("stsyn", "k-batch-sync", "rennala")]
    good, refused = fitting(grid, common)
    assert [it.name for it in good] == ["stsyn"]
    assert [line.split(":")[0] for line in refused] == ["k-batch-sync", "rennala"]


def test_schemes_that_go_on_with_few_uploads_are_given_more_rounds():
    assert rounds_for(make_candidate("stsyn:K=2", 8, 4, 10), 8, 100) == 100
    assert rounds_for(make_candidate("async", 8, 4, 10), 8, 100) == 800
    assert rounds_for(make_candidate("k-batch-sync:K=4", 8, 4, 10), 8, 100) == 200


def test_theory_keeps_the_best_of_each_scheme(costly):
    with open_run(costly) as run:
        machine = machine_of(run)
    grid, worth = make_grid(Wishes(), 8, 0.02), Worth(2.0)
    kept = prune(grid, machine, worth)
    assert {it.name for it in kept} == {it.name for it in grid}
    assert len(kept) < len(grid) / 2
    of_paper = [it for it in grid if it.name == "stsyn"]
    best = max(of_paper, key=lambda it: expected_worth_per_s(it, machine, worth))
    assert best in kept
    # Where a round costs five updates, rounds of two are not it.
    assert best.target_updates > 2
