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

from dataclasses import dataclass, field

from stsyn_mpi.errors import InputError
from stsyn_mpi.rng import KeyedUniforms
from stsyn_mpi.simulation.distributions import (
    SLOWDOWN,
    exponential_quantile,
    fast_mean,
)
from stsyn_mpi.simulation.keys import Keys, Scope
from stsyn_mpi.simulation.parameters import Parameter
from stsyn_mpi.spec import Spec

SLOW_SHARE = Parameter("slow_share", default=0.1, low=0.0, high=0.99)
SLOW_ROUNDS = Parameter("slow_rounds", default=10.0, low=1.0, high=10000.0)
PARAMETERS = (SLOW_SHARE, SLOWDOWN, SLOW_ROUNDS)

_STATE_INDEX = 2**64 - 1
"""Where an update's index stands in a key: no update has this one."""


@dataclass(frozen=True)
class SlowSpells:
    """Which workers are slow in which rounds.

    Attributes
    ----------
    uniforms : KeyedUniforms
        What the states are made from.
    slow_share : float
        Share of rounds in which a worker is slow, from the first round on.
    slow_rounds : float
        Mean length of a slow spell in rounds, at least 1 / (1 - slow_share).
    """

    uniforms: KeyedUniforms
    slow_share: float
    slow_rounds: float
    _latest: dict[int, tuple[int, bool]] = field(default_factory=dict, repr=False)

    def is_slow(self, worker: int, round_index: int) -> bool:
        """Return whether the worker is slow in the round."""
        known_round, known = self._latest.get(worker, (-1, False))
        for earlier in range(round_index, -1, -1):
            state = known if earlier == known_round else self._decided(worker, earlier)
            if state is not None:
                self._latest[worker] = (round_index, state)
                return state
        raise ValueError(f"round {round_index} is negative")

    def _decided(self, worker: int, round_index: int) -> bool | None:
        """State that the round's uniform decides; None where it stays as it was."""
        uniform = self.uniforms.at(worker, round_index, _STATE_INDEX)
        if round_index == 0:
            return uniform < self.slow_share
        recovery = 1 / self.slow_rounds
        if uniform < recovery * self.slow_share / (1 - self.slow_share):
            return True
        return False if uniform >= 1 - recovery else None


@dataclass(frozen=True)
class MarkovDelay:
    """Exponential delays whose mean is that of the worker's state.

    Attributes
    ----------
    mean : float
        Stationary mean of one update's delay, s.
    slowdown : float
        A slow worker's mean over a fast one's.
    spells : SlowSpells
        Which workers are slow in which rounds.
    keys : Keys
        Key of the draws, scope, factors.
    """

    mean: float
    slowdown: float
    spells: SlowSpells
    keys: Keys

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

    @property
    def scope(self) -> Scope:
        """Whether each update or each round has a draw of its own."""
        return self.keys.scope

    def draw(self, worker: int, round_index: int, update_index: int) -> float:
        """Return the delay of one update in seconds."""
        is_slow = self.spells.is_slow(worker, round_index)
        mean = self.fast_mean * (self.slowdown if is_slow else 1.0)
        uniform = self.keys.uniform(worker, round_index, update_index)
        return self.keys.factor(worker) * exponential_quantile(mean, uniform)


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
        mean=spec.duration("mean"),
        slowdown=SLOWDOWN.read(spec),
        spells=SlowSpells(keys.uniforms, share, slow_rounds),
        keys=keys,
    )
