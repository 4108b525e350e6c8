"""The learning rate by round.

=============  ====================================================================
constant       lr
step           lr * factor ** (j // every); ``step:every=50,factor=0.5``
cosine         lr * (1 + cos(pi j / J)) / 2; needs the number of rounds J
linear         lr * (1 - j / J); needs the number of rounds J
inverse-sqrt   lr / sqrt(1 + j)
=============  ====================================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable

from stsyn_mpi.errors import InputError
from stsyn_mpi.spec import choose, parse_spec

SCHEDULES = {
    "constant": (),
    "step": ("every", "factor"),
    "cosine": (),
    "linear": (),
    "inverse-sqrt": (),
}
_NEED_ROUNDS = ("cosine", "linear")


def parse_schedule(
    text: str, lr: float, n_rounds: int | None
) -> Callable[[int], float]:
    """Make the function from round index to learning rate.

    Parameters
    ----------
    text : str
        A name of the table above with its parameters.
    lr : float
        Learning rate of round 0.
    n_rounds : int or None
        J; None when only time or accuracy ends the run.

    Raises
    ------
    InputError
        If a name or parameter is unknown or out of range, or J is needed but None.
    """
    spec = parse_spec(text, "--lr-schedule")
    choose(spec.name, SCHEDULES, "--lr-schedule")
    spec.check_keys(SCHEDULES[spec.name])
    if spec.name == "constant":
        return lambda j: lr
    if spec.name == "inverse-sqrt":
        return lambda j: lr / math.sqrt(1 + j)
    if spec.name == "step":
        every = spec.whole("every", minimum=1)
        factor = spec.number("factor")
        if not 0 < factor <= 1:
            raise InputError(f"factor of 'step' must be in 0 < x <= 1, got {factor:g}")
        return lambda j: lr * factor ** (j // every)
    return _towards_zero(spec.name, lr, n_rounds)


def _towards_zero(name: str, lr: float, n_rounds: int | None) -> Callable[[int], float]:
    if n_rounds is None:
        raise InputError(f"--lr-schedule {name!r} needs --rounds: it ends at the last")
    if name == "cosine":
        return lambda j: lr * (1 + math.cos(math.pi * min(1.0, j / n_rounds))) / 2
    return lambda j: lr * max(0.0, 1 - j / n_rounds)
