"""K and U of STSyn, chosen anew every few rounds from what the run measures.

The choice is a function of the records and uploads of the rounds before, of nothing
else: a replay of the run's events makes the same choices.
"""

from collections.abc import Iterable, Mapping
from math import sqrt

from stsyn_mpi.protocol.records import Change, RoundRecord, Upload
from stsyn_mpi.strategies.arrival_times import ArrivalTimes
from stsyn_mpi.strategies.forecast import (
    Forecast,
    Outlook,
    reason_for,
    shortest_good,
)
from stsyn_mpi.strategies.forecast_errors import ForecastErrors
from stsyn_mpi.strategies.round_measures import RoundMeasures
from stsyn_mpi.strategies.state_texts import as_text, numbers_of
from stsyn_mpi.strategies.term_choices import update_choices, worker_choices
from stsyn_mpi.strategies.terms import SchemeTerms
from stsyn_mpi.strategies.update_worth import UpdateWorth

_LEAST_GAIN = 0.05
_SOON = 3
_UPDATES_A_WORKER = 2
_MOST_TIMES_EVERY = 4
_FIRST_GAP, _LAST_GAP = 4, 64
_LEAST_LONG = 3
_STAGNATES = "the loss stagnates, more uploads average more noise"


class Adaptation:
    """The K and U in force, and the rule that changes them.

    Every few rounds, as soon as the workers have made some updates each, or after four
    times as many rounds, the worth of a round per second is foretold for other K and U.
    Of those within 2 % of the best the shortest round is taken, if it promises 5 % more
    than the present one. A round that belies its forecast is looked at at once. Now and
    then a round with U = 1 tells what the model itself is like, without the updates of
    its own round.

    Parameters
    ----------
    terms
        M, K and U to begin with, and which of them change: ``adapt``.
    every
        Least number of rounds between two looks.
    most
        The largest U.
    horizon
        Local updates after which further ones count half, until that is measured.
    """

    def __init__(
        self, terms: SchemeTerms, every: int, most: int, horizon: float
    ) -> None:
        self._adapts = terms.adapt
        self._every, self._most = every, max(most, terms.target_updates)
        self.wait_for, self.target_updates = terms.wait_for, terms.target_updates
        self._measures = RoundMeasures(terms.n_workers)
        self._worth = UpdateWorth(terms.n_workers, horizon)
        self._errors = ForecastErrors()
        self._n_workers, self._n_able = terms.n_workers, terms.n_workers
        self._n_rounds = self._n_updates = 0
        self._is_short = False
        self._short_due, self._short_gap = 0, _FIRST_GAP
        self._lengths: list[tuple[float, float]] = []
        self._was_short = False
        self._left = (0, 0)
        self._is_new = True
        self.change: Change | None = None

    @property
    def updates_in_force(self) -> int:
        """U of the next round."""
        return 1 if self._is_short else self.target_updates

    def note_upload(self, upload: Upload) -> None:
        """Take in an upload that counts."""
        self._measures.note_upload(upload)

    def observe(self, record: RoundRecord) -> None:
        """Take in a closed round; `change` is what follows from it, if anything."""
        was_short, self._is_short, self.change = self._is_short, False, None
        is_sudden = not was_short and self._measures.is_slower(record)
        if is_sudden:
            self._measures.forget()
            self._errors.withdraw()
            self._is_new = True
            self._n_rounds = max(self._n_rounds, min(self._every, _SOON) - 2)
        before_able = self._n_able
        self._n_able = self._n_workers - record.n_hung - record.n_lost
        measured = self._measures.add(
            record,
            is_regular=not was_short,
            # A round may have waited long for one who will not answer any more.
            has_usual_cost=self._n_able >= before_able,
        )
        self._n_rounds += 1
        self._n_updates += record.updates_done
        if measured is None:
            return
        if not was_short:
            self._worth.add_loss(record.train_loss, record.updates_used)
        self._compare(measured.updates_each, record.train_loss)
        self._was_short = was_short
        is_belied = not was_short and self._errors.is_belied(measured.kth_s)
        if is_belied or self._is_look_due:
            self._look(record.round)
        elif self._is_short_due(record.round):
            self._is_short = True
            self._short_gap = min(2 * self._short_gap, _LAST_GAP)
            self._short_due = record.round + self._short_gap

    @property
    def _is_look_due(self) -> bool:
        """Whether enough has been seen: of terms that are new, three rounds will do.

        Short rounds of many workers would take for ever to make some updates each.
        """
        least = min(self._every, _SOON) if self._is_new else self._every
        is_enough = self._share_seen >= 1
        is_late = self._n_rounds >= _MOST_TIMES_EVERY * self._every
        return self._n_rounds >= least and (is_enough or is_late)

    @property
    def _share_seen(self) -> float:
        """Updates since the last look, over those that say enough of the speeds."""
        return self._n_updates / (_UPDATES_A_WORKER * self._n_workers)

    def _is_short_due(self, round_index: int) -> bool:
        is_long = "u" in self._adapts and self.target_updates >= _LEAST_LONG
        return is_long and self._short_due <= round_index

    def _compare(self, updates_each: float, loss: float) -> None:
        """Hold a short round against the two beside it."""
        self._lengths = [*self._lengths[-2:], (updates_each, loss)]
        if self._was_short and len(self._lengths) == 3:
            before, short, after = self._lengths
            if before[1] > 0 and after[1] > 0:
                long = (before[0] + after[0]) / 2, sqrt(before[1] * after[1])
                self._worth.learn_horizon(short, long)

    def _look(self, round_index: int) -> None:
        """Compare what other K and U promise, and take them if that is enough."""
        is_stagnant, self._is_new = self._worth.look(), False
        law = self._measures.law()
        self._judge_forecast()
        if law is not None:
            view = self._view(law)
            now = view.outlook(*self._in_force(law))
            best = self._best(view, now)
            if is_stagnant and "k" in self._adapts:
                # Rounds that end early know nothing of later arrivals: look at them.
                k = min(2 * self.wait_for + 1, self._most_workers(law))
                best = max(best, view.outlook(k, best.target_updates), key=_k_of)
                if best.wait_for > now.wait_for:
                    self._take(round_index, now, best, f"{_STAGNATES}: K is tried")
            elif best.worth_per_s > (1 + self._least_gain(best)) * now.worth_per_s:
                reason = reason_for(now, best, self._worth.horizon)
                self._take(round_index, now, best, reason)
        self._measures.fade(self._share_seen)
        self._errors.fade()
        self._n_rounds = self._n_updates = 0

    def _judge_forecast(self) -> None:
        seen = self._measures.regular
        if seen is not None:
            self._errors.judge(seen.kth_s)

    def _view(self, law: ArrivalTimes) -> Forecast:
        known = self._measures, self._worth, self._errors
        return Forecast(law, *known, self._in_force(law))

    @property
    def _present(self) -> tuple[int, int]:
        return self.wait_for, self.target_updates

    def _in_force(self, law: ArrivalTimes) -> tuple[int, int]:
        """Return K, capped to those who answer, and U."""
        return min(self.wait_for, self._most_workers(law)), self.target_updates

    def _most_workers(self, law: ArrivalTimes) -> int:
        return max(1, min(self._n_able, round(law.n_workers)))

    def _least_gain(self, best: Outlook) -> float:
        """Return the gain for which K and U are changed; to go back takes twice it."""
        is_back = (best.wait_for, best.target_updates) == self._left
        return (1 + is_back) * _LEAST_GAIN

    def _best(self, view: Forecast, now: Outlook) -> Outlook:
        """Climb: the best U for K, the best K for that, and the best U again."""
        most, best = self._most_workers(view.law), now
        for kind in "uku":
            if kind in self._adapts:
                k, u = best.wait_for, best.target_updates
                pairs = (
                    [(k, n) for n in self._update_choices()]
                    if kind == "u"
                    else [(n, u) for n in worker_choices(self.wait_for, most)]
                )
                best = shortest_good([best, *(view.outlook(*pair) for pair in pairs)])
        return best

    def _update_choices(self) -> Iterable[int]:
        step = self._errors.largest_step
        return update_choices(self.target_updates, self._most, step)

    def _take(self, round_index: int, now: Outlook, best: Outlook, reason: str) -> None:
        # A K that is only capped for the moment stays what it was.
        k = self.wait_for if best.wait_for == now.wait_for else best.wait_for
        u = best.target_updates
        self.change = Change(round_index, k, u, reason)
        left = self.target_updates
        self._errors.promise(left, now.kth_s, best.law_s, best.kth_s)
        self._left = self._present
        self.wait_for, self.target_updates = k, u
        self._short_due, self._short_gap = round_index + 1, _FIRST_GAP
        self._is_new = True
        self._measures.begin_terms()
        self._worth.begin_terms()

    def state(self) -> dict[str, int | float | str]:
        """Return all that `restore` needs."""
        return {
            "wait_for": self.wait_for,
            "target_updates": self.target_updates,
            "left": f"{self._left[0]} {self._left[1]}",
            "n_able": self._n_able,
            "n_rounds": self._n_rounds,
            "n_updates": self._n_updates,
            "is_short": int(self._is_short),
            "was_short": int(self._was_short),
            "is_new": int(self._is_new),
            "short_due": self._short_due,
            "short_gap": self._short_gap,
            "lengths": as_text(x for pair in self._lengths for x in pair),
            **self._measures.state(),
            **self._worth.state(),
            **self._errors.state(),
        }

    def restore(self, state: Mapping[str, int | float | str]) -> None:
        """Take up what `state` has returned."""
        self.wait_for = int(state["wait_for"])
        self.target_updates = int(state["target_updates"])
        k, u = str(state["left"]).split()
        self._left = int(k), int(u)
        self._n_able, self._n_rounds = int(state["n_able"]), int(state["n_rounds"])
        self._n_updates = int(state["n_updates"])
        self._is_short = bool(state["is_short"])
        self._was_short, self._is_new = bool(state["was_short"]), bool(state["is_new"])
        self._short_due = int(state["short_due"])
        self._short_gap = int(state["short_gap"])
        values = numbers_of(state["lengths"])
        self._lengths = list(zip(values[::2], values[1::2], strict=True))
        self._measures.restore(state)
        self._worth.restore(state)
        self._errors.restore(state)


def _k_of(outlook: Outlook) -> int:
    return outlook.wait_for
