"""When workers have U updates: expected times of the K-th arrival, for any K and U.

The time of U updates of worker m is taken as gamma distributed with mean U / rate_m
and squared coefficient of variation v(U) = a / U + b: what each update draws anew (a)
averages out in a sum of U of them, what a round draws once (b) does not. All of it is
this project's derivation; ``docs/adapt.md`` says how good it is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import erf, sqrt

LEAST_VARIATION, MOST_VARIATION = 1e-4, 4.0
_MOST_SPEEDS = 32
_STEPS = 14
_THIRD = 1 / 3
_MOST_DOUBLINGS = 60


def gamma_cdf(t: float, mean: float, variation: float) -> float:
    """Return P(X <= t) of a gamma law, to some 0.01 (Wilson and Hilferty, 1931).

    Parameters
    ----------
    t, mean
        In the same unit; mean above 0.
    variation
        Squared coefficient of variation, above 0.
    """
    if t <= 0:
        return 0.0
    spread = variation / 9
    z = ((t / mean) ** _THIRD - 1 + spread) / sqrt(spread)
    return 0.5 * (1 + erf(z / sqrt(2)))


@dataclass(frozen=True, slots=True)
class ArrivalTimes:
    """The law of the arrivals of a round.

    Attributes
    ----------
    speeds
        (rate in updates a second, number of workers) of each kind of worker.
    per_update, per_round
        a and b.
    """

    speeds: Sequence[tuple[float, float]]
    per_update: float
    per_round: float

    @property
    def n_workers(self) -> float:
        """Workers there are."""
        return sum(n for _, n in self.speeds)

    def variation(self, n_updates: int) -> float:
        """Return v(U)."""
        wanted = self.per_update / n_updates + self.per_round
        return min(MOST_VARIATION, max(LEAST_VARIATION, wanted))

    def arrived(self, t: float, n_updates: int) -> float:
        """Return the expected number of workers with ``n_updates`` updates by t."""
        if t <= 0:
            return 0.0
        # As in `gamma_cdf`: a call for each kind of worker would take thrice as long.
        spread = self.variation(n_updates) / 9
        share, shift, width = t / n_updates, 1 - spread, sqrt(2 * spread)
        return 0.5 * sum(
            [
                n * (1 + erf(((share * rate) ** _THIRD - shift) / width))
                for rate, n in self.speeds
            ]
        )

    def wanted(self, k: int, n_updates: int) -> float:
        """Return the expected number of arrivals at the time of the K-th.

        It is k less a correction that is right for the first and the last of
        exponential and of normal times.
        """
        share = k / self.n_workers
        evenness = 1 - min(1.0, self.variation(n_updates))
        return k - 0.55 * share - 0.35 * evenness * (1 - share)

    def kth_s(self, k: int, n_updates: int) -> float:
        """Return the expected time of the K-th arrival, s."""
        wanted = self.wanted(k, n_updates)
        high = n_updates / max(rate for rate, _ in self.speeds)
        return _solve(lambda t: self.arrived(t, n_updates) - wanted, high)

    def work(self, t: float, k: int, n_updates: int) -> tuple[float, float]:
        """Return the expected updates and uploaders of a round of ``t`` seconds.

        By a late t a worker that starts afresh has made t rate - (1 - v(1)) / 2
        updates (renewal theory); at least K workers have U of them.
        """
        v = self.variation(1)
        evenness = 1 - min(1.0, v)
        made = n_uploaders = 0.0
        for rate, n in self.speeds:
            mean = max(0.0, t * rate - evenness / 2)
            chance = max(gamma_cdf(t, 1 / rate, v), evenness * min(1.0, mean))
            made += n * max(mean, chance)
            n_uploaders += n * chance
        n_uploaders = max(float(k), n_uploaders)
        return max(made, float(k * n_updates), n_uploaders), n_uploaders


def kinds(rates: Sequence[float]) -> list[tuple[float, float]]:
    """Return rates with the number of workers each stands for; many are thinned out."""
    n, ordered = len(rates), sorted(rates)
    if n <= _MOST_SPEEDS:
        return [(rate, 1.0) for rate in ordered]
    places = [int((i + 0.5) * n / _MOST_SPEEDS) for i in range(_MOST_SPEEDS)]
    return [(ordered[place], n / _MOST_SPEEDS) for place in places]


def matched_variation(
    speeds: Sequence[tuple[float, float]], n_updates: int, first_s: float
) -> float:
    """Return v(U) such that the first arrival is expected after ``first_s``."""
    low, high = LEAST_VARIATION, MOST_VARIATION
    for _ in range(_STEPS):
        middle = sqrt(low * high)
        law = ArrivalTimes(speeds, 0.0, middle)
        is_late = law.arrived(first_s, n_updates) < law.wanted(1, n_updates)
        low, high = (middle, high) if is_late else (low, middle)
    return sqrt(low * high)


def _solve(rising: Callable[[float], float], high: float) -> float:
    """Return where a rising function of t > 0 is zero, to some 1e-4 of t."""
    low = high
    for _ in range(_MOST_DOUBLINGS):
        if rising(high) >= 0:
            break
        low, high = high, 2 * high
    for _ in range(_MOST_DOUBLINGS):
        if rising(low) < 0:
            break
        low, high = low / 2, low
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return high
