"""From what coordinator and driver know of a round to a row of the run file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isnan, nan

import numpy as np

from stsyn_mpi.protocol.events import Event
from stsyn_mpi.protocol.journal import to_line
from stsyn_mpi.protocol.records import RoundRecord
from stsyn_mpi.runfile.writer import Row, RunWriter

_SAME_IN_ROW = (
    "round",
    "grace_s",
    "n_uploaders",
    "n_uploads",
    "n_late",
    "n_hung",
    "n_lost",
    "n_stale",
    "uploads_refused",
    "updates_done",
    "updates_used",
    "updates_dropped",
    "updates_cancelled",
    "models_up",
    "models_down",
    "train_loss",
    "target_updates",
    "wait_for",
)
_WORKER_DURATIONS = ("target_s", "compute_s", "injected_s", "cancelled_s", "idle_s")


@dataclass(slots=True)
class RoundTimings:
    """Times of a round on the root's clock, seconds; ``*_t`` since the run began."""

    first_send_t: float = nan
    last_delivery_t: float = nan
    aggregate_s: float = 0.0
    complete_t: float = nan


class RunRecorder:
    """Collects what belongs to a round and commits it as one row.

    Parameters
    ----------
    writer
        The open run file.
    n_workers
        M.
    model_bytes
        Bytes of one parameter vector.
    learning_rate
        From round index to the local learning rate.
    records_events
        Whether `note_event` keeps anything.
    """

    def __init__(
        self,
        writer: RunWriter,
        n_workers: int,
        model_bytes: int,
        learning_rate: Callable[[int], float],
        *,
        records_events: bool,
    ) -> None:
        self.writer = writer
        self._model_bytes = model_bytes
        self._learning_rate = learning_rate
        self._records_events = records_events
        self._durations = {name: np.full(n_workers, nan) for name in _WORKER_DURATIONS}
        self._events: list[str] = []
        self._pending: Row | None = None

    def note_event(self, event: Event) -> None:
        """Keep an event for the group ``/events``, if events are recorded."""
        if self._records_events:
            self._events.append(to_line(event))

    def note_durations(self, worker: int, seconds: Sequence[float]) -> None:
        """Keep a worker's durations of the open round, in the order of the wire.

        Those of several answers of a round add up; the time to the target is the
        last one's.
        """
        for name, value in zip(_WORKER_DURATIONS, seconds, strict=True):
            durations = self._durations[name]
            is_first = name == "target_s" or isnan(durations[worker])
            durations[worker] = value if is_first else durations[worker] + value

    def note_updates(self, worker: int, round_index: int, rows: np.ndarray) -> None:
        """Keep times of local updates, shape (n, 4): start, injected, work, completed.

        The rows are copied.
        """
        table = np.empty((len(rows), rows.shape[1] + 2))
        table[:, 0], table[:, 1], table[:, 2:] = round_index, worker, rows
        self.writer.append_updates(table)

    def note_update_rows(self, rows: np.ndarray) -> None:
        """Keep rows of `RunWriter.append_updates`, shape (n, 6)."""
        self.writer.append_updates(rows)

    def flush_events(self) -> None:
        """Hand the events kept so far to the writer."""
        if self._events:
            self.writer.append_events(self._events)
            self._events = []

    def close_round(self, record: RoundRecord, timings: RoundTimings) -> None:
        """Make the row of a closed round, commit the one before, start afresh.

        The row itself waits for `commit`: writing takes longer than making it, and
        who drives the round knows a better moment.
        """
        self.commit()
        first_send_t = timings.first_send_t
        row: Row = {name: getattr(record, name) for name in _SAME_IN_ROW}
        row = {
            **row,
            "wall_s": timings.complete_t,
            # Work held back from the round before may be there at its start.
            "kth_arrival_s": np.maximum(record.kth_arrival_t - first_send_t, 0.0),
            "collect_s": record.collected_t - record.closed_t,
            "aggregate_s": timings.aggregate_s,
            "broadcast_s": timings.last_delivery_t - first_send_t,
            "bytes_up": record.models_up * self._model_bytes,
            "bytes_down": record.models_down * self._model_bytes,
            "lr": self._learning_rate(record.round),
            "worker_updates": np.asarray(record.worker_updates),
            "worker_status": np.asarray(record.worker_status),
            "worker_staleness": np.asarray(record.worker_staleness),
            **{f"worker_{name}": a.copy() for name, a in self._durations.items()},
        }
        self._pending = row
        for array in self._durations.values():
            array.fill(nan)

    def commit(self) -> None:
        """Commit the row of the last closed round, if that is still to be done."""
        if self._pending is not None:
            self.flush_events()
            row, self._pending = self._pending, None
            self.writer.commit_round(row)

    def fill_evaluation(
        self, round_index: int, loss: float, accuracy: float, eval_s: float
    ) -> None:
        """Fill the evaluation of a closed round's model in (mean loss, share, s)."""
        self.commit()
        self.writer.fill_evaluation(round_index, loss, accuracy, eval_s)
