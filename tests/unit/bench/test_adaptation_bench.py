"""The study of adapted K and U: speeds that change, and what its rows say."""

from functools import partial
from math import inf

import numpy as np

import stsyn_mpi
from stsyn_mpi.bench import adaptation
from stsyn_mpi.bench.adaptation import Condition, Terms, row_of, tables, time_to_target
from stsyn_mpi.bench.adaptation_conditions import CHANGING, SERIAL, STEADY
from stsyn_mpi.bench.changing_workers import changing_at
from stsyn_mpi.run_simulation import simulate
from stsyn_mpi.simulate_config import SimulateConfig


def test_speeds_change_at_their_time(tmp_path):
    config = SimulateConfig(
        workers=3,
        wait_for=2,
        target_updates=4,
        delay="constant:mean=1s",
        timing_only=True,
        rounds=10,
        out=str(tmp_path / "run.h5"),
    )
    workers = partial(changing_at, 10.0, "constant:mean=250ms", 0)
    path = simulate(config, make_workers=workers).path
    with stsyn_mpi.open_run(path) as run:
        lasted = np.diff(run["wall_s"], prepend=0.0)
    # The round that was under way at 10 s is not cut.
    np.testing.assert_allclose(lasted, [4.0] * 3 + [1.0] * 7)


def test_a_run_ends_at_its_target_loss_or_when_nobody_waits_any_more(monkeypatch):
    condition, terms = Condition("constant:mean=1s"), Terms(5, 4)
    monkeypatch.setattr(adaptation, "TARGET_LOSS", 2.0)
    t = time_to_target(condition, terms, 0)
    assert t % 4 == 0
    assert t < 400
    assert time_to_target(condition, terms, 0, limit_s=t - 5) == inf


def test_a_row_has_the_best_fixed_terms_and_the_ratio_of_medians():
    found = {
        "adapt from K=5, U=1": [12.0, 11.0, 10.0],
        "K=1, U=1": [10.0, 9.0, 11.0],
        "K=5, U=1": [8.0, inf, inf],
    }
    row = row_of(Condition("pareto:mean=1s,shape=2", 5.0, "shards"), found)
    assert row == (
        "| `pareto:shape=2` | shards | 5 s | K=1, U=1: 10 (9 to 11) | "
        "11 (10 to 12), 1.10 |"
    )


def test_single_rows_are_chosen_by_a_text_of_them():
    steady, changing = tables("serial")
    assert [condition.network for condition in steady] == [SERIAL]
    assert changing == []
    assert [len(table) for table in tables()] == [len(STEADY), len(CHANGING)]
