"""What messages cost in a run, in words for tables and figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stsyn_mpi.simulation.network import Network, parse_network

REAL = "real communication"


def network_words(network: str) -> str:
    """Return words for a network as users write it.

    Raises
    ------
    InputError
        If there is no such network.
    """
    return words_of(parse_network(network))


def words_of(network: Network) -> str:
    """Return words for a network."""
    return network.words if network.is_free else f"communication {network.words}"


def communication_words(config: Mapping[str, Any], clock: str) -> str:
    """Return words for the communication of a recorded run.

    Parameters
    ----------
    config
        Its configuration.
    clock
        ``wall`` or ``virtual``.
    """
    return network_words(config.get("network", "free")) if clock == "virtual" else REAL
