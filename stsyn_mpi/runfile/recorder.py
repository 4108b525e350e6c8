"""From what coordinator and driver know of a round to a row of the run file."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isnan, nan
from operator import attrgetter

import numpy as np

from stsyn_mpi.protocol.events import Event
from stsyn_mpi.protocol.journal import to_line
from stsyn_mpi.protocol.records import Change, RoundRecord
from stsyn_mpi.runfile.blocks import RoundBlock
from stsyn_mpi.runfile.writer import RunWriter

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
_same_in_row = attrgetter(*_SAME_IN_ROW)

_BATCH_ROUNDS = 512
_BATCH_ENTRIES = 1 << 18
_BATCH_S = 1.0


@dataclass(slots=True)
class RoundTimings:
    """Times of a round on the root's clock, seconds; ``*_t`` since the run began."""

    first_send_t: float = nan
    last_delivery_t: float = nan
    aggregate_s: float = 0.0
    complete_t: float = nan


class RunRecorder:
    """Collects what belongs to a round and commits it as one row.

    In batches it commits hundreds of short rounds at once, but never holds a closed
    round back for much longer than a second, nor more than some megabytes.

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
    in_batches
        Whether rounds are committed in batches, for machines that make thousands of
        rounds a second.
    """

    def __init__(
        self,
        writer: RunWriter,
        n_workers: int,
        model_bytes: int,
        learning_rate: Callable[[int], float],
        *,
        records_events: bool,
        in_batches: bool = False,
    ) -> None:
        self.writer = writer
        self._model_bytes = model_bytes
        self._learning_rate = learning_rate
        self._records_events = records_events
        self._in_batches = in_batches
        self._n_workers = n_workers
        self._durations: dict[int, tuple[float, ...]] = {}
        self._events: list[str] = []
        self._changes: list[Change] = []
        self._block = RoundBlock(n_workers)
        self._n_kept, self._committed_t = 0, time.monotonic()

    def note_event(self, event: Event) -> None:
        """Keep an event for the group ``/events``, if events are recorded."""
        if self._records_events:
            self._events.append(to_line(event))
            self._n_kept += 1

    def note_change(self, change: Change) -> None:
        """Keep a change of K and U, which is committed with the row of its round."""
        self._changes.append(change)

    def note_durations(self, worker: int, seconds: Sequence[float]) -> None:
        """Keep a worker's durations of the open round, in the order of the wire.

        Those of several answers of a round add up; the time to the target is the
        last one's.
        """
        earlier = self._durations.get(worker)
        if earlier is not None:
            seconds = _both(earlier, seconds)
        self._durations[worker] = tuple(seconds)

    def note_updates(self, worker: int, round_index: int, rows: np.ndarray) -> None:
        """Keep times of local updates, shape (n, 4): start, injected, work, completed.

        The rows are copied.
        """
        table = np.empty((len(rows), rows.shape[1] + 2))
        table[:, 0], table[:, 1], table[:, 2:] = round_index, worker, rows
        self.note_update_rows(table)

    def note_update_rows(self, rows: np.ndarray) -> None:
        """Keep rows of `RunWriter.append_updates`, shape (n, 6)."""
        self._n_kept += len(rows)
        self.writer.append_updates(rows)

    def flush_events(self) -> None:
        """Hand the events kept so far to the writer."""
        if self._events:
            self.writer.append_events(self._events)
            self._events = []

    def close_round(self, record: RoundRecord, timings: RoundTimings) -> None:
        """Make the row of a closed round, and start afresh.

        In batches it commits what is due. Else the row waits for `commit`, at the
        latest in the next round: writing takes longer than making it, and who drives
        the round knows a better moment.
        """
        if not self._in_batches:
            self.commit()
        self._block.add(self._row(record, timings), record, self._durations)
        self._durations = {}
        self._n_kept += self._n_workers
        if self._in_batches and self._is_batch_due():
            self.commit()

    def _is_batch_due(self) -> bool:
        return (
            len(self._block) >= _BATCH_ROUNDS
            or self._n_kept >= _BATCH_ENTRIES
            or time.monotonic() - self._committed_t > _BATCH_S
        )

    def _row(self, record: RoundRecord, timings: RoundTimings) -> dict[str, float]:
        first_send_t, n_bytes = timings.first_send_t, self._model_bytes
        return {
            **dict(zip(_SAME_IN_ROW, _same_in_row(record), strict=True)),
            "wall_s": timings.complete_t,
            # Work held back from the round before may be there at its start.
            "kth_arrival_s": max(record.kth_arrival_t - first_send_t, 0.0),
            "collect_s": record.collected_t - record.closed_t,
            "aggregate_s": timings.aggregate_s,
            "broadcast_s": timings.last_delivery_t - first_send_t,
            "bytes_up": record.models_up * n_bytes,
            "bytes_down": record.models_down * n_bytes,
            "lr": self._learning_rate(record.round),
            "test_loss": nan,
            "test_accuracy": nan,
            "eval_s": nan,
        }

    def commit(self) -> None:
        """Commit the rows of closed rounds that are not committed yet."""
        if len(self._block):
            self.flush_events()
            self._hand_over_changes(self.writer.n_rounds + len(self._block))
            block, self._block = self._block, RoundBlock(self._n_workers)
            self.writer.commit_columns(block.columns())
            self._n_kept, self._committed_t = 0, time.monotonic()

    def _hand_over_changes(self, n_rounds: int) -> None:
        """Hand the changes of the first rounds to the writer."""
        while self._changes and self._changes[0].round < n_rounds:
            change = self._changes.pop(0)
            self.writer.append_change(
                change.round, change.wait_for, change.target_updates, change.reason
            )

    def fill_evaluation(
        self, round_index: int, loss: float, accuracy: float, eval_s: float
    ) -> None:
        """Fill the evaluation of a closed round's model in (mean loss, share, s)."""
        place = round_index - self.writer.n_rounds
        if place < 0:
            self.writer.fill_evaluation(round_index, loss, accuracy, eval_s)
            return
        row = self._block.rows[place]
        row["test_loss"], row["test_accuracy"], row["eval_s"] = loss, accuracy, eval_s


def _both(first: Sequence[float], second: Sequence[float]) -> list[float]:
    """Return the durations of two answers: their sums, and the later target time."""
    sums = [b if isnan(a) else a + b for a, b in zip(first, second, strict=True)]
    return [second[0], *sums[1:]]
