"""What a user should know before a run begins."""

from __future__ import annotations

from stsyn_mpi.config import TrainConfig
from stsyn_mpi.schemes import OWN_WEIGHTS, parse_scheme
from stsyn_mpi.simulation.keys import read_factors
from stsyn_mpi.spec import parse_spec
from stsyn_mpi.strategies import WaitFor

_COUNTS_STRAGGLERS = "stsyn"


def bias_of(config: TrainConfig) -> str | None:
    """Return a warning where fast workers will pull the model to their own data.

    With persistent speed differences and data that are not iid, the plain mean
    steers to sum_m w_m F_m, where w_m grows with the speed (derived, PAPER.md 3).
    Weights help only where stragglers count with what they did.

    Parameters
    ----------
    config
        Resolved.
    """
    scheme = parse_scheme(config.strategy).kind
    if (
        parse_spec(config.partition).name == "iid"
        or scheme.waits_for is WaitFor.ALL
        or len(set(read_factors(parse_spec(config.delay), config.workers))) < 2
    ):
        return None
    said = (
        f"partition {config.partition} and workers of different speed: {scheme.name} "
        "steers to the data of the fast ones"
    )
    if scheme.name != _COUNTS_STRAGGLERS:
        return said
    is_plain = config.weights in (OWN_WEIGHTS, "uniform")
    return f"{said}; --weights nova takes that out" if is_plain else None
