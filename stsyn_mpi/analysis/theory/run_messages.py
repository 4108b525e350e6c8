"""What messages did to the rounds of a recorded run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stsyn_mpi.analysis.theory.communication_cost import FREE, CommunicationCost
from stsyn_mpi.analysis.theory.run_cost import goes_over, kth_ready_s, measured_cost
from stsyn_mpi.analysis.theory.run_rounds import RegularRounds
from stsyn_mpi.analysis.theory.scheme_theory import UPLOADS_AT_ONCE
from stsyn_mpi.runfile.reader import Run
from stsyn_mpi.simulation.network import SHARING, Network, parse_network
from stsyn_mpi.spec import parse_spec
from stsyn_mpi.strategies.base import Strategy

_OF_THEORY, _OF_MESSAGES, _OF_MACHINES = 1e-3, 0.01, 0.05
_STOPS_AT_K = ("k-fastest", "k-sync")
"""Schemes that halt workers, and wait for their answers, without their uploads."""


@dataclass(frozen=True)
class Messages:
    """What messages do to a round.

    Attributes
    ----------
    before_s : float
        Beside the updates, from the first model sent to the K-th arrival, s.
    after_s : float
        How long workers go on after that, s.
    cost : CommunicationCost
        What communication adds to a round, or to a worker's cycle where workers go
        on over the end of rounds.
    is_free : bool
        Whether no message takes any time.
    tolerance : float
        Relative difference from theory that is not held against a run.
    words : str
        What is assumed, a sentence.
    late_from_s : float or None
        See `stsyn_mpi.analysis.theory.expected_rounds.expect_round`.
    """

    before_s: float
    after_s: float
    cost: CommunicationCost
    is_free: bool
    tolerance: float
    words: str
    late_from_s: float | None = None


def messages_of(run: Run, rounds: RegularRounds, kind: type[Strategy]) -> Messages:
    """Return what messages did: the network of a simulated run, else as measured.

    Parameters
    ----------
    run, rounds, kind
        The run, the rounds that count, and its scheme.

    Raises
    ------
    InputError
        If the network is none, or what was measured is not enough.
    """
    if run.clock == "wall":
        return _measured(run, rounds, kind)
    text = str(run.config.get("network", "free"))
    network = parse_network(text)
    if network.is_free:
        return Messages(0.0, 0.0, FREE, True, _OF_THEORY, "Messages take no time")
    is_shared = text.startswith("link") and SHARING.read(parse_spec(text)) != "none"
    down_s = network.download_s(_bytes_of(run, "down"))
    cost = _simulated_cost(run, rounds, network, kind, is_shared=is_shared)
    words = f"Messages take what the network says: {_OF_MESSAGES:.0%} are tolerated"
    before_s, after_s = down_s + network.control_s, 2 * network.control_s
    late_from_s = None
    if _halts_alone(run, rounds, kind) and not is_shared:
        up_s = network.download_s(_bytes_of(run, "up"))
        late_from_s = max(0.0, 3 * network.control_s - up_s)
    tolerance = _OF_MESSAGES
    return Messages(before_s, after_s, cost, False, tolerance, words, late_from_s)


def _halts_alone(run: Run, rounds: RegularRounds, kind: type[Strategy]) -> bool:
    """Return whether workers are halted, and asked for nothing but an answer."""
    return kind.name in _STOPS_AT_K and rounds.wait_for < run.n_workers


def _bytes_of(run: Run, way: str) -> int:
    """Return the bytes of a model on one way, up or down."""
    n_models, n_bytes = run[f"models_{way}"], run[f"bytes_{way}"]
    sent = n_models > 0
    return int(n_bytes[sent].sum() // n_models[sent].sum()) if sent.any() else 0


def _simulated_cost(
    run: Run,
    rounds: RegularRounds,
    network: Network,
    kind: type[Strategy],
    *,
    is_shared: bool,
) -> CommunicationCost:
    """Return the cost of models down and up, and of the messages on the way.

    All who are halted upload at once: the K-th report and the halt come before. Whoever
    halts them without uploads has the answers to the halt at least.
    """
    down_s = network.download_s(_bytes_of(run, "down"))
    up_s, control_s = network.download_s(_bytes_of(run, "up")), network.control_s
    if kind.name in UPLOADS_AT_ONCE:
        down_s += 2 * control_s
    elif _halts_alone(run, rounds, kind):
        up_s = max(up_s, 3 * control_s)
    if is_shared:
        return CommunicationCost(down_s + control_s, 0.0, up_s - control_s)
    return CommunicationCost(down_s + up_s)


def _measured(run: Run, rounds: RegularRounds, kind: type[Strategy]) -> Messages:
    """Compare the root's clock and the workers' with when the K-th was ready.

    That time is on the clocks of the workers, since each had the model. The root hears
    of the K-th later, for the model and the report were on their way; and workers are
    halted later, where what they cancelled ends.
    """
    cost_s = max(0.0, measured_cost(run, rounds, kind).cost_s)
    cost, most = CommunicationCost(cost_s), f"{_OF_MACHINES:.0%} are tolerated"
    if goes_over(kind):
        words = f"A worker's cycle has {_ms(cost_s)} of messages, as measured: {most}"
        return Messages(0.0, 0.0, cost, False, _OF_MACHINES, words)
    kth_s = np.full(run.n_rounds, np.nan)
    kth_s[rounds.regular] = kth_ready_s(run, rounds, kind)[rounds.regular]
    before_s = _mean_excess(run["kth_arrival_s"] - kth_s)
    after_s = _mean_excess(_cancelled_s(run, kth_s))
    words = (
        f"Model and report are {_ms(before_s)} on their way, workers go on for "
        f"{_ms(after_s)} after the K-th, and all that no update explains adds "
        f"{_ms(cost_s)} to a round, as measured: {most}"
    )
    return Messages(before_s, after_s, cost, False, _OF_MACHINES, words)


def _cancelled_s(run: Run, kth_s: np.ndarray) -> np.ndarray:
    """Return how long after the K-th what was cancelled ended, s (n_cancelled,)."""
    found = [np.empty(0)]
    for rows in run.update_pieces():
        cut = (rows["round"] >= 0) & (rows["completed"] == 0)
        lasted_s = (rows["start_s"] + rows["injected_s"] + rows["work_s"])[cut]
        found.append(lasted_s - kth_s[rows["round"][cut]])
    return np.concatenate(found)


def _mean_excess(seconds: np.ndarray) -> float:
    known = seconds[np.isfinite(seconds)]
    return max(0.0, float(known.mean())) if len(known) else 0.0


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.3g} ms"
