"""What the root knows of each worker."""

from dataclasses import dataclass

from stsyn_mpi.protocol.records import Upload, WorkerStatus


@dataclass(slots=True)
class WorkerState:
    """The root's picture of one worker.

    A worker *works* from the moment its model is sent until it has answered for
    it. Messages still under way in either direction are counted apart, since a
    new model may only follow when all of them have arrived.

    Attributes
    ----------
    base_round
        Round of the model it was sent last, -1 before the first.
    n_done
        Updates it has answered for in its base round.
    is_working
        It has a model it has not answered for.
    has_reached
        It reported its target on the present model.
    upload
        Its announced work, if it counts.
    payloads_due
        Announced payloads not yet received.
    halt_unanswered, halted_t
        A halt is out, sent at that time (seconds).
    model_pending, control_pending
        A send to it has not completed.
    is_late
        Its present work missed its round and will be dropped.
    """

    index: int
    base_round: int = -1
    target_updates: int = 0
    n_done: int = 0
    is_working: bool = False
    has_reached: bool = False
    upload: Upload | None = None
    payloads_due: int = 0
    announced_t: float = 0.0
    halt_unanswered: bool = False
    halted_t: float = 0.0
    model_pending: bool = False
    control_pending: bool = False
    is_late: bool = False
    is_hung: bool = False
    is_lost: bool = False

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is under way to or from it."""
        return not (
            self.is_working
            or self.halt_unanswered
            or self.payloads_due
            or self.model_pending
            or self.control_pending
            or self.is_lost
        )

    @property
    def owes_work(self) -> bool:
        """Whether an answer or a payload of it is outstanding."""
        return self.halt_unanswered or self.payloads_due > 0

    @property
    def absence(self) -> WorkerStatus:
        """Status of a worker whose work did not arrive."""
        if self.is_lost:
            return WorkerStatus.LOST
        if self.is_hung:
            return WorkerStatus.HUNG
        return WorkerStatus.LATE if self.is_late else WorkerStatus.IDLE
