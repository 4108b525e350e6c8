"""The laws of workers that have another pace in every round, as a record shows them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from stsyn_mpi.analysis.theory.lattice_law import LatticeLaw
from stsyn_mpi.analysis.theory.update_laws import MixtureLaw, UpdateLaw
from stsyn_mpi.simulation.paces import Paces

_MOST_STATES = 6
_NOTHING = 1e-4
_CLOSE = 0.25
"""Difference of the logarithms of workers' means that may be chance."""


def pace_laws(
    paces: Paces, means_s: Sequence[float], work_s: Sequence[float]
) -> list[UpdateLaw]:
    """Return laws of independent updates at a pace that is drawn once a round.

    Close paces stand for each other, and what workers of a round share is taken as its
    mean. That a pace lasts from round to round changes no expectation.

    Parameters
    ----------
    paces : Paces
        Of a record.
    means_s : sequence of float
        Mean time of each worker at pace 1, s.
    work_s : sequence of float
        What each of its updates takes beside that, s. Workers with the same of both
        share a law.
    """
    states = _states(paces)
    weights = np.diff(paces.reached, prepend=0.0)

    @cache
    def make(mean_s: float, work_s: float) -> UpdateLaw:
        parts = [
            (share, LatticeLaw(time_s * paces.draws + work_s, weights, time_s + work_s))
            for share, time_s in ((p, mean_s * times) for p, times in states)
        ]
        return MixtureLaw(parts)

    return [make(m, c) for m, c in zip(means_s, work_s, strict=True)]


def _states(paces: Paces) -> list[tuple[float, float]]:
    """Return probabilities and mean times (over that at pace 1) of a few states.

    The states are equal parts of the logarithms of the paces that there are.
    """
    there = paces.law.shares > _NOTHING
    shares, logs = paces.law.shares[there], np.log(paces.law.paces[there])
    step = max(float(np.ptp(logs)), _NOTHING) * (1 + 1e-9) / _MOST_STATES
    place = ((logs - logs.min()) / step).astype(np.int64)
    share = np.bincount(place, shares)
    time = np.bincount(place, shares * np.exp(-logs))
    known = share > 0
    shared = float((1 / paces.of_rounds).mean())
    share, time = share[known] / share.sum(), shared * time[known] / share[known]
    return list(zip(share.tolist(), time.tolist(), strict=True))


def means_alike(means_s: np.ndarray) -> list[float]:
    """Give workers with close means the mean of them, s.

    What a worker in spells is short of or has too much of them in a record makes its
    mean stray by more than that.
    """
    logs = np.log(means_s / np.median(means_s))
    _, group = np.unique(np.rint(logs / _CLOSE), return_inverse=True)
    alike = np.bincount(group, means_s) / np.bincount(group)
    return [float(mean_s) for mean_s in alike[group]]
