"""What to do: imperatives for a driver, executed in the order given.

Vectors are named by (worker, round); no command carries an array.
"""

from enum import StrEnum

from stsyn_mpi.protocol.messages import message
from stsyn_mpi.protocol.plan import AtTarget, Payload
from stsyn_mpi.protocol.records import Change, RoundRecord, WorkerStatus


class Outcome(StrEnum):
    """How a run ended."""

    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"
    LOST = "lost"


@message
class SendModel:
    """Send the newest model to a worker as the model of ``round``.

    The worker has made ``first_update`` updates on this model already: it goes on
    with the draws of that index, so that it does not repeat itself.
    """

    worker: int
    round: int
    target_updates: int
    at_target: AtTarget
    payload: Payload
    report_every: int
    first_update: int = 0


@message
class HaltWorkers:
    """Ask workers to end their work on ``round`` and to answer at once."""

    workers: tuple[int, ...]
    round: int
    wants_upload: bool


@message
class ReceiveUpload:
    """Receive the announced payload of a worker into a buffer."""

    worker: int
    round: int


@message
class Aggregate:
    """Add ``weight`` times the received upload to the running total.

    Of parameters, their difference to the round's model is added.
    """

    worker: int
    round: int
    weight: float
    payload: Payload


@message
class DropUpload:
    """Free the buffer of the upload received last; it does not count."""

    worker: int
    round: int


@message
class UpdateModel:
    """Make the next model: x_{j+1} = x_j + scale * total, or what the server step does.

    With ``measures_step`` the driver answers with `StepMeasured`.
    """

    round: int
    scale: float
    measures_step: bool = False


@message
class EvaluateModel:
    """Evaluate the model made by ``round``; ``is_final`` may not be skipped."""

    round: int
    is_final: bool


@message
class SetDeadline:
    """Deliver ``DeadlinePassed`` at ``t``; replaces the deadline set before."""

    t: float


@message
class RecordRound:
    """Write the statistics of a closed round."""

    record: RoundRecord


@message
class RecordChange:
    """Write down that the strategy has chosen K and U anew, and why.

    It comes right before the `RecordRound` of the last round before the change.
    """

    change: Change


@message
class ReportAbsence:
    """Say at once that a worker is hung or lost; no round may ever be closed again.

    ``wait_for`` is K without it: of the open round, or of the next one where the
    round is closed.
    """

    worker: int
    status: WorkerStatus
    wait_for: int


@message
class EndWorkers:
    """Tell workers that the run is over; ``finalize`` if all of them can hear it."""

    workers: tuple[int, ...]
    finalize: bool


@message
class Finish:
    """The run is over; ``unreachable`` workers could not be told.

    ``updates_cut`` counts completed updates of the round that was cut short.
    """

    outcome: Outcome
    reason: str
    unreachable: tuple[int, ...]
    updates_cut: int


Command = (
    SendModel
    | HaltWorkers
    | ReceiveUpload
    | Aggregate
    | DropUpload
    | UpdateModel
    | EvaluateModel
    | SetDeadline
    | RecordRound
    | RecordChange
    | ReportAbsence
    | EndWorkers
    | Finish
)
