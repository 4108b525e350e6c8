"""What a message costs on the virtual clock."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

from stsyn_mpi.errors import InputError
from stsyn_mpi.simulation.links import (
    FairUploads,
    SeparateUploads,
    SerialUploads,
    UploadLink,
)
from stsyn_mpi.simulation.parameters import OneOf
from stsyn_mpi.spec import Spec, choose, parse_spec

_SHARING_WORDS = {
    "none": "not shared",
    "serial": "one upload at a time",
    "fair": "shared fairly",
}
SHARING = OneOf("sharing", default="none", allowed=tuple(_SHARING_WORDS))
_RATE = re.compile(r"([0-9]*\.?[0-9]+(?:e[+-]?[0-9]+)?)\s*(?:([kMGT]?)(B|b|bit)/s)?")
_PREFIXES = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


class Network(Protocol):
    """Cost of the messages of a run.

    Attributes
    ----------
    words
        What outputs and figures say of it, such as ``free communication``.
    is_free
        Whether no message takes any time.
    control_s
        Seconds that a control message takes, either way.
    """

    words: str
    is_free: bool
    control_s: float

    def download_s(self, n_bytes: int) -> float:
        """Return the seconds that a model takes from root to worker."""

    def upload_link(self, n_bytes: int) -> UploadLink:
        """Return the way of the uploads of a run, each of ``n_bytes``."""


class ConstantNetwork:
    """An exchange of models costs the same whatever their size.

    A download and an upload take half of it each; control messages take no time.

    Parameters
    ----------
    exchange_s
        Seconds of a download and an upload together; 0 makes messages free.
    """

    def __init__(self, exchange_s: float) -> None:
        self._half_s = exchange_s / 2
        self.is_free = self._half_s == 0
        self.control_s = 0.0
        self.words = (
            "free communication"
            if self.is_free
            else f"{_in_words(exchange_s, _SECONDS)} per exchange"
        )

    def download_s(self, n_bytes: int) -> float:
        """Return half the cost of an exchange."""
        return self._half_s

    def upload_link(self, n_bytes: int) -> UploadLink:
        """Return a link on which every upload takes half the cost of an exchange."""
        return SeparateUploads(self._half_s)


class LinkNetwork:
    """Latency for every message; models take their size over the bandwidth besides.

    Every download has the bandwidth to itself. The uploads share the link of the root.

    Parameters
    ----------
    latency_s
        Seconds that any message takes, either way.
    bandwidth
        Bytes a second, positive.
    sharing
        ``none``: every upload has the bandwidth to itself; ``serial``: one after
        another; ``fair``: those under way have equal shares.
    """

    is_free = False

    def __init__(self, latency_s: float, bandwidth: float, sharing: str) -> None:
        self.control_s = latency_s
        self._bandwidth, self._sharing = bandwidth, sharing
        self.words = (
            f"link {_in_words(latency_s, _SECONDS)}, {_in_words(bandwidth, _RATES)}, "
            f"{_SHARING_WORDS[sharing]}"
        )

    def download_s(self, n_bytes: int) -> float:
        """Return the latency and the transfer of ``n_bytes``."""
        return self.control_s + n_bytes / self._bandwidth

    def upload_link(self, n_bytes: int) -> UploadLink:
        """Return the link of the root."""
        transfer_s = n_bytes / self._bandwidth
        if self._sharing == "none":
            return SeparateUploads(self.control_s + transfer_s)
        kind = SerialUploads if self._sharing == "serial" else FairUploads
        return kind(transfer_s, self.control_s)


def _free(spec: Spec) -> Network:
    return ConstantNetwork(0.0)


def _constant(spec: Spec) -> Network:
    return ConstantNetwork(spec.duration("cost"))


def _link(spec: Spec) -> Network:
    if "bandwidth" not in spec.parameters:
        raise InputError("'link' needs bandwidth=..., as in link:bandwidth=1GB/s")
    return LinkNetwork(
        spec.duration("latency", 0.0),
        parse_rate(spec.parameters["bandwidth"], "bandwidth of 'link'"),
        SHARING.read(spec),
    )


_NETWORKS: dict[str, tuple[Callable[[Spec], Network], tuple[str, ...]]] = {
    "free": (_free, ()),
    "constant": (_constant, ("cost",)),
    "link": (_link, ("latency", "bandwidth", "sharing")),
}


def parse_network(text: str) -> Network:
    """Return the network that ``text`` names.

    Parameters
    ----------
    text : str
        ``free``, ``constant:cost=100ms`` or
        ``link:latency=1ms,bandwidth=1GB/s,sharing=none|serial|fair``.

    Raises
    ------
    InputError
        Naming the network or parameter, and what is allowed.
    """
    spec = parse_spec(text, "--network")
    make, parameters = _NETWORKS[choose(spec.name, _NETWORKS, "--network")]
    spec.check_keys(parameters)
    return make(spec)


def parse_rate(text: str, where: str) -> float:
    """Parse a rate: ``1GB/s``, ``10Gb/s``, ``10Gbit/s``, ``100MB/s``, ``1e9``.

    Prefixes are powers of 1000; ``B`` is a byte, ``b`` or ``bit`` an eighth of one.

    Returns
    -------
    float
        Bytes a second, positive and finite; a bare number means bytes a second.

    Raises
    ------
    InputError
        If the text is none of these forms.
    """
    rate = 0.0
    if match := _RATE.fullmatch(text.strip()):
        unit_bytes = 1.0 if match[3] in (None, "B") else 0.125
        rate = float(match[1]) * _PREFIXES[match[2] or ""] * unit_bytes
    if not 0 < rate < float("inf"):
        raise InputError(
            f"{where} must be a rate above 0 such as 1GB/s, 100MB/s, 10Gb/s or 1e9 "
            f"(bytes a second), got {text!r}"
        )
    return rate


_SECONDS = (("s", 1.0), ("ms", 1e-3), ("us", 1e-6))
_RATES = (("GB/s", 1e9), ("MB/s", 1e6), ("kB/s", 1e3), ("B/s", 1.0))


def _in_words(value: float, units: tuple[tuple[str, float], ...]) -> str:
    """Return a value in the largest unit of which it has one."""
    if value == 0:
        return f"0 {units[0][0]}"
    name, size = next(((n, s) for n, s in units if value >= s), units[-1])
    return f"{value / size:g} {name}"
