"""Virtual workers whose speed changes at some moment of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from stsyn_mpi.simulation.delays import DelayLaw
from stsyn_mpi.simulation.virtual_delay import parse_virtual_delay
from stsyn_mpi.simulation.workers import Task, VirtualWorkers


class ChangingWorkers(VirtualWorkers):
    """Two teams of workers of which one is at work at a time.

    Parameters
    ----------
    before, after
        Who works on models had before ``at_s``, and who from then on.
    at_s
        Virtual seconds.
    """

    def __init__(
        self, before: VirtualWorkers, after: VirtualWorkers, at_s: float
    ) -> None:
        self._before, self._after, self._at_s = before, after, at_s
        self._at_work = before

    def begin(self, workers: Sequence[int], task: Task) -> np.ndarray:
        """Let those whose turn it is start on a model; see `VirtualWorkers`."""
        is_late = task.had_t >= self._at_s
        self._at_work = self._after if is_late else self._before
        return self._at_work.begin(workers, task)

    def __getattribute__(self, name: str) -> Any:
        """Return everything else from those at work."""
        own = object.__getattribute__
        if name in ("begin", "_before", "_after", "_at_s", "_at_work"):
            return own(self, name)
        return getattr(own(self, "_at_work"), name)


def changing_at(
    at_s: float,
    later: str,
    seed: int,
    law: DelayLaw,
    n_workers: int,
    target_updates: int,
) -> VirtualWorkers:
    """Make workers of a law that is another one, ``later``, from ``at_s`` on."""
    before = VirtualWorkers(law, n_workers, target_updates)
    if not later:
        return before
    law = parse_virtual_delay(later, seed, n_workers)
    after = VirtualWorkers(law, n_workers, target_updates)
    return ChangingWorkers(before, after, at_s)
