"""The warning about fast workers and data of their own."""

import pytest

from stsyn_mpi.caveats import bias_of
from stsyn_mpi.config import TrainConfig

UNEQUAL = {
    "partition": "shards",
    "delay": "exponential:mean=1,factors=1/1/4",
    "strategy": "stsyn",
}


def caveat(**options):
    return bias_of(TrainConfig(**{**UNEQUAL, **options}).resolved(3))


def test_speed_differences_and_data_of_ones_own_together_bias():
    assert "steers to the data of the fast ones; --weights nova" in caveat()
    assert "nova" in caveat(weights="uniform", partition="dirichlet:alpha=0.1")


@pytest.mark.parametrize(
    "options",
    [
        {"partition": "iid"},
        {"delay": "exponential:mean=1"},
        {"delay": "exponential:mean=1,factors=3*2"},
        {"weights": "nova"},
        {"strategy": "local-sgd"},
        {"strategy": "fednova"},
    ],
)
def test_one_of_them_alone_does_not(options):
    assert caveat(**options) is None


def test_where_stragglers_do_not_count_no_weights_help():
    words = caveat(strategy="k-sync")
    assert "k-sync steers" in words
    assert "weights" not in words
