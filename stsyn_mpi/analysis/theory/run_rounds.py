"""The rounds of a recorded run that theory is about, and what was measured in them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile.reader import Run
from stsyn_mpi.schemes import Scheme
from stsyn_mpi.simulation.markov import SLOW_ROUNDS, SLOW_SHARE
from stsyn_mpi.spec import parse_spec
from stsyn_mpi.strategies.base import Strategy
from stsyn_mpi.strategies.fednova import FedNova
from stsyn_mpi.strategies.terms import WaitFor

_FEWEST_ROUNDS = 2
_MOST_UPDATES = 10_000
_UPLOADS_TO_PART = 2


@dataclass(frozen=True)
class Measure:
    """Mean of a column over rounds, the standard error of it, and their number."""

    mean: float
    error: float
    n_rounds: int


class RegularRounds:
    """The rounds with the most common K and U, and nobody hung or lost.

    On a real machine the first is left out: it pays for first touches. Where U is drawn
    anew in each round it may differ: a round records the largest that was drawn, and
    rounds with the most common one are longer than others.

    Parameters
    ----------
    run : Run
        An open run.
    kind : type of Strategy
        Its scheme: K may exceed M where it counts uploads or gradients.
    go_over : bool
        Whether workers go on over the end of a round. Then those are left out in
        which they still keep step, until there are two uploads for each.

    Attributes
    ----------
    wait_for, target_updates : int
        K and U.
    regular : numpy.ndarray
        Which they are, bool (n_rounds,).
    words : list of str
        What is left out, a sentence each.

    Raises
    ------
    InputError
        If there are fewer than two such rounds, or U is above 10,000.
    """

    def __init__(
        self, run: Run, kind: type[Strategy], *, go_over: bool = False
    ) -> None:
        k, u = run["wait_for"], run["target_updates"]
        counts_uploads = kind.waits_for is WaitFor.COUNT
        regular = (run["n_hung"] <= 0) & (run["n_lost"] <= 0)
        regular &= (k >= 1) & (u >= 1) & (counts_uploads | (k <= run.n_workers))
        regular[: run.clock == "wall"] = False
        if regular.sum() < _FEWEST_ROUNDS:
            raise InputError("it has fewer than two rounds to compare")
        pairs, counts = np.unique(
            np.stack([k, u])[:, regular], axis=1, return_counts=True
        )
        self.wait_for, self.target_updates = map(int, pairs[:, np.argmax(counts)])
        if self.target_updates > _MOST_UPDATES:
            raise InputError(f"U is above {_MOST_UPDATES:,}")
        regular &= k == self.wait_for
        regular &= (kind is FedNova) | (u == self.target_updates)
        if go_over:
            regular[: math.ceil(_UPLOADS_TO_PART * run.n_workers / self.wait_for)] = 0
        if regular.sum() < _FEWEST_ROUNDS:
            raise InputError("it has fewer than two rounds to compare")
        self.words = _words(run, regular)
        self._run, self.regular = run, regular
        self._correlation = _correlation(run.config)

    def measure(self, column: str) -> Measure:
        """Return mean and standard error of a column.

        Raises
        ------
        InputError
            If it was not recorded in two of the rounds.
        """
        return self._measure(self._run[column], column)

    def measure_time(self) -> Measure:
        """Return mean and standard error of the time of a round, s.

        Raises
        ------
        InputError
            If it was not recorded in two of the rounds.
        """
        return self._measure(np.diff(self._run["wall_s"], prepend=0.0), "wall_s")

    def _measure(self, values: np.ndarray, column: str) -> Measure:
        values = values[self.regular].astype(np.float64)
        values = values[np.isfinite(values) & (values >= 0)]
        n = len(values)
        if n < _FEWEST_ROUNDS:
            raise InputError(f"it has recorded no {column}")
        error = float(values.std(ddof=1)) / math.sqrt(n)
        return Measure(float(values.mean()), error * self._correlation, n)


def configured_updates(run: Run, rounds: RegularRounds, scheme: Scheme) -> int | None:
    """Return U of the rounds of a run; of FedNova the one around which it draws.

    None where the file does not say that one.
    """
    if scheme.kind is not FedNova:
        return rounds.target_updates
    u = scheme.target_updates or run.config.get("target_updates")
    # A round records the largest that it has drawn.
    is_sound = isinstance(u, int) and 1 <= u <= rounds.target_updates
    return u if is_sound else None


def _words(run: Run, regular: np.ndarray) -> list[str]:
    left_out = len(regular) - int(regular.sum())
    n_late = int(np.maximum(0, run["n_late"][regular]).sum())
    words = [f"{left_out} of {len(regular)} rounds are left out"] if left_out else []
    if n_late:
        words.append(f"{n_late} answers came late, and count for no round")
    return words


def _correlation(config: Mapping[str, Any]) -> float:
    """Return by what standard errors grow where rounds are alike: slow spells last."""
    spec = parse_spec(str(config.get("delay", "none")), "delay")
    if spec.name != "markov":
        return 1.0
    share, length = SLOW_SHARE.read(spec), SLOW_ROUNDS.read(spec)
    likeness = max(0.0, 1 - 1 / (length * (1 - share)))
    return math.sqrt((1 + likeness) / (1 - likeness))
