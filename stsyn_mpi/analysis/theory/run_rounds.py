"""The rounds of a recorded run that theory is about, and what was measured in them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile.reader import Run
from stsyn_mpi.simulation.markov import SLOW_ROUNDS, SLOW_SHARE
from stsyn_mpi.simulation.network import parse_network
from stsyn_mpi.spec import parse_spec

_FEWEST_ROUNDS = 2
_MOST_UPDATES = 10_000
_OF_THEORY, _OF_MESSAGES, _OF_MACHINES = 1e-3, 0.01, 0.05


@dataclass(frozen=True)
class Measure:
    """Mean of a column over rounds, the standard error of it, and their number."""

    mean: float
    error: float
    n_rounds: int


class RegularRounds:
    """The rounds with the most common K and U, and nobody hung or lost.

    On a real machine the first is left out: it pays for first touches.

    Parameters
    ----------
    run : Run
        An open run.
    counts_uploads : bool
        Whether K counts uploads or gradients, so that it may exceed M.

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

    def __init__(self, run: Run, *, counts_uploads: bool = False) -> None:
        k, u = run["wait_for"], run["target_updates"]
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
        regular &= (k == self.wait_for) & (u == self.target_updates)
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
        values = self._run[column][self.regular].astype(np.float64)
        values = values[np.isfinite(values) & (values >= 0)]
        n = len(values)
        if n < _FEWEST_ROUNDS:
            raise InputError(f"it has recorded no {column}")
        error = float(values.std(ddof=1)) / math.sqrt(n)
        return Measure(float(values.mean()), error * self._correlation, n)


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


@dataclass(frozen=True)
class Messages:
    """What messages do to a round.

    Attributes
    ----------
    before_s : float
        Beside the updates, from the first model sent to the K-th arrival, s.
    after_s : float
        How long workers go on after that, s.
    tolerance : float
        Relative difference from theory that is not held against a run.
    words : str
        What is assumed, a sentence.
    """

    before_s: float
    after_s: float
    tolerance: float
    words: str


def messages_of(run: Run, rounds: RegularRounds) -> Messages:
    """Return what messages did: the network of a simulated run, else as measured.

    Parameters
    ----------
    run, rounds
        The run, and the rounds that count.

    Raises
    ------
    InputError
        If the network is none.
    """
    if run.clock == "wall":
        return _measured(run, rounds)
    network = parse_network(str(run.config.get("network", "free")))
    if network.is_free:
        return Messages(0.0, 0.0, _OF_THEORY, "Messages take no time")
    n_models, n_bytes = run["models_down"], run["bytes_down"]
    sent = n_models > 0
    model_bytes = int(n_bytes[sent].sum() // n_models[sent].sum()) if sent.any() else 0
    before_s = network.download_s(model_bytes) + network.control_s
    words = f"Messages take what the network says: {_OF_MESSAGES:.0%} are tolerated"
    return Messages(before_s, 2 * network.control_s, _OF_MESSAGES, words)


def _measured(run: Run, rounds: RegularRounds) -> Messages:
    """Compare the root's clock and the workers' with the K-th time of U updates.

    That time is on the clocks of the workers, since each had the model. The root hears
    of the K-th later, for the model and the report were on their way; and workers are
    halted later, where what they cancelled ends.
    """
    targets = run["worker_target_s"][rounds.regular]
    targets = np.where(targets >= 0, targets, np.inf)
    kth_s = np.full(run.n_rounds, np.nan)
    kth_s[rounds.regular] = np.sort(targets, axis=1)[:, rounds.wait_for - 1]
    updates = run.updates()
    known = (updates["round"] >= 0) & (updates["round"] < run.n_rounds)
    cut = known & (updates["completed"] == 0)
    lasted = (updates["start_s"] + updates["injected_s"] + updates["work_s"])[cut]
    before_s = _mean_excess(run["kth_arrival_s"] - kth_s)
    after_s = _mean_excess(lasted - kth_s[updates["round"][cut]])
    words = (
        f"Model and report are {1e3 * before_s:.3g} ms on their way, workers go on for "
        f"{1e3 * after_s:.3g} ms after the K-th, as measured; the rest of messages "
        f"takes no time: {_OF_MACHINES:.0%} are tolerated"
    )
    return Messages(before_s, after_s, _OF_MACHINES, words)


def _mean_excess(seconds: np.ndarray) -> float:
    known = seconds[np.isfinite(seconds)]
    return max(0.0, float(known.mean())) if len(known) else 0.0
