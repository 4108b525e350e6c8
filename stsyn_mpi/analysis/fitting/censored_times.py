"""Times of which some are lower bounds, as few numbers as a likelihood needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_MOST_TIMES = 1 << 13
"""More times than these are put together in bins."""
_EDGES = 1 << 12
"""Edges of bins at equal steps of the logarithm, and as many at equal ranks."""
_BELOW = 1e-3
"""What was cut before this share of the shortest completed time tells nothing."""
_FEWEST_AT_RISK, _LEAST_AT_RISK = 10, 0.01
"""Updates, and their share, that a curve must rest on to be compared with."""
_ROUNDING = 2e-7
"""Of a cut at the end of another update: it may be on either side of it."""


@dataclass(frozen=True, eq=False)
class CensoredTimes:
    """Times of completed and of cancelled updates, each with how often it was seen.

    Attributes
    ----------
    done_s, cut_s : numpy.ndarray
        Times of completed updates, and how long cancelled ones had taken, s, rising,
        float64 (n,) and (m,).
    done_n, cut_n : numpy.ndarray
        How many updates each stands for, float64 of the same shapes.
    least_s : float
        The shortest completed time, exact, s.
    """

    done_s: np.ndarray
    done_n: np.ndarray
    cut_s: np.ndarray
    cut_n: np.ndarray
    least_s: float

    @property
    def n_done(self) -> float:
        """Completed updates."""
        return float(self.done_n.sum())

    @property
    def n_cut(self) -> float:
        """Cancelled updates."""
        return float(self.cut_n.sum())

    @property
    def n_all(self) -> float:
        """All updates."""
        return self.n_done + self.n_cut

    @property
    def spent_s(self) -> float:
        """Time spent in all of them, s."""
        return float(self.done_s @ self.done_n + self.cut_s @ self.cut_n)

    @property
    def n_sure(self) -> int:
        """How many of ``done_s`` at least ten updates, and 1 % of all, outlasted.

        Beyond them `survival` rests on so few that its steps are chance.
        """
        fewest = max(_FEWEST_AT_RISK, _LEAST_AT_RISK * self.n_all)
        return max(1, int((self.at_risk(self.done_s) >= fewest).sum()))

    @property
    def seen(self) -> float:
        """Probability of no longer a time than where `survival` is sure no longer."""
        return 1.0 - float(self.survival()[self.n_sure - 1])

    @property
    def cut_share(self) -> float:
        """Share of times of which `survival` knows too little since they were cut.

        What it says is left where it is sure no longer, less the times that really
        lasted as long: where nothing was cut it is 0.
        """
        last = self.n_sure - 1
        lasted = float(self.at_risk(self.done_s)[last] - self.done_n[last])
        return max(0.0, float(self.survival()[last]) - lasted / self.n_all)

    def scaled(self, factor: float) -> CensoredTimes:
        """Return the same times in units of ``1 / factor``."""
        return CensoredTimes(
            self.done_s * factor,
            self.done_n,
            self.cut_s * factor,
            self.cut_n,
            self.least_s * factor,
        )

    def at_risk(self, t: np.ndarray) -> np.ndarray:
        """Return how many updates lasted ``t`` (s) at least, float64."""
        done = np.append(np.cumsum(self.done_n[::-1])[::-1], 0.0)
        cut = np.append(np.cumsum(self.cut_n[::-1])[::-1], 0.0)
        lasted = done[np.searchsorted(self.done_s, t)]
        lasted += cut[np.searchsorted(self.cut_s, t)]
        return np.asarray(lasted)

    def survival(self) -> np.ndarray:
        """Return P(X > t) at each of ``done_s``: Kaplan and Meier's estimate."""
        share = self.done_n / self.at_risk(self.done_s)
        outlives: np.ndarray = np.cumprod(np.maximum(0.0, 1 - share))
        return outlives


def censored_times(seconds: np.ndarray, is_censored: np.ndarray) -> CensoredTimes:
    """Sort times, and put those together that hardly differ where there are many.

    Up to 8192 times stay as they are. Of more, those in a bin are taken as their mean.
    There are 8192 bins or so, none with more than 1 / 4096 of the completed updates,
    none wider than 1 / 4096 of the range of their logarithms. Sums over all times are
    exact, what else a likelihood holds is right to the square of the width of a bin.

    Parameters
    ----------
    seconds : numpy.ndarray
        Times, s, float64 (n,), completed ones positive, one at least.
    is_censored : numpy.ndarray
        Where the time is a lower bound, bool (n,).
    """
    done = np.sort(seconds[~is_censored])
    cut = np.sort(seconds[is_censored]) * (1 + _ROUNDING)
    least = float(done[0])
    cut = cut[np.searchsorted(cut, _BELOW * least) :]
    edges = _edges(done, cut) if len(seconds) > _MOST_TIMES else None
    return CensoredTimes(*_binned(done, edges), *_binned(cut, edges), least_s=least)


def _edges(done: np.ndarray, cut: np.ndarray) -> np.ndarray:
    """Return where bins begin, rising, up to beyond all of some sorted times."""
    least, longest = done[0], done[-1]
    last = max(longest, cut[-1] if len(cut) else 0.0)
    parts = [
        np.geomspace(_BELOW * least, least, _EDGES // 8),
        np.geomspace(least, longest, _EDGES),
        done[:: -(-len(done) // _EDGES)],
        np.geomspace(longest, last * (1 + 1e-9), _EDGES // 8),
    ]
    return np.unique(np.concatenate(parts))


def _binned(
    seconds: np.ndarray, edges: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return rising times and how often each was seen, of sorted ones."""
    if edges is None or not len(seconds):
        found, counts = np.unique(seconds, return_counts=True)
        return found, counts.astype(np.float64)
    first = np.searchsorted(seconds, edges)
    count = np.diff(np.append(first, len(seconds)))
    is_there = count > 0
    total = np.add.reduceat(seconds, first[is_there])
    return total / count[is_there], count[is_there].astype(np.float64)
