"""What messages cost, judged: which worker's way is slower than the others'."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Protocol

from stsyn_mpi.doctor.verdicts import Verdict, ok, warning

_MUCH_SLOWER = 4.0
_MOST_SKEW_S = 1.0
_MOST_NAMED = 4


class Line(Protocol):
    """What messages between the root and one worker cost."""

    @property
    def latency_s(self) -> float:
        """Seconds that an empty message takes."""

    @property
    def bandwidth(self) -> float:
        """Bytes a second."""

    @property
    def clock_offset_s(self) -> float:
        """The worker's clock less the root's."""


def judge_lines(
    lines: Sequence[Line], hosts: Sequence[str], root_host: str
) -> list[Verdict]:
    """Judge latency, bandwidth and clocks of all workers.

    Parameters
    ----------
    lines : sequence of Line
        By worker.
    hosts : sequence of str
        Hosts by worker.
    root_host : str
        Host of the root: its memory is faster than any network, so workers beside it
        are compared with one another, and the others likewise.
    """
    is_beside = [host == root_host for host in hosts]
    return [
        _judge_latency([line.latency_s for line in lines], hosts, is_beside),
        _judge_bandwidth([line.bandwidth for line in lines], hosts, is_beside),
        _judge_clocks([line.clock_offset_s for line in lines], hosts),
    ]


def _judge_latency(
    latencies: Sequence[float], hosts: Sequence[str], is_beside: Sequence[bool]
) -> Verdict:
    middle = median(latencies)
    found = f"{1e6 * middle:.0f} us to the median worker, {_span(latencies, 1e6)} us"
    slow = _far_behind(latencies, is_beside)
    if not slow:
        return ok("latency", found)
    return warning(
        "latency",
        f"{found}; far behind: {_named(slow, hosts)}",
        "look at the network and the load of those nodes",
    )


def _judge_bandwidth(
    bandwidths: Sequence[float], hosts: Sequence[str], is_beside: Sequence[bool]
) -> Verdict:
    middle = median(bandwidths)
    found = f"{middle / 1e9:.2f} GB/s to the median worker, {_span(bandwidths, 1e-9)}"
    slow = _far_behind([1 / value for value in bandwidths], is_beside)
    if not slow:
        return ok("bandwidth", found)
    return warning(
        "bandwidth",
        f"{found}; far behind: {_named(slow, hosts)}",
        "look at the network and the load of those nodes",
    )


def _far_behind(times: Sequence[float], is_beside: Sequence[bool]) -> list[int]:
    """Return workers whose time is far above that of others as near to the root."""
    middles = {
        near: median(t for t, at in zip(times, is_beside, strict=True) if at == near)
        for near in set(is_beside)
    }
    return [
        worker
        for worker, (time, near) in enumerate(zip(times, is_beside, strict=True))
        if time > _MUCH_SLOWER * middles[near]
    ]


def _judge_clocks(offsets: Sequence[float], hosts: Sequence[str]) -> Verdict:
    worst = max(range(len(offsets)), key=lambda m: abs(offsets[m]))
    found = f"within {abs(offsets[worst]) * 1e3:.1f} ms of the root's"
    if abs(offsets[worst]) <= _MOST_SKEW_S:
        return ok("clocks", found)
    return warning(
        "clocks",
        f"{found}, worst at {_named([worst], hosts)}",
        "synchronise the nodes (NTP); log lines will not line up, runs do not mind",
    )


def _span(values: Sequence[float], factor: float) -> str:
    return f"{factor * min(values):.3g} to {factor * max(values):.3g}"


def _named(workers: Sequence[int], hosts: Sequence[str]) -> str:
    names = [f"worker {m} on {hosts[m]}" for m in workers[:_MOST_NAMED]]
    more = len(workers) - len(names)
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")
