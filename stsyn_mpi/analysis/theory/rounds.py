"""What a round of STSyn is expected to come to.

M workers do local updates until the K-th of them has completed U; each symbol is as
in the method: tau is the moment of that, N_m the updates of worker m by then, S the
workers with at least one. S_n is the time of a worker's first n updates, F_n its
distribution function. The source gives no formulas for these quantities; all that
follows is this project's derivation. It needs that workers are independent of each
other; within a worker nothing is assumed.

tau is the K-th smallest of M times S_U, so P(tau <= t) is a Poisson-binomial
probability with F_U(t) of each worker; alike, they make it
I_F(K, M - K + 1), I the regularised incomplete beta function. Then

    E tau = integral of P(tau > t) dt.

For N_m, leave worker m out, and let tau' be the K-th smallest of the other M - 1
times, tau'' the (K - 1)-th smallest. Then tau = min(tau', max(S_U, tau'')), and

    n <= U: S_n <= S_U, so S_n <= tau if and only if S_n <= tau';
    n > U:  S_n > S_U, so S_n <= tau if and only if S_n <= tau''.

The others are independent of worker m, so that

    P(N_m >= n) = E F_n(tau') for n <= U,  E F_n(tau'') for n > U,

E N_m is the sum of these over n >= 1, and P(m uploads) = E F_1(tau'). Where all are
alike P(N >= U) is K / M, and the sum is Ubar.

For exponential updates E N_m = E tau / mean_m exactly: the updates of a worker are a
Poisson process of which tau is a stopping time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from stsyn_mpi.analysis.theory.order_statistics import Arrival, Crowd, representative
from stsyn_mpi.analysis.theory.quadrature import few_kinds, interpolation, line_of
from stsyn_mpi.analysis.theory.update_laws import UpdateLaw

_MOST_LAWS, _ALIKE = 200, 0.01
_FEW = 12
_NODES = 7


def crowd_of(laws: Sequence[UpdateLaw]) -> Crowd:
    """Put together the workers that have the very same law, in order of their means.

    Where there are more than 200 laws, those whose means differ by less than 1 % go
    together too, under the law in their midst.
    """
    counts: dict[int, int] = {}
    for law in laws:
        counts[id(law)] = counts.get(id(law), 0) + 1
    distinct = sorted({id(law): law for law in laws}.values(), key=lambda it: it.mean)
    bins = [[law] for law in distinct]
    if len(distinct) > _MOST_LAWS:
        bins = _neighbours(distinct)
    groups = [sum(counts[id(law)] for law in own) for own in bins]
    # Of two in the midst, the one and the other by turns.
    midst = [own[(len(own) - n % 2) // 2] for n, own in enumerate(bins)]
    return Crowd(midst, groups, laws if len(bins) < len(distinct) else ())


def condensed(crowd: Crowd, target_updates: int) -> Crowd:
    """Return a crowd of many different laws as one of few kinds, where that is known.

    Whose counts need not be whole; see `stsyn_mpi.analysis.theory.quadrature`.
    """
    kinds = few_kinds(crowd.members, target_updates) if crowd.members else None
    return crowd if kinds is None else Crowd(*kinds)


def _neighbours(laws: Sequence[UpdateLaw]) -> list[list[UpdateLaw]]:
    bins: list[list[UpdateLaw]] = []
    for law in laws:
        if not bins or law.mean > (1 + _ALIKE) * bins[-1][0].mean:
            bins.append([])
        bins[-1].append(law)
    return bins


def kth_arrival(crowd: Crowd, wait_for: int, target_updates: int) -> Arrival:
    """Return tau: the moment at which K workers have completed U updates."""
    return Arrival(
        crowd,
        wait_for,
        lambda law, t: law.completed(target_updates, t),
        lambda law: law.atoms(target_updates),
        lambda law: law.kinks(target_updates),
    )


class Round:
    """A round that closes when K workers have completed U updates.

    Parameters
    ----------
    crowd : Crowd
        The M workers.
    wait_for, target_updates : int
        K, from 1 to M, and U, at least 1.
    goes_on : bool
        Whether a worker that has its U goes on (STSyn) or stops (k-fastest).

    Attributes
    ----------
    crowd : Crowd
        The workers, few kinds in place of many where those stand for them.
    tau : Arrival
        The K-th arrival.
    """

    def __init__(
        self, crowd: Crowd, wait_for: int, target_updates: int, *, goes_on: bool = True
    ) -> None:
        self.crowd, self.goes_on = condensed(crowd, target_updates), goes_on
        self.wait_for, self.target_updates = wait_for, target_updates
        self.tau = kth_arrival(self.crowd, wait_for, target_updates)
        self._others: dict[tuple[int, int], Arrival] = {}

    @property
    def time_s(self) -> float:
        """E tau, s."""
        return self.tau.mean

    @property
    def time_sd_s(self) -> float:
        """Standard deviation of tau, s; infinite where there is none."""
        return self.tau.sd

    @cached_property
    def group_updates(self) -> tuple[float, ...]:
        """E N_m of a worker of each group; infinite where the sum diverges."""
        return self.of_groups(self._updates_of)

    @cached_property
    def group_upload(self) -> tuple[float, ...]:
        """P(N_m >= 1) of a worker of each group."""
        return self.of_groups(lambda group: self.share_with(1, group))

    @property
    def mean_updates(self) -> float:
        """Ubar, the expected updates of a worker: the mean of E N_m over all M."""
        return self.total(self.group_updates) / self.crowd.n_workers

    @property
    def n_uploaders(self) -> float:
        """E |S|, the expected number of workers with at least one update."""
        return self.total(self.group_upload)

    def share_with(self, n: int, group: int = 0, after_s: float = 0.0) -> float:
        """Return P(N_m >= n) of a worker of a group: the law of N_m.

        For n <= U also where it works on for ``after_s`` (s) after tau.
        """
        law = self.crowd.laws[group]
        if n > self.target_updates and not self.goes_on:
            return 0.0
        wait_for = self.wait_for if n <= self.target_updates else self.wait_for - 1
        others = self._of_others(group, wait_for)
        return others.expect(lambda t: completed_by(law, n, t + after_s))

    def of_groups(self, of: Callable[[int], float]) -> tuple[float, ...]:
        """Return what ``of`` says of each group.

        Of many that differ by a factor alone it is asked for some, between which it is
        smooth in the logarithm of the factor.
        """
        if self._logs is None:
            return tuple(of(group) for group in range(len(self.crowd.laws)))
        places, weights = interpolation(self._logs, _NODES)
        values = np.array([of(int(place)) for place in places])
        return tuple((weights @ values).tolist())

    @cached_property
    def _logs(self) -> np.ndarray | None:
        """The logarithms of the factors of many groups that differ by those alone."""
        laws, u = self.crowd.laws, self.target_updates
        if len(laws) <= _FEW or any(len(law.kinks(u)) for law in laws):
            return None
        line = line_of(self.crowd.laws)
        return None if line is None else line[2]

    def first_updates(self, group: int, after_s: float = 0.0) -> float:
        """Return how many of its U updates a worker is expected to do.

        Until ``after_s`` (s) after tau: S_n <= S_U, so S_n <= tau + after_s if and
        only if S_n <= tau' + after_s.
        """
        law, u = self.crowd.laws[group], self.target_updates
        return self._of_others(group, self.wait_for).expect(
            lambda t: _by_then(lambda t: law.among_first(u, t), u, t + after_s)
        )

    def _updates_of(self, group: int) -> float:
        law = self.crowd.laws[group]
        if self.goes_on and law.is_exponential:
            return self.time_s / law.mean
        some = self.first_updates(group)
        if not self.goes_on or self.wait_for == 1:
            return some
        others = self._of_others(group, self.wait_for - 1)
        more = others.expect(lambda t: law.expected(t, self.target_updates))
        return some + more + others.tail_s / law.mean

    def _of_others(self, group: int, wait_for: int) -> Arrival:
        """Return the moment of the K-th arrival of all but one worker of a group.

        Of many groups a dozen stand for the rest: leaving out one worker of a crowd
        or its neighbour makes little difference.
        """
        if self._logs is None:
            group = representative(group, len(self.crowd.laws))
        return self._left_out(group, wait_for)

    def _left_out(self, group: int, wait_for: int) -> Arrival:
        key = (group, wait_for)
        if key not in self._others:
            others = self.crowd.without(group)
            self._others[key] = kth_arrival(others, wait_for, self.target_updates)
        return self._others[key]

    def total(self, of_groups: Sequence[float]) -> float:
        """Return the sum over all workers of what holds of each of a group."""
        counts = zip(self.crowd.counts, of_groups, strict=True)
        return math.fsum(count * value for count, value in counts)


def completed_by(law: UpdateLaw, n: int, t: np.ndarray) -> np.ndarray:
    """Return F_n(t), also of the infinite future."""
    return _by_then(lambda t: law.completed(n, t), 1.0, t)


def _by_then(
    function: Callable[[np.ndarray], np.ndarray], in_the_end: float, t: np.ndarray
) -> np.ndarray:
    """Return a function of times that may be infinite."""
    is_finite = np.isfinite(t)
    return np.where(is_finite, function(np.where(is_finite, t, 0.0)), in_the_end)
