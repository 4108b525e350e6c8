"""What messages cost on the machine of a run, as a network of the simulator."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from stsyn_mpi.analysis.communication import network_words
from stsyn_mpi.analysis.theory.communication_cost import CommunicationCost
from stsyn_mpi.analysis.theory.run_cost import (
    NOTHING_S,
    goes_over,
    measured_cost,
)
from stsyn_mpi.analysis.theory.run_rounds import RegularRounds
from stsyn_mpi.analysis.words import printable, time_words
from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile.reader import Run
from stsyn_mpi.schemes import parse_scheme
from stsyn_mpi.simulation.network import SHARING, parse_network, parse_rate
from stsyn_mpi.spec import parse_spec

_UNTOLD = ("k-async",)
"""Schemes with workers that wait for others, and others that go on meanwhile."""
_FEWEST_ROUNDS = 10
_STANDARD_ERRORS = 4.0


@dataclass(frozen=True)
class Communication:
    """A network, and where it comes from.

    Attributes
    ----------
    network : str
        As for ``--network``.
    words : str
        A sentence on it, without its full stop.
    model_bytes : int
        Size of the models that it holds for; 0 where that does not matter.
    """

    network: str
    words: str
    model_bytes: int = 0

    def for_models(self, n_bytes: int) -> Communication:
        """Return the network on which models of another size cost the same time."""
        spec = parse_spec(self.network, "--network")
        if spec.name != "link" or not self.model_bytes or n_bytes == self.model_bytes:
            return self
        rate = parse_rate(spec.parameters["bandwidth"], "bandwidth of 'link'")
        scaled = rate * n_bytes / self.model_bytes
        own = {**spec.parameters, "bandwidth": f"{scaled:.9g}"}
        text = ",".join(f"{key}={value}" for key, value in own.items())
        return replace(self, network=f"link:{text}", model_bytes=n_bytes)

    def cost(self) -> CommunicationCost:
        """Return what a round costs, for the theory.

        A round of STSyn sends a model, a report, a halt and an answer one after the
        other, and each of them takes its latency.
        """
        network = parse_network(self.network)
        if network.is_free:
            return CommunicationCost()
        spec = parse_spec(self.network, "--network")
        down_s = network.download_s(self.model_bytes)
        control_s = network.control_s
        if spec.name != "link" or SHARING.read(spec) == "none":
            return CommunicationCost(2 * down_s + 2 * control_s)
        return CommunicationCost(
            down_s + 3 * control_s, upload_s=max(0.0, down_s - control_s)
        )


def communication_of(run: Run, network: str | None) -> Communication:
    """Return what messages cost in a run.

    Parameters
    ----------
    run : Run
        The run. Of a simulated one its network is taken, of a real one what was
        measured.
    network : str or None
        What to take in any case, as for ``--network``.

    Raises
    ------
    InputError
        If the network is none, or of a real run nothing can be measured.
    """
    n_bytes = _model_bytes(run)
    if network is not None:
        words = f"Communication is what --network says: {network_words(network)}"
        return Communication(network, words, n_bytes)
    if run.clock == "virtual":
        text = str(run.config.get("network", "free"))
        said = printable(network_words(text))
        return Communication(text, f"Communication as in the run: {said}", n_bytes)
    return _measured(run, n_bytes)


def _model_bytes(run: Run) -> int:
    n_models, n_bytes = run["models_down"], run["bytes_down"]
    sent = (n_models > 0) & (n_bytes >= 0)
    total = int(n_models[sent].astype(np.float64).sum())
    return int(n_bytes[sent].astype(np.float64).sum() / total) if total else 0


def _measured(run: Run, n_bytes: int) -> Communication:
    kind = parse_scheme(str(run.config.get("strategy", ""))).kind
    name = kind.name
    if name in _UNTOLD:
        raise InputError(
            f"{run.path}: what messages cost does not show in rounds of {name}: say "
            "it, as in --network constant:cost=5ms"
        )
    try:
        rounds = RegularRounds(run, kind)
        measured = measured_cost(run, rounds, kind)
    except InputError as error:
        raise InputError(
            f"{run.path}: what messages cost cannot be measured: {error}: say it, as "
            "in --network constant:cost=5ms"
        ) from error
    cost_s = max(0.0, measured.cost_s)
    if n_bytes and not goes_over(kind):
        link = _serial(run, rounds, cost_s, n_bytes)
        if link is not None:
            return link
    beside = "an upload" if goes_over(kind) else "a round"
    uneven = measured.uneven_words(f"--network {_constant(measured.half_s)}")
    words = (
        f"Communication takes {time_words(cost_s)} beside the updates of {beside}, as "
        f"measured over {int(rounds.regular.sum()):,} rounds{uneven}"
    )
    return Communication(_constant(cost_s), words, n_bytes)


def _constant(cost_s: float) -> str:
    is_free = cost_s < NOTHING_S
    return "free" if is_free else f"constant:cost={1e3 * cost_s:.6g}ms"


def _serial(
    run: Run, rounds: RegularRounds, cost_s: float, n_bytes: int
) -> Communication | None:
    """Return a link on which uploads queue, where rounds with more of them say so.

    The slope of the time from close to new model over the number of uploads is what
    one of them takes (least squares); it must be 4 standard errors above none, and
    leave something for the latency of the four messages of a round.
    """
    n = run["n_uploads"][rounds.regular].astype(np.float64)
    took_s = (run["collect_s"] + run["aggregate_s"])[rounds.regular]
    known = np.isfinite(took_s) & (n > 0)
    n, took_s = n[known], took_s[known]
    if len(n) < _FEWEST_ROUNDS or np.ptp(n) == 0:
        return None
    slope, error = _slope(n, took_s)
    latency_s = (cost_s - (1 + float(n.mean())) * slope) / 4
    if not slope > _STANDARD_ERRORS * error or slope <= 0 or latency_s < 0:
        return None
    words = (
        f"Uploads queue at the root, {time_words(slope)} each, as measured from rounds "
        f"with {n.min():.0f} to {n.max():.0f} of them; every message has a latency of "
        f"{time_words(latency_s)}, with which a round costs {time_words(cost_s)} "
        "beside the updates, as measured"
    )
    text = (
        f"link:latency={1e3 * latency_s:.6g}ms,bandwidth={n_bytes / slope:.9g},"
        "sharing=serial"
    )
    return Communication(text, words, n_bytes)


def _slope(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return the slope of the line of least squares, and its standard error."""
    spread = float(((x - x.mean()) ** 2).sum())
    slope = float(((x - x.mean()) * y).sum()) / spread
    rest = y - y.mean() - slope * (x - x.mean())
    return slope, math.sqrt(float((rest**2).sum()) / (len(x) - 2) / spread)
