"""What one rank does from MPI_Init to its end, also where something fails."""

import os
import socket
import sys
import traceback
from dataclasses import replace
from pathlib import Path

from stsyn_mpi.assembly import (
    Job,
    ModelFactory,
    assemble,
    build_coordinator,
    build_evaluation,
    build_trainer,
)
from stsyn_mpi.config import TrainConfig
from stsyn_mpi.errors import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_TOO_FEW_WORKERS,
    InputError,
)
from stsyn_mpi.mpi import startup
from stsyn_mpi.mpi.root import RankFailed, Root, RootParts
from stsyn_mpi.mpi.signals import SignalBox
from stsyn_mpi.mpi.startup import Place, World
from stsyn_mpi.mpi.wire import rank_of, worker_of
from stsyn_mpi.mpi.worker import Worker
from stsyn_mpi.progress import LOG, Progress, set_up_logging
from stsyn_mpi.protocol.commands import Finish, Outcome
from stsyn_mpi.runfile.paths import default_run_path
from stsyn_mpi.runfile.recorder import RunRecorder
from stsyn_mpi.runfile.schema import RunState
from stsyn_mpi.runfile.writer import RunWriter
from stsyn_mpi.training.evaluator import Evaluator
from stsyn_mpi.training.server_steps import build_server_step

_FAREWELL_S = 1.0
# A thread that computes in pure Python gives the other one a turn this often.
_SWITCH_INTERVAL_S = 5e-4
_EXIT_CODES = {
    Outcome.DONE: EXIT_DONE,
    Outcome.STOPPED: EXIT_DONE,
    Outcome.FAILED: EXIT_FAILED,
    Outcome.LOST: EXIT_TOO_FEW_WORKERS,
}


def run_rank(config: TrainConfig, make_model: ModelFactory | None = None) -> int:
    """Run the role of this rank: 0 is the root, all others are workers.

    Parameters
    ----------
    config
        The same on all ranks.
    make_model
        Makes the model, instead of the one that ``config`` names.

    Returns
    -------
    int
        Exit code: 0 done, 1 failed, 3 too few workers left. A run in which a rank
        failed or is out of reach does not return: it leaves the process.

    Raises
    ------
    InputError
        On every rank, if one of them refuses its input.
    """
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    world = startup.open_world(os.environ)
    signals = SignalBox()
    signals.install()
    try:
        return _run_role(world, config, make_model, signals)
    except InputError:
        startup.leave_in_order(world)
        raise
    except BaseException:
        _print_failure(world.rank, traceback.format_exc())
        startup.end_job(world, EXIT_FAILED)
        raise


def _run_role(
    world: World,
    config: TrainConfig,
    make_model: ModelFactory | None,
    signals: SignalBox,
) -> int:
    if world.rank == 0:
        return _run_root(world, config, make_model, signals)
    return _run_worker(world, config, make_model, signals)


# Worker


def _run_worker(
    world: World,
    config: TrainConfig,
    make_model: ModelFactory | None,
    signals: SignalBox,
) -> int:
    complaint = None
    try:
        set_up_logging(config, world.rank)
        job = assemble(config, world.n_workers, make_model)
        job.backend.activate()
        trainer, n_params = build_trainer(job, worker_of(world.rank))
    except InputError as error:
        complaint = str(error)
    startup.agree(world, complaint)
    startup.compare(world, job.facts(n_params))
    startup.places(world)
    startup.agree(world, None)
    worker = Worker(
        world.comm,
        job.backend,
        trainer,
        job.config.alive_interval,
        job.faults,
        signals,
    )
    trainer.warm_up()
    world.comm.Barrier()
    return _work(world, worker)


def _work(world: World, worker: Worker) -> int:
    """Work until the end; a worker that fails tells the root, which prints it."""
    try:
        farewell = worker.run()
    except BaseException:
        # A worker talks to nobody but the root: if MPI complains, it is gone.
        if not startup.is_mpi_error(sys.exception()):
            worker.fail(traceback.format_exc())
        startup.leave_at_once(EXIT_FAILED)
        raise
    if not farewell.finalize:
        startup.leave_at_once(EXIT_FAILED if farewell.has_failed else EXIT_DONE)
    startup.leave_in_order(world)
    return EXIT_DONE


# Root


def _run_root(
    world: World,
    config: TrainConfig,
    make_model: ModelFactory | None,
    signals: SignalBox,
) -> int:
    complaint = None
    try:
        set_up_logging(config, world.rank)
        job = assemble(config, world.n_workers, make_model)
        job.backend.activate()
        evaluate, initial = build_evaluation(job)
    except InputError as error:
        complaint = str(error)
    startup.agree(world, complaint)
    startup.compare(world, job.facts(len(initial)))
    everyone = startup.places(world)
    try:
        writer = _create_run_file(job, everyone, world)
    except InputError as error:
        complaint = str(error)
    startup.agree(world, complaint)
    recorder = RunRecorder(
        writer,
        job.n_workers,
        initial.nbytes,
        job.learning_rate(),
        records_events=job.config.record_events,
    )
    progress = Progress(job.config)
    n_uploads = job.config.upload_buffers or job.n_workers
    first_model = job.backend.empty(len(initial))
    first_model[...] = job.backend.to_device(initial)
    parts = RootParts(
        backend=job.backend,
        server_step=build_server_step("mean", job.backend, len(initial)),
        initial_params=first_model,
        recorder=recorder,
        evaluator=Evaluator(job.backend, evaluate),
        faults=job.faults,
        signals=signals,
        report=progress.report,
        n_upload_buffers=job.n_workers if job.config.deterministic else n_uploads,
        blocks=_blocks(job.config.wait, world),
    )
    evaluate(first_model)
    root = Root(world.comm, build_coordinator(job), parts)
    world.comm.Barrier()
    n_hosts = len({place.host for place in everyone})
    LOG.info("%d workers on %d hosts: round 0 begins", job.n_workers, n_hosts)
    return _collect(world, root, writer, everyone, progress)


def _blocks(wait: str, world: World) -> bool:
    """Whether the root may wait inside MPI, which keeps a core busy."""
    if wait == "auto":
        return world.n_local_ranks <= len(os.sched_getaffinity(0))
    return wait == "block"


def _create_run_file(job: Job, everyone: list[Place], world: World) -> RunWriter:
    config = job.config
    out = config.out or str(default_run_path(config.strategy, os.environ))
    provenance = {
        "hosts": [place.host for place in everyone],
        "pids": [place.pid for place in everyone],
        "devices": [job.backend.name] * len(everyone),
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


def _collect(
    world: World,
    root: Root,
    writer: RunWriter,
    everyone: list[Place],
    progress: Progress,
) -> int:
    """Run the root, complete its files, and only then let anybody leave."""
    try:
        finish = root.run()
        writer.write_final_params(root.final_host_params())
        writer.set_state(RunState(finish.outcome.value), finish.reason)
        writer.close()
    except BaseException:
        _fail(root, writer, everyone)
        raise
    LOG.info("%s", progress.line())
    LOG.info("%s: %s; run file %s", finish.outcome.value, finish.reason, writer.path)
    root.end_workers(_FAREWELL_S, has_failed=False)
    code = _EXIT_CODES[finish.outcome]
    if not root.all_are_told:
        _leave_some_behind(finish, everyone)
        startup.leave_at_once(code)
    root.leave()
    startup.leave_in_order(world)
    return code


def _leave_some_behind(finish: Finish, everyone: list[Place]) -> None:
    ranks = [rank_of(worker) for worker in finish.unreachable]
    if not ranks:
        return
    elsewhere = startup.kill_hung(everyone, ranks)
    LOG.warning("ranks %s did not answer at the end", ranks)
    if elsewhere:
        LOG.warning("ranks %s are on other nodes: end them there", elsewhere)


def _fail(root: Root, writer: RunWriter, everyone: list[Place]) -> None:
    """Print one traceback, close the file, end everybody, leave."""
    error = sys.exception()
    if isinstance(error, RankFailed):
        rank, text = rank_of(error.worker), error.text
    else:
        rank, text = 0, traceback.format_exc()
    host = everyone[rank].host
    _print_failure(rank, text, host)
    last_line = text.strip().splitlines()[-1] if text.strip() else "no traceback"
    try:
        writer.set_state(RunState.FAILED, f"rank {rank} on {host}: {last_line}")
        writer.close()
    except Exception as disk_error:
        print(f"stsyn-mpi: {disk_error}", file=sys.stderr)
    root.end_workers(_FAREWELL_S, has_failed=True)
    startup.kill_hung(everyone, root.deaf_ranks())
    startup.leave_at_once(EXIT_FAILED)


def _print_failure(rank: int, text: str, host: str | None = None) -> None:
    host = host or socket.gethostname()
    print(
        f"stsyn-mpi: rank {rank} on {host} failed:\n{text.rstrip()}",
        file=sys.stderr,
        flush=True,
    )
