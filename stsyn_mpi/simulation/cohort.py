"""Workers that started together, in the order in which they reach their targets."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import numpy as np


class Cohort:
    """One entry of the event heap stands for all workers that began at an instant.

    So a round in which K of M workers are waited for makes K entries, not M.

    Parameters
    ----------
    workers
        Their indices, in rising order.
    target_t
        Virtual seconds at which each reaches its target, shape (n,).
    tokens
        Number of each worker's present task; another number means it has ended.
    """

    def __init__(
        self, workers: Sequence[int], target_t: np.ndarray, tokens: Sequence[int]
    ) -> None:
        order = np.argsort(target_t, kind="stable").tolist()
        self._workers = [workers[place] for place in order]
        self._tokens = [tokens[place] for place in order]
        self._times = target_t[order].tolist()
        self._at = 0

    def due_t(self, tokens: Sequence[int]) -> float:
        """Return when the next of them reaches its target; infinite for none left.

        Parameters
        ----------
        tokens
            Number of the present task of every worker of the run.
        """
        for at in range(self._at, len(self._workers)):
            if tokens[self._workers[at]] == self._tokens[at]:
                self._at = at
                return float(self._times[at])
        self._at = len(self._workers)
        return inf

    def take(self, tokens: Sequence[int]) -> int | None:
        """Return the worker that was due, None if its task has ended meanwhile."""
        worker, token = self._workers[self._at], self._tokens[self._at]
        self._at += 1
        return worker if tokens[worker] == token else None
