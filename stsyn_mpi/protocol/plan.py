"""What a strategy asks of a round."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import IntEnum


class AtTarget(IntEnum):
    """What a worker does when it has completed its target updates."""

    GO_ON = 0
    STOP = 1


class Payload(IntEnum):
    """What a worker uploads: a flat float32 vector of shape (n_params,)."""

    PARAMETERS = 0
    DELTA = 1
    GRADIENT_SUM = 2


class Restart(IntEnum):
    """When a worker gets its next model."""

    ON_AGGREGATE = 0
    ON_UPLOAD = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """The terms of one round.

    Attributes
    ----------
    participants
        Workers that get the model of this round: a range or a set.
    targets
        Target updates U_m of each worker of the run, indexed by worker.
    wait_for
        Workers, uploads or gradients the round waits for, K.
    at_target
        Whether a worker goes on beyond its target or stops and uploads by itself.
    payload
        What is uploaded.
    report_every
        Updates between two progress reports; 0 reports once, at the target.
    collects_halted
        Whether the completed work of halted workers is uploaded.
    restart
        When a worker gets its next model.
    measures_step
        Whether the strategy is told the norm of the round's step.
    counts_workers
        Whether K counts workers: then it is capped to those that answer.
    most_updates
        The largest of ``targets``.
    """

    participants: Collection[int]
    targets: Sequence[int]
    wait_for: int
    at_target: AtTarget
    payload: Payload = Payload.PARAMETERS
    report_every: int = 0
    collects_halted: bool = True
    restart: Restart = Restart.ON_AGGREGATE
    measures_step: bool = False
    counts_workers: bool = True
    most_updates: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # Many rounds share a plan; each would look through all its targets.
        object.__setattr__(self, "most_updates", max(self.targets))
