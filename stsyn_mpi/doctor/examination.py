"""The whole examination, as every rank goes through it."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stsyn_mpi.arrays import Backend, count_gpus, select_backend
from stsyn_mpi.config import TrainConfig
from stsyn_mpi.doctor import judgement
from stsyn_mpi.doctor.facts import (
    RankFacts,
    blas_threads,
    host_name,
    software,
    usable_cores,
)
from stsyn_mpi.doctor.folder import judge_folder
from stsyn_mpi.doctor.lines import judge_lines
from stsyn_mpi.doctor.verdicts import Verdict, failure, ok, warning
from stsyn_mpi.errors import EXIT_FAILED, InputError
from stsyn_mpi.mpi import probes, startup
from stsyn_mpi.mpi.binding import take_seat
from stsyn_mpi.mpi.gpu_direct import detect
from stsyn_mpi.mpi.launch import launcher_flavour
from stsyn_mpi.mpi.startup import World, gather_long_texts, gather_texts
from stsyn_mpi.progress import print_failure

Tell = Callable[[Verdict], None]


@dataclass(frozen=True)
class Wishes:
    """What the user wants to have looked at.

    Attributes
    ----------
    device, root_device, gpu_direct : str
        As in training.
    blas_threads : int
        As in training.
    folder : Path
        Where run files will go.
    is_large : bool
        Whether to send a message above 2 GiB, which takes 5 GiB of memory.
    """

    device: str
    root_device: str
    gpu_direct: str
    blas_threads: int
    folder: Path
    is_large: bool


def examine(wishes: Wishes, tell: Tell) -> bool:
    """Look at everything; every rank of the job calls it.

    Parameters
    ----------
    wishes
        The same on all ranks.
    tell
        Gets each verdict as soon as it is known, on the root alone.

    Returns
    -------
    bool
        Whether this rank is the root, which has told the verdicts.

    Raises
    ------
    InputError
        If ``--device gpu`` was asked for and a rank has none.
    """
    try:
        world = startup.open_world(os.environ)
    except InputError as error:
        # Every rank is alone then; the caller keeps all but one of them silent.
        tell(failure("world", str(error), "start with the launcher of that MPI"))
        return True
    try:
        _examine(world, wishes, tell if world.rank == 0 else _keep_silent)
    except startup.Refused as refusal:
        startup.leave_in_order(world)
        raise InputError(str(refusal)) from None
    except BaseException as error:
        _end_all(world, error)
        raise
    is_root = world.rank == 0
    startup.leave_in_order(world)
    return is_root


def _end_all(world: World, error: BaseException) -> None:
    """Leave where others wait for this rank, and see that they do so too."""
    if startup.tells_of_death(error):
        # Of the death they know; that this rank exits they would not be told.
        world.comm.Revoke()
        startup.leave_at_once(EXIT_FAILED)
    print_failure(world.rank, traceback.format_exc())
    startup.end_job(world, EXIT_FAILED)


def _keep_silent(verdict: Verdict) -> None:
    pass


def _examine(world: World, wishes: Wishes, tell: Tell) -> None:
    config = TrainConfig(device=wishes.device, root_device=wishes.root_device)
    backend = take_seat(world, config).backend
    beacon = probes.Beacon()
    facts = _facts_of_all(world, backend)
    addresses = [int(text) for text in gather_texts(world, str(beacon.address))]
    for verdict in _judge_ranks(world, facts, wishes):
        tell(verdict)
    tell(_judge_single_copy(facts, addresses))
    hosts = [fact.host for fact in facts[1:]]
    lines = probes.measure_lines(world)
    if lines:
        for verdict in judge_lines(lines, hosts, facts[0].host):
            tell(verdict)
    tell(_judge_gpu_memory(world, facts, wishes, backend))
    tell(_judge_large(world, wishes))
    if world.rank == 0:
        for verdict in judge_folder(wishes.folder):
            tell(verdict)
    startup.start_together(world)


def _facts_of_all(world: World, backend: Backend) -> list[RankFacts]:
    library, _ = probes.mpi_names()
    finding = detect(os.environ)
    own = RankFacts(
        host=host_name(),
        pid=os.getpid(),
        cores=usable_cores(),
        blas_threads=blas_threads(),
        device=backend.device_name,
        device_id=backend.device_id,
        n_gpus=count_gpus()[0],
        gpu_aware=finding.is_aware,
        gpu_reason=finding.reason,
        software=software(f"{probes.mpi4py_version()}, {library}"),
        thread_level=probes.thread_levels()[0],
    )
    texts = gather_long_texts(world, own.to_text())
    return [RankFacts.from_text(text) for text in texts]


def _judge_ranks(
    world: World, facts: Sequence[RankFacts], wishes: Wishes
) -> list[Verdict]:
    library, built_for = probes.mpi_names()
    n_hosts = len({fact.host for fact in facts})
    size = f"{len(facts)} ranks on {n_hosts} host{'s' if n_hosts > 1 else ''}"
    return [
        _judge_library(library, built_for),
        ok("world", f"{size}, started by {launcher_flavour(os.environ)}"),
        judgement.judge_software(facts),
        judgement.judge_threads(facts, probes.thread_levels()[1]),
        judgement.judge_deaths(library, survives=world.survives_deaths),
        *judgement.judge_map(facts),
        judgement.judge_cores(facts),
        judgement.judge_blas(facts, wishes.blas_threads),
        judgement.judge_gpus(facts, wishes.device),
    ]


def _judge_library(library: str, built_for: str) -> Verdict:
    found = f"{library}, mpi4py uses it as {built_for}"
    vendor, _, _ = built_for.partition(" ")
    if vendor.lower().replace(" ", "") in library.lower().replace(" ", ""):
        return ok("MPI library", found)
    remedy = "reinstall mpi4py against the MPI that is loaded: pip install --no-binary"
    return warning("MPI library", found, f"{remedy}=mpi4py mpi4py")


def _judge_single_copy(facts: Sequence[RankFacts], addresses: Sequence[int]) -> Verdict:
    """Say whether the root may read the memory of a worker on its node."""
    beside = [r for r in range(1, len(facts)) if facts[r].host == facts[0].host]
    if not beside:
        return ok("single copy", "no worker shares the root's node")
    rank = beside[0]
    if probes.can_read(facts[rank].pid, addresses[rank]):
        return ok("single copy", "ranks of a node may read each other's memory")
    return warning(
        "single copy",
        "ranks of a node may not read each other's memory: messages on a node are "
        "copied twice, and gathering large models takes many times as long",
        "allow ptrace in the container (CAP_SYS_PTRACE), or kernel.yama.ptrace_scope=0",
    )


def _judge_gpu_memory(
    world: World, facts: Sequence[RankFacts], wishes: Wishes, backend: Backend
) -> Verdict:
    on_gpus = [fact for fact in facts[1:] if fact.device_id]
    if not on_gpus:
        return ok("GPU memory", "no worker computes on a GPU")
    if wishes.gpu_direct == "off":
        return ok("GPU memory", "vectors travel through host memory: --gpu-direct off")
    unaware = [fact for fact in on_gpus if not fact.gpu_aware]
    reason = (unaware or on_gpus)[0].gpu_reason
    is_wanted = wishes.gpu_direct == "on" or not unaware
    if not is_wanted or len(on_gpus) < world.n_workers:
        return ok("GPU memory", f"vectors travel through host memory: {reason}")
    if world.rank == 0 and not (wishes.gpu_direct == "on" or facts[0].gpu_aware):
        backend = select_backend("cpu")
    transfers = probes.check_device_memory(world, backend)
    # Workers do not know, and are not heard.
    sent, received = (transfers.sent, transfers.received) if transfers else ((), ())
    return judgement.judge_transfers(
        sent, received, reason, is_root_on_gpu=not backend.is_host
    )


def _judge_large(world: World, wishes: Wishes) -> Verdict:
    item = "above 2 GiB"
    if not wishes.is_large:
        pieces = f"pieces of {probes.most_bytes_a_message() / 2**30:.0f} GiB"
        return ok(item, f"vectors travel in {pieces}; --large sends one")
    try:
        seconds = probes.check_large(world)
    except MemoryError as error:
        found = f"{error} has no room for a vector of 2.5 GiB: it was not sent"
        return warning(item, found, "ask for more memory, or leave --large out")
    if world.rank == 0 and seconds is None:
        return failure(item, "a vector of 2.5 GiB came damaged", "use another MPI")
    return ok(item, f"2.5 GiB came whole in {seconds or 0:.1f} s")
