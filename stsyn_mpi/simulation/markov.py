"""The Markov-modulated law: a worker falls into a slow state and recovers.

In each round a worker is fast or slow, and its delays are exponential with the mean
of its state. The states of a worker are a stationary Markov chain over rounds: a slow
worker is fast in the next round with probability p = 1 / slow_rounds, a fast one slow
with probability p slow_share / (1 - slow_share).

A state must be a function of (seed, worker, round) alone, and yet depend on the round
before. So the state of round j is read off a uniform u_j of its own: slow where u_j
is in the lowest part, fast where it is in the highest, as the round before in
between. Looking back for the last round whose uniform decides takes
slow_rounds (1 - slow_share) rounds on average, from whatever round the search starts.
"""

from __future__ import annotations

import numpy as np

from stsyn_mpi.errors import InputError
from stsyn_mpi.rng import KeyedUniforms
from stsyn_mpi.simulation.distributions import (
    SLOWDOWN,
    exponential_quantile,
    fast_mean,
)
from stsyn_mpi.simulation.keys import KeyedLaw, Keys
from stsyn_mpi.simulation.parameters import Parameter
from stsyn_mpi.spec import Spec

SLOW_SHARE = Parameter("slow_share", default=0.1, low=0.0, high=0.99)
SLOW_ROUNDS = Parameter("slow_rounds", default=10.0, low=1.0, high=10000.0)
PARAMETERS = (SLOW_SHARE, SLOWDOWN, SLOW_ROUNDS)


class SlowSpells:
    """Which workers are slow in which rounds.

    Parameters
    ----------
    uniforms : KeyedUniforms
        What the states are made from.
    slow_share : float
        Share of rounds in which a worker is slow, from the first round on.
    slow_rounds : float
        Mean length of a slow spell in rounds, at least 1 / (1 - slow_share).
    """

    def __init__(
        self, uniforms: KeyedUniforms, slow_share: float, slow_rounds: float
    ) -> None:
        self.uniforms = uniforms
        self.slow_share = slow_share
        self.slow_rounds = slow_rounds
        self._latest: dict[int, tuple[int, bool]] = {}
        self._block = (0, np.empty((0, 0), dtype=bool))

    def is_slow(self, worker: int, round_index: int) -> bool:
        """Return whether the worker is slow in the round."""
        first, states = self._block
        if 0 <= round_index - first < len(states) and worker < states.shape[1]:
            return bool(states[round_index - first, worker])
        known_round, known = self._latest.get(worker, (-1, False))
        for earlier in range(round_index, -1, -1):
            state = known if earlier == known_round else self._decided(worker, earlier)
            if state is not None:
                self._latest[worker] = (round_index, state)
                return state
        raise ValueError(f"round {round_index} is negative")

    def in_rounds(self, first_round: int, n_rounds: int, n_workers: int) -> np.ndarray:
        """Return `is_slow` of all workers in some rounds.

        Costs least when the rounds follow those that were asked for last.

        Returns
        -------
        numpy.ndarray
            bool, shape (n_rounds, n_workers).
        """
        states = np.empty((n_rounds, n_workers), dtype=bool)
        state = self._before(first_round, n_workers)
        for place in range(n_rounds):
            falls, stays = self._decisions(first_round + place, 0, n_workers)
            state = np.logical_or(falls, stays & state, out=states[place])
        self._block = (first_round, states)
        return states

    def _before(self, round_index: int, n_workers: int) -> np.ndarray:
        """Return the states in the round before, bool (n_workers,)."""
        first, states = self._block
        place = round_index - 1 - first
        if 0 <= place < len(states) and n_workers <= states.shape[1]:
            return states[place, :n_workers]
        state = np.zeros(n_workers, dtype=bool)
        is_open = np.ones(n_workers, dtype=bool)
        while round_index > 0 and is_open.any():
            round_index -= 1
            falls, stays = self._decisions(round_index, 0, n_workers)
            state |= is_open & falls
            is_open &= stays
        return state

    def _decided(self, worker: int, round_index: int) -> bool | None:
        """State that the round's uniform decides; None where it stays as it was."""
        falls, stays = self._decisions(round_index, worker, 1)
        return None if stays[0] else bool(falls[0])

    def _decisions(
        self, round_index: int, first_worker: int, n_workers: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return whether workers are slow whatever they were, and whether they stay."""
        uniform = self.uniforms.of_workers(round_index, first_worker, n_workers)
        if round_index == 0:
            return uniform < self.slow_share, np.zeros(n_workers, dtype=bool)
        recovery = 1 / self.slow_rounds
        falls = uniform < recovery * self.slow_share / (1 - self.slow_share)
        return falls, ~falls & (uniform < 1 - recovery)


class MarkovDelay(KeyedLaw):
    """Exponential delays whose mean is that of the worker's state.

    Parameters
    ----------
    keys : Keys
        Key of the draws, scope, factors.
    mean : float
        Stationary mean of one update's delay, s.
    slowdown : float
        A slow worker's mean over a fast one's.
    spells : SlowSpells
        Which workers are slow in which rounds.
    """

    def __init__(
        self, keys: Keys, mean: float, slowdown: float, spells: SlowSpells
    ) -> None:
        super().__init__(keys)
        self.mean = mean
        self.slowdown = slowdown
        self.spells = spells

    @property
    def fast_mean(self) -> float:
        """Mean delay of an update of a fast worker, s."""
        return fast_mean(self.mean, self.spells.slow_share, self.slowdown)

    @property
    def variance(self) -> float:
        """Stationary variance of one update's delay, s^2."""
        share, slowdown = self.spells.slow_share, self.slowdown
        mean = 1 - share + share * slowdown
        square = 2 * (1 - share + share * slowdown**2)
        return self.fast_mean * self.fast_mean * (square - mean**2)

    def delays_of(
        self,
        uniforms: np.ndarray,
        first_round: int,
        first_worker: int,
        first_update: int,
    ) -> np.ndarray:
        """Return exponential quantiles."""
        n_rounds, n_workers, _ = uniforms.shape
        means = np.array([self.fast_mean, self.fast_mean * self.slowdown])
        if n_rounds == n_workers == 1:
            is_slow = self.spells.is_slow(first_worker, first_round)
            return exponential_quantile(means[int(is_slow)], uniforms)
        states = self.spells.in_rounds(first_round, n_rounds, first_worker + n_workers)
        state_means = means[states[:, first_worker:].astype(np.intp)]
        return exponential_quantile(state_means[:, :, np.newaxis], uniforms)


def make_markov(spec: Spec, keys: Keys) -> MarkovDelay:
    """Make the law from its parameters.

    Raises
    ------
    InputError
        Naming the parameter and its range.
    """
    share, slow_rounds = SLOW_SHARE.read(spec), SLOW_ROUNDS.read(spec)
    least = 1 / (1 - share)
    if slow_rounds < least:
        raise InputError(
            f"slow_rounds of {spec.name!r} must be at least 1 / (1 - slow_share), "
            f"here {least:g}, got {slow_rounds:g}: a shorter spell is no spell"
        )
    return MarkovDelay(
        keys,
        mean=spec.duration("mean"),
        slowdown=SLOWDOWN.read(spec),
        spells=SlowSpells(keys.uniforms, share, slow_rounds),
    )
