"""The root's part of a run: files, evaluation, collecting, and the end of it all."""

import os
import sys
import traceback

from stsyn_mpi.assembly import (
    Job,
    ModelFactory,
    assemble,
    build_evaluation,
    complaint_of,
)
from stsyn_mpi.caveats import bias_of
from stsyn_mpi.config import TrainConfig
from stsyn_mpi.datasets import partition
from stsyn_mpi.errors import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_TOO_FEW_WORKERS,
    InputError,
    RunFailure,
)
from stsyn_mpi.mpi import startup
from stsyn_mpi.mpi.agreement import agree_on_transfer
from stsyn_mpi.mpi.binding import device_map, sharing_warnings, take_seat
from stsyn_mpi.mpi.farewell import dismiss, dismiss_after_failure
from stsyn_mpi.mpi.root import RankFailed, Root
from stsyn_mpi.mpi.signals import SignalBox
from stsyn_mpi.mpi.stages import tell_begun, tell_over
from stsyn_mpi.mpi.startup import Place, World
from stsyn_mpi.mpi.transfer import Courier
from stsyn_mpi.mpi.wire import rank_of
from stsyn_mpi.progress import LOG, Progress, print_failure
from stsyn_mpi.protocol.commands import Outcome
from stsyn_mpi.root_assembly import build_root
from stsyn_mpi.run_files import open_run_files
from stsyn_mpi.runfile.schema import RunState
from stsyn_mpi.runfile.writer import RunWriter

_FAREWELL_INTERVALS = 10
_EXIT_CODES = {
    Outcome.DONE: EXIT_DONE,
    Outcome.STOPPED: EXIT_DONE,
    Outcome.FAILED: EXIT_FAILED,
    Outcome.LOST: EXIT_TOO_FEW_WORKERS,
}


def run_root(
    world: World,
    config: TrainConfig,
    make_model: ModelFactory | None,
    signals: SignalBox,
) -> int:
    """Run the root; return the exit code when MPI may be finalised.

    Raises
    ------
    Refused
        On every rank, if one of them refuses its input.
    """
    complaint = None
    seat = take_seat(world, config)
    everyone = seat.everyone
    try:
        job = assemble(config, world.n_workers, seat.backend, make_model)
        evaluation, initial = build_evaluation(job)
        # The first one allocates, and makes all there is to make.
        evaluation(job.backend.to_device(initial))
    except (InputError, MemoryError) as error:
        complaint = complaint_of(error)
    startup.agree(world, complaint)
    startup.compare(world, job.facts(len(initial)))
    option = job.config.gpu_direct
    agreement = agree_on_transfer(world, job.backend, option, os.environ)
    try:
        provenance = _provenance(job, everyone, world)
        files = open_run_files(job, provenance, len(initial))
        writer = files.writer
    except InputError as error:
        complaint = str(error)
    startup.agree(world, complaint)
    root = None
    try:
        progress = Progress(
            job.config, lambda w: _describe(job, everyone, w), writer.n_rounds
        )
        courier = Courier(world.comm, job.backend, agreement.terms)
        root = build_root(
            world, job, courier, files, evaluation, initial, signals, progress
        )
        startup.start_together(world)
        tell_begun()
        n_hosts = len({place.host for place in everyone})
        _tell_devices(everyone)
        if (caveat := bias_of(job.config)) is not None:
            LOG.warning("%s", caveat)
        for line in agreement.lines:
            LOG.info("%s", line)
        where = f"{job.n_workers} workers on {n_hosts} hosts"
        LOG.info("%s: round %d begins", where, root.n_rounds)
        outcome = _collect(root, writer, progress)
    except BaseException as error:
        _fail(root, writer, everyone, error, _farewell_s(job))
        raise
    _end(root, everyone, _farewell_s(job), _EXIT_CODES[outcome])
    return _EXIT_CODES[outcome]


def _tell_devices(everyone: list[Place]) -> None:
    """Log who computes where, if anybody has a GPU."""
    if any(place.device_id for place in everyone):
        for line in device_map(everyone):
            LOG.info("%s", line)
        for line in sharing_warnings(everyone):
            LOG.warning("%s", line)


def _describe(job: Job, everyone: list[Place], worker: int) -> str:
    """Say where a worker was, and which part of the data was its own."""
    config, labels = job.config, job.data.train_labels()
    own = partition(config.partition, labels, job.n_workers, config.seed)[worker]
    rank = rank_of(worker)
    share = f"{len(own)} of {len(labels)} samples ({len(own) / len(labels):.1%})"
    return f"rank {rank} on {everyone[rank].host} and had {share}"


def _farewell_s(job: Job) -> float:
    return _FAREWELL_INTERVALS * job.config.alive_interval


def _provenance(job: Job, everyone: list[Place], world: World) -> dict[str, object]:
    return {
        "hosts": [place.host for place in everyone],
        "pids": [place.pid for place in everyone],
        "devices": [place.device for place in everyone],
        "device_ids": [place.device_id for place in everyone],
        "mpi_library": startup.library_name(),
        "mpi_survives_deaths": int(world.survives_deaths),
        "data_checksum": job.data.checksum,
    }


def _collect(root: Root, writer: RunWriter, progress: Progress) -> Outcome:
    """Run the root and complete its file: only then may anybody leave."""
    finish = root.run()
    writer.write_final_params(root.model.to_host())
    writer.set_state(RunState(finish.outcome.value), finish.reason)
    writer.close()
    LOG.info("%s", progress.line())
    if root.n_skipped_evaluations:
        skipped = root.n_skipped_evaluations
        LOG.info("%d evaluations skipped: one was still running", skipped)
    LOG.info("%s: %s; run file %s", finish.outcome.value, finish.reason, writer.path)
    if finish.outcome is Outcome.FAILED:
        LOG.error("the model diverged: try a smaller --lr or a smaller -U")
    if finish.outcome in (Outcome.STOPPED, Outcome.LOST):
        LOG.info("to go on: stsyn-mpi train --resume %s", writer.path)
    return finish.outcome


def _end(root: Root, everyone: list[Place], timeout_s: float, code: int) -> None:
    """End the run for all workers; leave at once if one of them does not answer."""
    silent = dismiss(root.requests, root.end_workers, timeout_s)
    if not silent:
        root.requests.cancel_receives()
        return
    # Of the lost it was said when they died.
    hung = [rank_of(worker) for worker in silent if worker not in root.requests.lost]
    if hung:
        LOG.warning("ranks %s did not answer at the end", hung)
    elsewhere = startup.kill_hung(everyone, hung)
    if elsewhere:
        LOG.warning("ranks %s are on other nodes: end them there", elsewhere)
    tell_over()
    startup.leave_at_once(code)


def _fail(
    root: Root | None,
    writer: RunWriter,
    everyone: list[Place],
    error: BaseException,
    timeout_s: float,
) -> None:
    """Print one traceback, close the file, end everybody; leave if there is a root.

    Before round 0 the others are in a collective call: the caller ends the job.
    """
    rank, text = 0, traceback.format_exc()
    if isinstance(error, RankFailed):
        rank, text = rank_of(error.worker), error.text
    elif isinstance(error, RunFailure):
        text = str(error)
    host = everyone[rank].host
    last_line = text.strip().splitlines()[-1] if text.strip() else "no traceback"
    has_begun = root is not None and root.has_begun
    if has_begun:
        print_failure(rank, text, host)
    try:
        if root is not None:
            root.flush()
        if root is not None and has_begun and not isinstance(error, RunFailure):
            root.save_checkpoint()
        writer.set_state(RunState.FAILED, f"rank {rank} on {host}: {last_line}")
        writer.close()
    except Exception as disk_error:
        # On a full disk it is what ended the run.
        if str(disk_error) != text:
            print(f"stsyn-mpi: {disk_error}", file=sys.stderr, flush=True)
    if root is not None and has_begun:
        try:
            deaf = set(dismiss_after_failure(root.requests, timeout_s))
            hung = sorted(deaf - root.requests.lost)
            startup.kill_hung(everyone, [rank_of(worker) for worker in hung])
        finally:
            tell_over()
            startup.leave_at_once(EXIT_FAILED)
