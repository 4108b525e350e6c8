"""The root's part of a run: files, evaluation, collecting, and the end of it all."""

import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from stsyn_mpi.arrays import Array
from stsyn_mpi.assembly import (
    Job,
    ModelFactory,
    assemble,
    build_coordinator,
    build_evaluation,
    complaint_of,
)
from stsyn_mpi.caveats import bias_of
from stsyn_mpi.config import TrainConfig
from stsyn_mpi.errors import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_TOO_FEW_WORKERS,
    InputError,
)
from stsyn_mpi.mpi import startup
from stsyn_mpi.mpi.agreement import agree_on_transfer
from stsyn_mpi.mpi.binding import device_map, sharing_warnings, take_seat
from stsyn_mpi.mpi.farewell import dismiss, dismiss_after_failure
from stsyn_mpi.mpi.root import RankFailed, Root, RootParts
from stsyn_mpi.mpi.signals import SignalBox
from stsyn_mpi.mpi.startup import Place, World
from stsyn_mpi.mpi.transfer import Courier
from stsyn_mpi.mpi.wire import rank_of
from stsyn_mpi.preflight import check_not_replayed
from stsyn_mpi.progress import LOG, Progress, print_failure
from stsyn_mpi.protocol.commands import Outcome
from stsyn_mpi.runfile.paths import default_run_path
from stsyn_mpi.runfile.recorder import RunRecorder
from stsyn_mpi.runfile.schema import RunState
from stsyn_mpi.runfile.writer import RunWriter
from stsyn_mpi.training.evaluation import Evaluation
from stsyn_mpi.training.evaluator import Evaluator
from stsyn_mpi.training.server_steps import build_server_step

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
    except (InputError, MemoryError) as error:
        complaint = complaint_of(error)
    startup.agree(world, complaint)
    startup.compare(world, job.facts(len(initial)))
    option = job.config.gpu_direct
    agreement = agree_on_transfer(world, job.backend, option, os.environ)
    try:
        writer = _create_run_file(job, everyone, world)
    except InputError as error:
        complaint = str(error)
    startup.agree(world, complaint)
    root = None
    try:
        progress = Progress(job.config)
        courier = Courier(world.comm, job.backend, agreement.terms)
        root = _build_root(
            world, job, courier, writer, evaluation, initial, signals, progress
        )
        startup.start_together(world)
        n_hosts = len({place.host for place in everyone})
        _tell_devices(everyone)
        if (caveat := bias_of(job.config)) is not None:
            LOG.warning("%s", caveat)
        for line in agreement.lines:
            LOG.info("%s", line)
        LOG.info("%d workers on %d hosts: round 0 begins", job.n_workers, n_hosts)
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


def _farewell_s(job: Job) -> float:
    return _FAREWELL_INTERVALS * job.config.alive_interval


def _create_run_file(job: Job, everyone: list[Place], world: World) -> RunWriter:
    config = job.config
    out = config.out or str(default_run_path(job.strategy_name, os.environ))
    check_not_replayed(Path(out), config.delay)
    provenance = {
        "hosts": [place.host for place in everyone],
        "pids": [place.pid for place in everyone],
        "devices": [place.device for place in everyone],
        "device_ids": [place.device_id for place in everyone],
        "mpi_library": startup.library_name(),
        "mpi_survives_deaths": int(world.survives_deaths),
        "data_checksum": job.data.checksum,
    }
    return RunWriter.create(
        Path(out),
        job.n_workers,
        replace(config, out=out).to_json(),
        provenance,
        force=config.force,
        swmr=config.swmr,
        record_updates=config.record_updates,
        record_events=config.record_events,
    )


def _build_root(
    world: World,
    job: Job,
    courier: Courier,
    writer: RunWriter,
    evaluation: Callable[[Array], Evaluation],
    initial: np.ndarray,
    signals: SignalBox,
    progress: Progress,
) -> Root:
    config, backend = job.config, job.backend
    recorder = RunRecorder(
        writer,
        job.n_workers,
        initial.nbytes,
        job.learning_rate(),
        records_events=config.record_events,
    )
    first_model = backend.empty(len(initial))
    first_model[...] = backend.to_device(initial)
    evaluation(first_model)
    parts = RootParts(
        backend=backend,
        courier=courier,
        server_step=build_server_step(config.server_step, backend, len(initial)),
        initial_params=first_model,
        recorder=recorder,
        evaluator=Evaluator(backend, evaluation),
        faults=job.faults,
        signals=signals,
        report=progress.report,
        n_upload_buffers=_n_upload_buffers(job),
        blocks=_has_core_of_its_own(config.wait, world),
    )
    return Root(world.comm, build_coordinator(job, job.config.alive_interval), parts)


def _n_upload_buffers(job: Job) -> int:
    """Return how many uploads the root may hold at a time.

    In deterministic order all uploads of a round are held until it closes: fewer
    places than K would never close it.
    """
    config = job.config
    if config.deterministic:
        return max(job.n_workers, config.wait_for or 0)
    return config.upload_buffers or job.n_workers


def _has_core_of_its_own(wait: str, world: World) -> bool:
    if wait == "auto":
        return world.n_local_ranks <= len(os.sched_getaffinity(0))
    return wait == "block"


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
    return finish.outcome


def _end(root: Root, everyone: list[Place], timeout_s: float, code: int) -> None:
    """End the run for all workers; leave at once if one of them does not answer."""
    silent = [rank_of(w) for w in dismiss(root.requests, root.end_workers, timeout_s)]
    if not silent:
        root.requests.cancel_receives()
        return
    LOG.warning("ranks %s did not answer at the end", silent)
    lost = {rank_of(worker) for worker in root.requests.lost}
    elsewhere = startup.kill_hung(everyone, [r for r in silent if r not in lost])
    if elsewhere:
        LOG.warning("ranks %s are on other nodes: end them there", elsewhere)
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
    host = everyone[rank].host
    last_line = text.strip().splitlines()[-1] if text.strip() else "no traceback"
    has_begun = root is not None and root.has_begun
    if has_begun:
        print_failure(rank, text, host)
    try:
        if root is not None:
            root.flush()
        writer.set_state(RunState.FAILED, f"rank {rank} on {host}: {last_line}")
        writer.close()
    except Exception as disk_error:
        print(f"stsyn-mpi: {disk_error}", file=sys.stderr, flush=True)
    if root is not None and has_begun:
        try:
            deaf = set(dismiss_after_failure(root.requests, timeout_s))
            hung = sorted(deaf - root.requests.lost)
            startup.kill_hung(everyone, [rank_of(worker) for worker in hung])
        finally:
            startup.leave_at_once(EXIT_FAILED)
