"""What speaks against the advice."""

import pytest

from stsyn_mpi.simulate_config import SimulateConfig
from stsyn_mpi.tuning.candidates import make_candidate
from stsyn_mpi.tuning.cautions import cautions
from stsyn_mpi.tuning.request import Request

TRIED = [
    make_candidate(text, 8, 4, 1)
    for text in ("stsyn:K=4,U=10", "stsyn:K=8,U=50", "local-sgd:U=100", "k-sync:K=4")
]


def said(best="stsyn:K=4,U=10", target=None, workers=8, own=None, **options):
    config = SimulateConfig(
        workers=workers, delay="exponential:mean=20ms", rounds=1, **(own or {})
    )
    common = config if not options else SimulateConfig(workers=workers, **options)
    request = Request("run.h5", target=target)
    found = make_candidate(best, workers, 4, 1)
    return " ".join(cautions(request, config, common, found, [*TRIED, found]))


def test_a_choice_inside_the_grid_has_nothing_against_it():
    assert said() == ""
    assert said("k-sync:K=4") == ""


def test_the_greatest_u_of_a_scheme_may_not_be_the_best():
    assert "U = 50 is the greatest that was tried of stsyn" in said("stsyn:K=8,U=50")
    # One U alone was asked for.
    assert said("local-sgd:U=100") == ""


def test_what_a_trace_has_is_the_same_for_every_seed():
    words = said(delay="trace:file=runs/a.h5")
    assert "chance is not in the intervals" in words


@pytest.mark.parametrize(("target", "is_said"), [(0.9, True), (None, False)])
def test_a_schedule_is_not_followed(target, is_said):
    words = said(target=target, own={"lr_schedule": "cosine"})
    assert ("lr-schedule cosine was not followed" in words) is is_said


@pytest.mark.parametrize(("workers", "is_said"), [(300, False), (1000, True)])
def test_old_gradients_of_many_workers_are_younger_than_they_would_be(workers, is_said):
    assert ("younger" in said("async", workers=workers)) is is_said
    assert "younger" not in said("k-sync:K=4", workers=workers)
