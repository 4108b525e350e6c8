"""How far off the forecasts of a run were, and what follows for the next ones.

A round much longer than those that were seen is foretold from speeds and spreads of
short ones, which heavy tails belie: its time may be many times the forecast. Once it
has been seen, rounds that are to follow the same U are foretold with that error. This
project's derivation; see ``docs/adapt.md``.
"""

from collections.abc import Mapping
from math import exp, log

from stsyn_mpi.strategies.state_texts import as_texts, numbers_of

_LARGEST_STEP, _SMALL_STEP = 8.0, 4.0
_MOST_WRONG, _FAR_TOO_SHORT = 2.0, 4.0
_LEAST_EXCESS, _MOST_EXCESS = -0.75, 2.0
_LEAST_STRETCH = 1.4
_MOST_POWER = 20.0
_NEW_SHARE = 0.5
_FADING = 0.95


class ForecastErrors:
    """The power of a stretch by which rounds are longer than foretold, by U left.

    Attributes
    ----------
    largest_step
        How many times as large U may become at once: little after a forecast that has
        not come true.
    """

    def __init__(self) -> None:
        self.largest_step = _LARGEST_STEP
        self._excess: dict[int, float] = {}
        self._promise = [0.0] * 4  # U left; seconds there, law's, foretold

    def corrected(self, n_updates: int, now_s: float, law_s: float) -> float:
        """Return the time to a K-th arrival, s, as it is to be expected.

        Parameters
        ----------
        n_updates, now_s
            U in force, and its mean time to the K-th arrival.
        law_s
            The time that the law of the arrivals gives.
        """
        excess = self._excess_after(n_updates)
        if not excess or law_s <= now_s:
            return law_s
        power = min(_MOST_POWER, excess * _stretch(now_s, law_s))
        return max(now_s, law_s * exp(power))

    def _excess_after(self, n_updates: int) -> float:
        """Return that of this U, or half that of the longest of shorter rounds."""
        if n_updates in self._excess:
            return self._excess[n_updates]
        shorter = max((u for u in self._excess if u < n_updates), default=None)
        return 0.0 if shorter is None else self._excess[shorter] / 2

    def promise(
        self, n_updates: int, now_s: float, law_s: float, foretold_s: float
    ) -> None:
        """Keep what is foretold of terms that are taken; see `corrected`."""
        self._promise = [float(n_updates), now_s, law_s, foretold_s]

    def withdraw(self) -> None:
        """Keep no promise: rounds have changed that were as foretold, or not yet."""
        self._promise = [0.0] * 4

    def is_belied(self, seen_s: float) -> bool:
        """Whether one round tells already that what was foretold is far too short."""
        foretold_s = self._promise[-1]
        return 0 < _FAR_TOO_SHORT * foretold_s < seen_s

    def judge(self, seen_s: float) -> None:
        """Compare what was foretold with the mean of the first rounds."""
        n_updates, now_s, law_s, foretold_s = self._promise
        if not foretold_s:
            return
        self.withdraw()
        if law_s > _LEAST_STRETCH * now_s:
            is_right = abs(_stretch(foretold_s, seen_s)) < log(_MOST_WRONG)
            self.largest_step = _LARGEST_STEP if is_right else _SMALL_STEP
            found = _stretch(law_s, seen_s) / _stretch(now_s, law_s)
            found = min(_MOST_EXCESS, max(_LEAST_EXCESS, found))
            before = self._excess.get(int(n_updates), found)
            self._excess[int(n_updates)] = before + _NEW_SHARE * (found - before)

    def fade(self) -> None:
        """Believe a little less in errors of long ago."""
        self._excess = {u: _FADING * excess for u, excess in self._excess.items()}

    def state(self) -> dict[str, str]:
        """Return everything, as texts."""
        rows = {
            "promise": [self.largest_step, *self._promise],
            "excess": [float(x) for pair in self._excess.items() for x in pair],
        }
        return as_texts(rows)

    def restore(self, state: Mapping[str, int | float | str]) -> None:
        """Take up what `state` has returned."""
        self.largest_step, *self._promise = numbers_of(state["promise"])
        values = numbers_of(state["excess"])
        pairs = zip(values[::2], values[1::2], strict=True)
        self._excess = {int(u): excess for u, excess in pairs}


def _stretch(before_s: float, after_s: float) -> float:
    return log(after_s) - log(before_s)
