"""Fits of whole updates and, where there are both, of delays and work apart."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from stsyn_mpi.analysis.fitting.run_fit import RunFit, fit_run
from stsyn_mpi.analysis.fitting.update_times import PARTS, UpdateTimes, update_times
from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile.reader import Run

_UNTOLD = ("points", "theta")


@dataclass(frozen=True)
class RunFits:
    """What a report says of the laws of a run's update times.

    Attributes
    ----------
    fits : tuple of RunFit
        Whole updates first; then their parts, where there are both.
    notes : tuple of str
        A sentence for each part that could not be fitted, why.
    """

    fits: tuple[RunFit, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON takes, infinite and unknown numbers left as they are."""
        values = asdict(self)
        for law in (law for fit in values["fits"] for law in fit["laws"]):
            for name in _UNTOLD:
                del law[name]
        return values


def fit_parts(run: Run) -> RunFits:
    """Fit the update times of a run and of their parts, as far as they can be.

    Parameters
    ----------
    run : Run
        An open run.

    Returns
    -------
    RunFits
        Never an error: what cannot be fitted has a note that says why.
    """
    fits: list[RunFit] = []
    notes: list[str] = []
    try:
        updates = update_times(run)
    except InputError as error:
        return RunFits((), (f"No law of update times: {error}.",))
    for part in _parts(updates):
        try:
            fits.append(fit_run(run, part))
        except InputError as error:
            of = "" if part == "together" else f" ({part})"
            notes.append(f"No law of update times{of}: {error}.")
    return RunFits(tuple(fits), tuple(notes))


def _parts(updates: UpdateTimes) -> tuple[str, ...]:
    if updates.injected_s.any() and updates.work_s.any():
        return PARTS
    return PARTS[:1]
