"""Whether a training loss explodes."""

from __future__ import annotations

import numpy as np

_WINDOW = 5


def loss_warning(loss: np.ndarray) -> str:
    """Say that a training loss explodes, or nothing.

    It explodes if it is infinite, or has risen from its lowest by more than it was in
    the beginning: noise near zero is no rise, and a run that only learns badly never
    does. Medians of five rounds are compared, so that single rounds do not count.

    Parameters
    ----------
    loss : numpy.ndarray
        Training loss by round, float64 (n_rounds,); NaN where nothing was used.

    Returns
    -------
    str
        One sentence, or "".
    """
    rounds = np.flatnonzero(~np.isnan(loss))
    if not len(rounds):
        return ""
    known = loss[rounds]
    if not np.isfinite(known[-1]):
        finite = np.flatnonzero(np.isfinite(known))
        first = rounds[finite[-1] + 1] if len(finite) else rounds[0]
        return f"the training loss is infinite since round {first}"
    if len(known) < 2 * _WINDOW:
        return ""
    with np.errstate(invalid="ignore"):
        medians = np.median(np.lib.stride_tricks.sliding_window_view(known, _WINDOW), 1)
    lowest = int(np.argmin(medians))
    if medians[-1] <= medians[lowest] + medians[0]:
        return ""
    return (
        f"the training loss has risen from {medians[lowest]:.4g} "
        f"(round {rounds[lowest]}) to {known[-1]:.4g}: a smaller --lr may help"
    )
