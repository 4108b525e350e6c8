"""What a user should know of a run: whose data its model leans to."""

from __future__ import annotations

from stsyn_mpi.config import TrainConfig
from stsyn_mpi.datasets.partitions import parse_partition
from stsyn_mpi.schemes import parse_scheme
from stsyn_mpi.simulation.keys import read_factors
from stsyn_mpi.spec import parse_spec
from stsyn_mpi.strategies import WaitFor

_COUNTS_STRAGGLERS = "stsyn"
_REMEDY = "nova"
_NEARLY_IID = 100.0
"""Concentration from which on shares of a class differ by a tenth, 1 / sqrt(alpha)."""


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
    if not has_factors(config.delay, config.workers):
        return None
    return bias_words(
        config.strategy, config.weights, config.partition, "workers of different speed"
    )


def has_factors(delay: str, n_workers: int | None) -> bool:
    """Whether a delay law makes some workers slower than others for good.

    Raises
    ------
    InputError
        If the law's factors are not sound.
    """
    return len(set(read_factors(parse_spec(delay), n_workers))) > 1


def bias_words(strategy: str, weights: str, partition: str, who: str) -> str | None:
    """Return the warning for a run whose workers differ in speed.

    None where the data are iid, or nearly (a Dirichlet law of concentration 100 or
    more), where all workers are waited for, and where weights take the bias out.

    Parameters
    ----------
    strategy, weights, partition : str
        Options of the run.
    who : str
        Who differs, as the warning says it.

    Raises
    ------
    InputError
        If an option is not sound.
    """
    scheme, law = parse_scheme(strategy).kind, parse_partition(partition)
    is_iid = law.name == "iid"
    is_iid |= law.name == "dirichlet" and law.alpha >= _NEARLY_IID
    if is_iid or scheme.waits_for is WaitFor.ALL:
        return None
    said = (
        f"partition {partition} and {who}: {scheme.name} "
        "steers to the data of the fast ones"
    )
    if scheme.name != _COUNTS_STRAGGLERS:
        return said
    is_remedied = parse_spec(weights).name == _REMEDY
    return None if is_remedied else f"{said}; --weights {_REMEDY} takes that out"
