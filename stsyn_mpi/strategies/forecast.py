"""What rounds of other K and U would be: their times, their work, their worth."""

from collections.abc import Iterable
from dataclasses import dataclass

from stsyn_mpi.strategies.arrival_times import ArrivalTimes
from stsyn_mpi.strategies.forecast_errors import ForecastErrors
from stsyn_mpi.strategies.round_measures import Measured, RoundMeasures
from stsyn_mpi.strategies.update_worth import UpdateWorth

_NEARLY = 0.98
_MOST_CORRECTION = 2.0
_SMALL_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Outlook:
    """What rounds of some K and U are expected to be.

    Attributes
    ----------
    wait_for, target_updates
        K and U.
    round_s, communication_s
        Seconds of a round, and those of them beside the work.
    kth_s, law_s
        Seconds to the K-th arrival; those that the law gives, be it right or wrong.
    updates_each
        Updates of an uploader.
    worth_per_s
        See `UpdateWorth`.
    """

    wait_for: int
    target_updates: int
    round_s: float
    communication_s: float
    kth_s: float
    law_s: float
    updates_each: float
    worth_per_s: float


class Forecast:
    """Rounds of any K and U, corrected by how the present ones turned out.

    Parameters
    ----------
    law, measures, worth, errors
        What is known of the run.
    present
        K and U in force.
    """

    def __init__(
        self,
        law: ArrivalTimes,
        measures: RoundMeasures,
        worth: UpdateWorth,
        errors: ForecastErrors,
        present: tuple[int, int],
    ) -> None:
        self.law = law
        self._measures, self._worth, self._errors = measures, worth, errors
        self._slower, self._more, (self._k, self._updates) = 1.0, 1.0, present
        self._outlooks: dict[tuple[int, int], Outlook] = {}
        seen = measures.regular
        if seen is not None:
            self._correct(seen, *present)

    def _correct(self, seen: Measured, k: int, n_updates: int) -> None:
        k = min(k, int(self.law.n_workers))
        self._slower = seen.kth_s / self.law.kth_s(k, n_updates)
        made, n_uploaders = self.law.work(seen.kth_s, k, n_updates)
        more = seen.updates_each * n_uploaders / made
        self._more = min(_MOST_CORRECTION, max(1 / _MOST_CORRECTION, more))

    def outlook(self, k: int, n_updates: int) -> Outlook:
        """Return what is expected of rounds with these K and U."""
        terms = min(k, int(self.law.n_workers)), n_updates
        if terms not in self._outlooks:
            self._outlooks[terms] = self._made(*terms)
        return self._outlooks[terms]

    def _made(self, k: int, n_updates: int) -> Outlook:
        # The law has the first arrival right, and the present K-th is corrected.
        place = min(1.0, (k - 1) / (self._k - 1)) if self._k > 1 else 1.0
        law_s = self._slower**place * self.law.kth_s(k, n_updates)
        kth_s = self._corrected(law_s)
        # Where a round is longer than the law says, all work is slower than it says.
        made, n_uploaders = self.law.work(law_s, k, n_updates)
        updates_each = max(1.0, self._more * made / n_uploaders)
        communication_s = self._measures.costs.of(n_uploaders)
        round_s = kth_s + communication_s
        worth = self._worth.of(updates_each, n_uploaders)
        return Outlook(
            wait_for=k,
            target_updates=n_updates,
            round_s=round_s,
            communication_s=communication_s,
            kth_s=kth_s,
            law_s=law_s,
            updates_each=updates_each,
            worth_per_s=worth / round_s,
        )

    def _corrected(self, law_s: float) -> float:
        seen = self._measures.regular
        if seen is None:
            return law_s
        return self._errors.corrected(self._updates, seen.kth_s, law_s)


def shortest_good(outlooks: Iterable[Outlook]) -> Outlook:
    """Return the shortest round of those that are nearly as good as the best.

    A round under way is not cut, whatever happens to the speeds meanwhile.
    """
    found = list(outlooks)
    least = _NEARLY * max(outlook.worth_per_s for outlook in found)
    good = [outlook for outlook in found if outlook.worth_per_s >= least]
    return min(good, key=lambda outlook: (outlook.round_s, -outlook.worth_per_s))


def reason_for(now: Outlook, best: Outlook, horizon: float) -> str:
    """Say in one line what a change is expected to bring, and why."""
    share, causes = now.communication_s / now.round_s, []
    if best.target_updates > now.target_updates:
        causes.append(
            f"communication is {share:.0%} of a round"
            if share > _SMALL_SHARE
            else "longer rounds are worth what they cost"
        )
    elif best.target_updates < now.target_updates:
        causes.append(
            f"after {horizon:.2g} updates a worker's own count half"
            if horizon < now.updates_each
            else "shorter rounds use the fastest updates"
        )
    if best.wait_for > now.wait_for:
        causes.append("further arrivals bring more than they cost")
    elif best.wait_for < now.wait_for:
        causes.append("the last arrivals cost more than they bring")
    gain = best.worth_per_s / now.worth_per_s - 1
    return (
        f"{'; '.join(causes)}: worth a second {gain:+.0%}, "
        f"a round {now.round_s:.3g} -> {best.round_s:.3g} s"
    )
