"""What breaks the model of independent update times from one law, in a run.

Predictions, fits and advice assume that every local update draws its time anew from
one law (or each worker from one of its own). Four tests look for what is otherwise:
docs/assumptions.md says how, and how often they are wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import numpy as np

from stsyn_mpi.analysis.arrivals import round_kind
from stsyn_mpi.analysis.fitting.drift_tests import find_drift
from stsyn_mpi.analysis.fitting.evidence import (
    LEAST_COMPLETED,
    LEAST_ROWS,
    is_beyond_chance,
    untold,
)
from stsyn_mpi.analysis.fitting.evidence import ViolationTest as ViolationTest
from stsyn_mpi.analysis.fitting.part_draws import always_the_same
from stsyn_mpi.analysis.fitting.round_draws import Draws
from stsyn_mpi.analysis.fitting.round_tests import (
    compare_own_updates,
    compare_workers_of_a_round,
)
from stsyn_mpi.analysis.fitting.speed_tests import compare_speeds
from stsyn_mpi.analysis.fitting.spells import spell_inflation
from stsyn_mpi.analysis.fitting.update_grid import UpdateGrid, make_grid
from stsyn_mpi.analysis.fitting.update_times import (
    SHORTEST_S,
    UpdateTimes,
    update_times,
    without_rounding,
)
from stsyn_mpi.analysis.fitting.violation_words import summary_words
from stsyn_mpi.analysis.stuck import stuck_words
from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile.reader import Run

NAMES = ("speeds", "round", "shared", "drift")
_BLOCKS = 10
_CONSTANT = "All completed updates of a worker took the same time."
_OF_OPEN_RUNS: WeakKeyDictionary[Run, Violations] = WeakKeyDictionary()
"""Fit, bias and report ask for the same."""


@dataclass(frozen=True)
class Violations:
    """What the tests say of a run.

    Attributes
    ----------
    tests : tuple of ViolationTest
        ``speeds``, ``round``, ``shared`` and ``drift``.
    words : str
        Which assumption fails and what follows, or that none does; and who was stuck,
        which update times do not tell.
    """

    tests: tuple[ViolationTest, ...]
    words: str

    def of(self, name: str) -> ViolationTest:
        """Return the test of a name."""
        return next(test for test in self.tests if test.name == name)


def find_violations(run: Run) -> Violations:
    """Test a run's update times for what breaks the model.

    Parameters
    ----------
    run : Run
        An open run. Of a long one a sample of the updates is looked at.

    Returns
    -------
    Violations
        With no p values, and why, where nothing was recorded or too little.

    Raises
    ------
    InputError
        If the file is damaged where the round table is read.
    """
    if run not in _OF_OPEN_RUNS:
        found = _find(run)
        words = " ".join(filter(None, (found.words, stuck_words(run))))
        _OF_OPEN_RUNS[run] = replace(found, words=words)
    return _OF_OPEN_RUNS[run]


def _find(run: Run) -> Violations:
    try:
        times = update_times(run)
    except InputError as error:
        return _untold(f"{error}; so nothing is known of their times.")
    if run.clock == "wall":
        # In the first round of a real run caches and clocks are still cold.
        times = _without_round_0(times)
    kind = round_kind(run.config)
    n_done = run["updates_done"] if kind.starts_together else None
    return judge_updates(times, n_done, starts_together=kind.starts_together)


def judge_updates(
    times: UpdateTimes,
    n_done: np.ndarray | None = None,
    *,
    starts_together: bool = True,
) -> Violations:
    """Test update times from anywhere.

    Parameters
    ----------
    times : UpdateTimes
        The updates.
    n_done : numpy.ndarray or None
        Completed updates of each round, (n_rounds,), by which rounds of which some
        are missing are known; None if none are.
    starts_together : bool
        Whether the workers of a round begin it together.
    """
    n_completed = int(times.is_completed.sum())
    if n_completed < LEAST_COMPLETED:
        return _untold(
            f"Too few updates to tell: {n_completed} completed, and {LEAST_COMPLETED} "
            "are needed."
        )
    draws, n_workers = _told(times), times.n_workers
    grid = make_grid(
        draws.worker,
        draws.round,
        draws.seconds,
        ~draws.is_censored,
        n_workers,
        starts_together=starts_together,
    )
    if grid.n_rows < LEAST_ROWS:
        return _untold(
            f"Too few rounds to tell: {grid.n_rows}, and {LEAST_ROWS} are needed."
        )
    if n_done is not None:
        grid = replace(grid, is_whole=_is_whole(grid, times, n_done))
    if always_the_same(draws, n_workers):
        return _of_constant_times(grid)
    return _judge(grid)


def _told(times: UpdateTimes) -> Draws:
    """Return all updates but those that were cut as they began."""
    seconds = np.maximum(times.seconds("together"), SHORTEST_S)
    told = times.is_completed | (seconds > SHORTEST_S)
    return Draws(
        times.worker[told],
        times.round[told],
        without_rounding(seconds[told]),
        ~times.is_completed[told],
    )


def _of_constant_times(grid: UpdateGrid) -> Violations:
    """Return that workers may differ, and that nothing else can be told."""
    speeds = compare_speeds(grid)
    tests = (speeds, *(untold(name, _CONSTANT) for name in NAMES[1:]))
    return Violations(tests, summary_words(tests, 1.0))


def _judge(grid: UpdateGrid) -> Violations:
    spells = spell_inflation(grid)
    speeds, drift = compare_speeds(grid, spells), find_drift(grid, spells)
    # What differs for good, or changes for good, would make rounds look alike: of
    # times that hardly vary a little is enough.
    if is_beyond_chance(speeds):
        grid = grid.alike(grid.worker, grid.n_workers)
    if is_beyond_chance(drift):
        grid = grid.alike(grid.row * _BLOCKS // grid.n_rows, _BLOCKS)
    own = compare_own_updates(grid)
    # Residuals of workers whose own updates are alike hang together through the close
    # of the round: their first updates do not.
    first = grid.only(grid.place == 0) if own.is_violated else grid
    shared = compare_workers_of_a_round(first)
    tests = (speeds, own, shared, drift)
    return Violations(tests, summary_words(tests, spells))


def _is_whole(grid: UpdateGrid, times: UpdateTimes, n_done: np.ndarray) -> np.ndarray:
    """Whether all updates that the round table counts are known, bool (n_rows,)."""
    rounds, index = np.unique(times.round, return_inverse=True)
    found = np.bincount(index, times.is_completed, len(rounds))
    found = found[np.searchsorted(rounds, grid.round_of_row)]
    inside = (grid.round_of_row >= 0) & (grid.round_of_row < len(n_done))
    counted = n_done[np.where(inside, grid.round_of_row, 0)]
    whole: np.ndarray = inside & (found >= counted)
    return whole


def _without_round_0(times: UpdateTimes) -> UpdateTimes:
    kept = times.round > 0
    return UpdateTimes(
        times.worker[kept],
        times.round[kept],
        times.start_s[kept],
        times.injected_s[kept],
        times.work_s[kept],
        times.is_completed[kept],
        times.until_next_s[kept],
        times.n_workers,
    )


def _untold(why: str) -> Violations:
    return Violations(tuple(untold(name, why) for name in NAMES), why)
