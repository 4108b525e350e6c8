"""The terms of a run: when it ends and how its root behaves."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunTerms:
    """When a run ends and how its root behaves.

    Attributes
    ----------
    n_workers
        M.
    n_rounds
        Rounds J; None runs until another limit.
    time_limit_s
        Seconds since the run was started, or started again, after which the round is
        cut; None for none.
    target_accuracy
        Test accuracy in [0, 1] that ends the run; None for none.
    eval_every
        Rounds between evaluations, 0 for none; the last model always is.
    alive_interval_s
        Interval between signs of life, seconds; None where nobody can hang: then
        everybody is waited for, and nobody is late.
    is_deterministic
        Add the uploads of a round in rank order.
    min_workers
        With fewer workers left the run ends.
    first_round
        Where the run goes on after a checkpoint: rounds below it have been made.
    """

    n_workers: int
    n_rounds: int | None = None
    time_limit_s: float | None = None
    target_accuracy: float | None = None
    eval_every: int = 1
    alive_interval_s: float | None = None
    is_deterministic: bool = False
    min_workers: int = 1
    first_round: int = 0
