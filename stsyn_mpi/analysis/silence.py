"""How long a run may be silent whose writer, on another host, cannot be asked."""

from __future__ import annotations

import numpy as np

from stsyn_mpi.analysis.bins import round_times
from stsyn_mpi.runfile.liveness import WriterLife
from stsyn_mpi.runfile.reader import Run

_RECENT_ROUNDS = 50
_LEAST_S = 60.0
_LEAST_BEFORE_ROUNDS_S = 600.0
"""Until the first round is there nothing tells how long rounds are."""
_MEDIAN_ROUNDS, _LONGEST_ROUNDS = 20, 3


def remote_host(run: Run) -> str:
    """Return the host of a writer that cannot be asked from here, "" of any other."""
    if run.writer_life is not WriterLife.UNKNOWN:
        return ""
    return run.writer.host or "another host"


def is_overdue(run: Run, silence_s: float, rounds_per_s: float | None) -> bool:
    """Say whether the last commit is longer ago than rounds of late explain.

    Parameters
    ----------
    run : Run
        An open run.
    silence_s : float
        Real seconds since its last commit.
    rounds_per_s : float or None
        Of real time.
    """
    return silence_s > _longest_silence_s(run, rounds_per_s)


def _longest_silence_s(run: Run, rounds_per_s: float | None) -> float:
    if not run.n_rounds:
        return _LEAST_BEFORE_ROUNDS_S
    bounds = [_LEAST_S]
    if rounds_per_s:
        bounds.append(_MEDIAN_ROUNDS / rounds_per_s)
    if run.clock == "wall":
        recent = round_times(run)[-_RECENT_ROUNDS:]
        bounds.append(_MEDIAN_ROUNDS * float(np.median(recent)))
        bounds.append(_LONGEST_ROUNDS * float(recent.max()))
    return max(bounds)
