"""What happened: facts in the past tense, stamped once by the driver.

``t`` is seconds since the run began, on the clock of the root (real or virtual).
``round`` is the round whose model the worker had. No event carries an array.
"""

from stsyn_mpi.protocol.messages import message


@message
class RunStarted:
    """All ranks agree and are warm: the clock of the run starts."""

    t: float


@message
class ProgressReported:
    """A worker completed ``n_updates`` updates (its target, or a reported count)."""

    t: float
    worker: int
    round: int
    n_updates: int


@message
class UploadAnnounced:
    """A worker answered: its completed work of a round, final.

    ``answers_halt`` is False where the worker stopped by itself at its target.
    ``loss_sum`` is the sum of the training losses of the completed updates;
    ``target_s`` the seconds until its target on its own clock, NaN if not reached.
    """

    t: float
    worker: int
    round: int
    n_updates: int
    n_cancelled: int
    has_payload: bool
    answers_halt: bool
    loss_sum: float
    target_s: float


@message
class UploadReceived:
    """The payload of an announced upload is complete at the root."""

    t: float
    worker: int
    round: int
    is_finite: bool


@message
class ModelDelivered:
    """The send of a model completed: its buffer is free, another may follow."""

    t: float
    worker: int


@message
class ControlDelivered:
    """The send of a halt completed."""

    t: float
    worker: int


@message
class AliveReported:
    """A worker gave a sign of life, nothing else."""

    t: float
    worker: int


@message
class WorkerLost:
    """The MPI library reports that a worker's process is gone."""

    t: float
    worker: int


@message
class DeadlinePassed:
    """The time of the last ``SetDeadline`` has come."""

    t: float


@message
class EvaluationFinished:
    """The model made by ``round`` was evaluated on the test data."""

    t: float
    round: int
    accuracy: float


@message
class StepMeasured:
    """The step that made the model of ``round`` + 1 has this norm, ||x_{j+1} - x_j||.

    NaN where no model is trained.
    """

    t: float
    round: int
    norm: float


@message
class StopRequested:
    """Somebody outside asked for an orderly end (a signal, a caller)."""

    t: float
    reason: str


Event = (
    RunStarted
    | ProgressReported
    | UploadAnnounced
    | UploadReceived
    | ModelDelivered
    | ControlDelivered
    | AliveReported
    | WorkerLost
    | DeadlinePassed
    | EvaluationFinished
    | StepMeasured
    | StopRequested
)
