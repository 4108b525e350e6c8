"""Which rank computes on which device.

The workers of a node take its GPUs in turn. The root computes little: it gets a GPU of
its own where one is left, else a core, and shares one only if it is told to.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from stsyn_mpi.arrays import Backend, check_device, count_gpus, select_backend
from stsyn_mpi.config import TrainConfig
from stsyn_mpi.errors import InputError
from stsyn_mpi.mpi import startup
from stsyn_mpi.mpi.startup import Place, World

SHARED_MEMORY = 0.9
"""Part of a device's memory that ranks share out; the rest holds their contexts."""


@dataclass(frozen=True, slots=True)
class Seat:
    """The device of this rank, and the places of all."""

    backend: Backend
    everyone: list[Place]


def take_seat(world: World, config: TrainConfig) -> Seat:
    """Bind this rank to its device, and learn where the others are.

    Every rank calls it. Its thread is ready to compute afterwards.

    Raises
    ------
    Refused
        On every rank, if one of them has no such device.
    """
    complaint = None
    try:
        backend = _bind(world, config)
    except InputError as error:
        complaint = str(error)
    startup.agree(world, complaint)
    everyone = startup.places(world, backend.device_name, backend.device_id)
    n_sharing = len(sharers(everyone)[world.rank])
    if n_sharing > 1:
        backend.limit_memory(SHARED_MEMORY / n_sharing)
    return Seat(backend, everyone)


def _bind(world: World, config: TrainConfig) -> Backend:
    device = config.device if world.rank else _root_device(world, config)
    check_device(device, "--device" if world.rank else "--root-device")
    backend = select_backend(device, world.local_place)
    try:
        backend.activate()
    except RuntimeError as error:
        raise InputError(
            f"{backend.device_name} cannot be used by rank {world.rank}: {error}"
        ) from None
    return backend


def _root_device(world: World, config: TrainConfig) -> str:
    if config.root_device != "auto" or config.device == "cpu":
        return config.device if config.device == "cpu" else config.root_device
    return "gpu" if count_gpus()[0] > world.n_local_workers else "cpu"


def sharers(everyone: list[Place]) -> list[list[int]]:
    """Return by rank the ranks that compute on its GPU; none for a core."""
    ranks: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for rank, place in enumerate(everyone):
        if place.device_id:
            ranks[place.host, place.device_id].append(rank)
    return [ranks.get((place.host, place.device_id), []) for place in everyone]


def device_map(everyone: list[Place]) -> list[str]:
    """Return a line for each host, such as ``node1: rank 0 cpu, rank 1 gpu 0: ...``."""
    hosts: defaultdict[str, list[str]] = defaultdict(list)
    for rank, place in enumerate(everyone):
        hosts[place.host].append(f"rank {rank} {place.device}")
    return [f"{host}: {', '.join(ranks)}" for host, ranks in hosts.items()]


def sharing_warnings(everyone: list[Place]) -> list[str]:
    """Return a line for each GPU that several ranks share."""
    shared = {tuple(ranks): ranks[0] for ranks in sharers(everyone) if len(ranks) > 1}
    return [
        f"ranks {', '.join(map(str, ranks))} share {everyone[first].device} of "
        f"{everyone[first].host}: each may use "
        f"{SHARED_MEMORY / len(ranks):.0%} of its memory"
        for ranks, first in shared.items()
    ]
