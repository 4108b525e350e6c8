"""The durations of a worker's work go to the row in which the work counts."""

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from stsyn_mpi.protocol.coordinator import Coordinator


class DurationsSink(Protocol):
    """Where durations of the open round are kept."""

    def note_durations(self, worker: int, seconds: Sequence[float]) -> None:
        """Keep a worker's durations of the open round."""


class DurationsBook:
    """Holds durations back as long as the coordinator holds back their answer.

    Parameters
    ----------
    coordinator
        Knows whose work counts where.
    sink
        Gets the durations.
    """

    def __init__(self, coordinator: Coordinator, sink: DurationsSink) -> None:
        self._coordinator, self._sink = coordinator, sink
        self._held: deque[tuple[int, Sequence[float]]] = deque()

    def note(self, worker: int, round_index: int, seconds: Sequence[float]) -> None:
        """Take the durations of an answer, before the coordinator gets it.

        Those of late and of stale work belong to no row.
        """
        state = self._coordinator.workers[worker]
        if not state.is_working or state.is_late or round_index != state.base_round:
            return
        if self._coordinator.is_ahead(state):
            self._held.append((worker, seconds))
        else:
            self._sink.note_durations(worker, seconds)

    def release(self) -> None:
        """Pass on what is held back no longer, when a row has been closed.

        The coordinator takes up the oldest answers first.
        """
        workers, held = self._coordinator.workers, self._held
        while held and not workers[held[0][0]].is_working:
            self._sink.note_durations(*held.popleft())
