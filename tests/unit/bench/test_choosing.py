"""The study of docs/choosing.md: one training stands for all costs of a round."""

import numpy as np
import pytest

from stsyn_mpi.bench import choosing
from stsyn_mpi.bench.choosing import COSTS_S, LAWS, SCHEMES, Reached
from stsyn_mpi.bench.choosing_plots import figures


def test_a_cost_of_the_round_moves_nothing_but_the_clock(tmp_path):
    options = {"strategy": "stsyn", "delay": LAWS["exponential"], "lr": 0.1}
    free = choosing.run_once(tmp_path / "run.h5", **options)
    dear = choosing.run_once(tmp_path / "run.h5", network="constant:cost=3s", **options)
    assert free[1] == dear[1] > 1
    at = Reached(np.array([free[0]]), np.array([free[1]])).at(np.array([3.0]))
    assert dear[0] == pytest.approx(at[0, 0])


def test_break_even_is_where_both_are_as_fast():
    base = Reached(np.array([100.0]), np.array([10.0]))
    other = Reached(np.array([30.0]), np.array([80.0]))
    cost = other.break_even(base)
    assert cost == [1.0]
    assert other.at(cost) == base.at(cost)


def test_tables_and_figures_show_every_law_and_scheme():
    rng = np.random.default_rng(0)
    results = {
        (law, partition, scheme): Reached(*(1 + rng.random((2, 3))))
        for law in LAWS
        for partition in choosing.PARTITIONS
        for scheme in (choosing.BASE, *SCHEMES)
    }
    lines = list(choosing.tables(results))
    assert len(lines) == 2 + len(LAWS) * len(choosing.PARTITIONS)
    communication, data = (figure for _, figure in figures(results))
    assert [axes.get_title() for axes in communication.axes] == list(LAWS)
    assert all("mean update" in axes.get_xlabel() for axes in communication.axes[2:])
    assert all(axes.get_title() for axes in data.axes)
    assert COSTS_S[0] == 0.0
