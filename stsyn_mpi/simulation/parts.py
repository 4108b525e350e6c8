"""What a virtual machine is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from stsyn_mpi.news import News
from stsyn_mpi.protocol import events as ev
from stsyn_mpi.protocol.records import Change, RoundRecord
from stsyn_mpi.runfile.recorder import RoundTimings
from stsyn_mpi.simulation.network import Network
from stsyn_mpi.simulation.training import Training
from stsyn_mpi.simulation.workers import VirtualWorkers


class Recorder(Protocol):
    """Where rounds are written; see `stsyn_mpi.runfile.recorder`."""

    def note_event(self, event: ev.Event) -> None:
        """Keep an event, if events are recorded."""

    def commit(self) -> None:
        """Write the rows still held back."""

    def flush_events(self) -> None:
        """Write the events still held back."""

    def note_durations(self, worker: int, seconds: Sequence[float]) -> None:
        """Keep a worker's durations of the open round."""

    def note_update_rows(self, rows: np.ndarray) -> None:
        """Keep rows of the updates table, shape (n, 6)."""

    def close_round(self, record: RoundRecord, timings: RoundTimings) -> None:
        """Make the row of a closed round."""

    def note_change(self, change: Change) -> None:
        """Keep a change of K and U."""

    def fill_evaluation(
        self, round_index: int, loss: float, accuracy: float, eval_s: float
    ) -> None:
        """Fill in the evaluation of a closed round's model."""


@dataclass(frozen=True, slots=True)
class VirtualParts:
    """What a virtual machine is made of.

    Attributes
    ----------
    workers
        How long local updates take.
    network
        What messages cost.
    model_bytes
        Bytes of one parameter vector.
    training
        What is computed.
    recorder
        Where rounds are written.
    records_updates, records_events
        Whether the times of every update, and the events, are written.
    report
        Called with each round's record, change of K and U, and evaluation.
    """

    workers: VirtualWorkers
    network: Network
    model_bytes: int
    training: Training
    recorder: Recorder
    records_updates: bool
    records_events: bool
    report: Callable[[News], None]
