"""Bookkeeping of a round: uploads, the view a strategy reads, the final record."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from stsyn_mpi.protocol.messages import message
from stsyn_mpi.protocol.plan import Plan


class WorkerStatus(IntEnum):
    """What became of a worker in a round; the codes stand in the run file."""

    IDLE = 0
    USED = 1
    DROPPED = 2
    NO_UPDATE = 3
    LATE = 4
    HUNG = 5
    LOST = 6
    REFUSED = 7


# Looking a member up in its class costs more than using it.
_USED, _DROPPED, _NO_UPDATE = (
    WorkerStatus.USED,
    WorkerStatus.DROPPED,
    WorkerStatus.NO_UPDATE,
)


@message
class Upload:
    """The announced work of one worker.

    ``staleness`` counts the rounds between the model it started from and the
    round that uses it (0 in synchronous schemes).
    """

    worker: int
    base_round: int
    staleness: int
    n_updates: int
    loss_sum: float
    target_s: float


@dataclass(slots=True)
class RoundView:
    """What a strategy may read of a round. Strategies never write to it.

    Attributes
    ----------
    round_index
        Index j of the round.
    n_workers
        Workers of the run, M.
    wait_for
        K in force: the plan's, where it counts workers capped to those that answer.
    responsive
        Workers that answer: neither hung nor lost.
    n_updates
        Last number of updates that each worker reported in this round on its
        present model; 0 for whoever reported none.
    updates_total
        Sum of the updates reported in this round by workers that answer.
    reached
        Workers that reached their target in this round, in order of arrival.
    uploads
        Accepted uploads of this round, in order of announcement.
    """

    round_index: int
    n_workers: int
    wait_for: int
    responsive: Sequence[int] | set[int]
    n_updates: Counter[int] = field(default_factory=Counter)
    updates_total: int = 0
    reached: list[int] = field(default_factory=list)
    uploads: list[Upload] = field(default_factory=list)


@message
class RoundRecord:
    """Statistics of a closed round, as the coordinator knows them.

    Times ``*_t`` are seconds since the run began; ``grace_s`` is NaN while no
    answer time is known. ``updates``, ``status`` and ``staleness`` name workers of
    whom there is something to say, so that a round of one upload costs the same
    among any number of workers; the properties give all M.
    """

    round: int
    kth_arrival_t: float
    closed_t: float
    collected_t: float
    grace_s: float
    n_uploaders: int
    n_uploads: int
    n_late: int
    n_hung: int
    n_lost: int
    n_stale: int
    uploads_refused: int
    updates_done: int
    updates_used: int
    updates_dropped: int
    updates_cancelled: int
    models_up: int
    models_down: int
    train_loss: float
    target_updates: int
    wait_for: int
    n_workers: int
    updates: Mapping[int, int]
    status: Mapping[int, WorkerStatus]
    staleness: Mapping[int, int]

    @property
    def worker_updates(self) -> tuple[int, ...]:
        """Updates completed, by worker."""
        return tuple(self.updates.get(w, 0) for w in range(self.n_workers))

    @property
    def worker_status(self) -> tuple[WorkerStatus, ...]:
        """What became of the work, by worker."""
        idle = WorkerStatus.IDLE
        return tuple(self.status.get(w, idle) for w in range(self.n_workers))

    @property
    def worker_staleness(self) -> tuple[int, ...]:
        """Staleness of the last upload, by worker."""
        return tuple(self.staleness.get(w, 0) for w in range(self.n_workers))


@message
class Change:
    """K and U that a strategy has chosen anew.

    Attributes
    ----------
    round
        The last round before they are in force.
    wait_for, target_updates
        K and U from the next round on.
    reason
        Why, in one line.
    """

    round: int
    wait_for: int
    target_updates: int
    reason: str


@dataclass(slots=True)
class RoundLedger:
    """The coordinator's own account of the open round."""

    plan: Plan
    view: RoundView
    is_closed: bool = False
    is_recorded: bool = False
    has_halted: bool = False
    kth_arrival_t: float = float("nan")
    closed_t: float = float("nan")
    awaited: set[int] = field(default_factory=set)
    received: list[Upload] = field(default_factory=list)
    used: list[Upload] = field(default_factory=list)
    status: dict[int, WorkerStatus] = field(default_factory=dict)
    updates: dict[int, int] = field(default_factory=dict)
    staleness: dict[int, int] = field(default_factory=dict)
    n_late: int = 0
    n_stale: int = 0
    uploads_refused: int = 0
    updates_done: int = 0
    updates_cancelled: int = 0
    models_up: int = 0
    models_down: int = 0

    def mark(self, worker: int, status: WorkerStatus) -> None:
        """Note what became of a worker; one whose work was used stays used."""
        if self.status.get(worker) is not _USED:
            self.status[worker] = status

    def add_updates(self, worker: int, n_updates: int) -> None:
        """Count completed updates, and list them with their worker."""
        self.updates_done += n_updates
        self.updates[worker] = self.updates.get(worker, 0) + n_updates

    def add_work(self, worker: int, n_updates: int, staleness: int) -> None:
        """Enter an answer in time; whether its upload is used comes later."""
        self.add_updates(worker, n_updates)
        if self.status.get(worker) is not _USED:
            self.status[worker] = _DROPPED if n_updates else _NO_UPDATE
        if staleness or worker in self.staleness:
            self.staleness[worker] = staleness

    def record(
        self, *, t: float, grace: float, n_hung: int, n_lost: int
    ) -> RoundRecord:
        """Close the account at time ``t`` (seconds) and return the round's record."""
        self.is_recorded = True
        used = self.used
        n_used = sum(upload.n_updates for upload in used)
        losses = sum(upload.loss_sum for upload in used)
        return RoundRecord(
            round=self.view.round_index,
            kth_arrival_t=self.kth_arrival_t,
            closed_t=self.closed_t,
            collected_t=t,
            grace_s=grace,
            n_uploaders=len({upload.worker for upload in used}),
            n_uploads=len(used),
            n_late=self.n_late,
            n_hung=n_hung,
            n_lost=n_lost,
            n_stale=self.n_stale,
            uploads_refused=self.uploads_refused,
            updates_done=self.updates_done,
            updates_used=n_used,
            updates_dropped=self.updates_done - n_used,
            updates_cancelled=self.updates_cancelled,
            models_up=self.models_up,
            models_down=self.models_down,
            train_loss=losses / n_used if n_used else float("nan"),
            target_updates=self.plan.most_updates,
            wait_for=self.view.wait_for,
            n_workers=self.view.n_workers,
            updates=self.updates.copy(),
            status=self.status.copy(),
            staleness=self.staleness.copy(),
        )
