"""What the last rounds of a run were like: the speeds of its workers and its costs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf, isfinite, nan

from stsyn_mpi.protocol.records import RoundRecord, Upload
from stsyn_mpi.strategies.arrival_times import ArrivalTimes, kinds, matched_variation
from stsyn_mpi.strategies.communication_costs import CommunicationCosts
from stsyn_mpi.strategies.state_texts import as_texts, numbers_of

_FADING, _FORGETTING = 0.5, 0.1
_SUDDEN = 2.0
_LEAST_WEIGHT = 0.1


@dataclass(frozen=True, slots=True)
class Measured:
    """One round.

    Attributes
    ----------
    kth_s
        Seconds to U updates of the K-th worker, on its own clock.
    updates_each
        Updates of an uploader, mean.
    """

    kth_s: float
    updates_each: float


class RoundMeasures:
    """Sums over the rounds that fade: `fade` halves what was measured before.

    Workers that did not answer a round add nothing to it, so that one that hangs is
    neither slow nor fast.

    Parameters
    ----------
    n_workers
        M.

    Attributes
    ----------
    costs
        What rounds take beside the work.
    """

    def __init__(self, n_workers: int) -> None:
        self._targets: dict[int, float] = {}
        self._made, self._seconds = [0.0] * n_workers, [0.0] * n_workers
        self._regular = [0.0] * 3  # rounds, K-th arrivals, updates of an uploader
        self.costs = CommunicationCosts()
        self._firsts: dict[int, list[float]] = {}  # U: rounds, first arrivals
        self._spreads: dict[int, list[float]] = {}  # U: v(U), its weight
        self._last_t = nan

    def note_upload(self, upload: Upload) -> None:
        """Keep when a worker had its U updates."""
        if isfinite(upload.target_s):
            self._targets[upload.worker] = upload.target_s

    def is_slower(self, record: RoundRecord) -> bool:
        """Whether a round with an update a worker took twice the mean of the others.

        Asked before `add`. Shorter rounds differ so much by chance alone.
        """
        seen, arrivals = self.regular, sorted(self._targets.values())
        if seen is None or not arrivals or record.updates_done < record.n_workers:
            return False
        kth_s = arrivals[min(record.wait_for, len(arrivals)) - 1]
        return kth_s > _SUDDEN * seen.kth_s

    def add(
        self, record: RoundRecord, *, is_regular: bool, has_usual_cost: bool
    ) -> Measured | None:
        """Take in a closed round; None if nobody has done U updates in it.

        Parameters
        ----------
        record
            The round.
        is_regular
            Whether it had the K and U that are judged.
        has_usual_cost
            Whether others will take as long beside the work.
        """
        targets, self._targets = self._targets, {}
        arrivals = sorted(targets.values())
        begun_t, self._last_t = self._last_t, record.collected_t
        if not arrivals or not record.n_uploaders:
            return None
        kth_s = arrivals[min(record.wait_for, len(arrivals)) - 1]
        if not kth_s > 0:
            return None
        for worker, n_updates in record.updates.items():
            # Until the halt has come to them they go on: that is not of these seconds.
            target_s = targets.get(worker, inf)
            most = record.target_updates - (target_s > kth_s)
            by_then = n_updates if target_s < kth_s else min(n_updates, most)
            self._made[worker] += by_then
            self._seconds[worker] += kth_s
        measured = Measured(kth_s, record.updates_used / record.n_uploaders)
        _add(self._firsts.setdefault(record.target_updates, [0.0, 0.0]), 1, arrivals[0])
        if is_regular:
            _add(self._regular, 1, kth_s, measured.updates_each)
        if isfinite(begun_t) and has_usual_cost:
            cost_s = max(0.0, record.collected_t - begun_t - kth_s)
            self.costs.add(record.n_uploaders, cost_s)
        return measured

    @property
    def regular(self) -> Measured | None:
        """The mean of the regular rounds, None if there were none."""
        n, kth_s, updates = self._regular
        return Measured(kth_s / n, updates / n) if n else None

    def law(self) -> ArrivalTimes | None:
        """Return the law of the arrivals, None while nothing is known."""
        seen = [(n, s) for n, s in zip(self._made, self._seconds, strict=True) if s > 0]
        n_made, seconds = sum(n for n, _ in seen), sum(s for _, s in seen)
        if not n_made:
            return None
        # One update at the speed of all together, so that no rate is zero.
        speeds = kinds([(n + 1) / (s + seconds / n_made) for n, s in seen])
        for n_updates, (n, first_s) in self._firsts.items():
            v = matched_variation(speeds, n_updates, first_s / n)
            self._spreads[n_updates] = [v, n]
        return ArrivalTimes(speeds, *_fit_spread(self._spreads))

    def fade(self, share_seen: float = 1.0) -> None:
        """Lower the weight of what has been measured so far, by half.

        Parameters
        ----------
        share_seen
            Of the updates that say enough of the speeds. Below 1 their weight falls
            less, so that speeds rest on as many updates.
        """
        self._fade(_FADING, _FADING ** min(1.0, share_seen))

    def forget(self) -> None:
        """Leave next to nothing of it: the speeds have changed."""
        self._fade(_FORGETTING, _FORGETTING)

    def _fade(self, left: float, left_of_speeds: float) -> None:
        for sums in (self._made, self._seconds):
            sums[:] = [left_of_speeds * value for value in sums]
        self._regular = [left * value for value in self._regular]
        self.costs.fade(left)
        self._firsts = {
            u: [left * value for value in sums]
            for u, sums in self._firsts.items()
            if sums[0] > _LEAST_WEIGHT
        }
        self._spreads = {
            u: [v, left * weight]
            for u, (v, weight) in self._spreads.items()
            if weight > _LEAST_WEIGHT
        }

    def begin_terms(self) -> None:
        """Forget the regular rounds: other K and U are judged from now on."""
        self._regular = [0.0] * 3

    def state(self) -> dict[str, str]:
        """Return everything but the round under way, as texts."""
        rows = {
            "made": self._made,
            "seconds": self._seconds,
            "regular": self._regular,
            "costs": self.costs.values,
            "firsts": _flat(self._firsts),
            "spreads": _flat(self._spreads),
            "last_t": [self._last_t],
        }
        return as_texts(rows)

    def restore(self, state: Mapping[str, int | float | str]) -> None:
        """Take up what `state` has returned."""
        self._made = numbers_of(state["made"])
        self._seconds = numbers_of(state["seconds"])
        self._regular = numbers_of(state["regular"])
        self.costs = CommunicationCosts(numbers_of(state["costs"]))
        self._firsts = _folded(numbers_of(state["firsts"]))
        self._spreads = _folded(numbers_of(state["spreads"]))
        (self._last_t,) = numbers_of(state["last_t"])


def _add(sums: list[float], *values: float) -> None:
    for place, value in enumerate(values):
        sums[place] += value


def _fit_spread(spreads: Mapping[int, Iterable[float]]) -> tuple[float, float]:
    """Return a and b of v(U) = a / U + b by least squares, neither below 0.

    Of one U alone nothing tells them apart: then all is taken as drawn anew.
    """
    w = x = xx = y = xy = 0.0
    for n_updates, (v, weight) in spreads.items():
        share = 1 / n_updates
        w, x, xx = w + weight, x + weight * share, xx + weight * share * share
        y, xy = y + weight * v, xy + weight * share * v
    spread = w * xx - x * x
    if spread > 1e-9 * w * xx:
        a = max(0.0, (w * xy - x * y) / spread)
        b = (y - a * x) / w
        if b > 0:
            return a, b
    return xy / xx, 0.0


def _flat(sums: Mapping[int, Iterable[float]]) -> list[float]:
    return [value for key, row in sums.items() for value in (float(key), *row)]


def _folded(values: list[float]) -> dict[int, list[float]]:
    return {
        int(key): [first, second]
        for key, first, second in zip(
            values[::3], values[1::3], values[2::3], strict=True
        )
    }
