"""What one rank does from MPI_Init to its end, also where something fails."""

import os
import sys
import traceback

from stsyn_mpi.assembly import ModelFactory, assemble, build_trainer
from stsyn_mpi.config import TrainConfig
from stsyn_mpi.errors import EXIT_DONE, EXIT_FAILED, InputError
from stsyn_mpi.mpi import startup
from stsyn_mpi.mpi.signals import SignalBox
from stsyn_mpi.mpi.startup import World
from stsyn_mpi.mpi.wire import worker_of
from stsyn_mpi.mpi.worker import Worker
from stsyn_mpi.progress import print_failure, set_up_logging
from stsyn_mpi.run_root import run_root

# A thread that computes in pure Python gives the other one a turn this often.
_SWITCH_INTERVAL_S = 5e-4


def run_rank(
    config: TrainConfig,
    make_model: ModelFactory | None = None,
    signals: SignalBox | None = None,
) -> int:
    """Run the role of this rank: 0 is the root, all others are workers.

    Parameters
    ----------
    config
        The same on all ranks.
    make_model
        Makes the model, instead of the one that ``config`` names.
    signals
        Where signals are noted, if they are taken over already.

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
    if signals is None:
        signals = SignalBox()
        signals.install()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    world = startup.open_world(os.environ)
    run_role = run_root if world.rank == 0 else run_worker
    try:
        code = run_role(world, config, make_model, signals)
    except startup.Refused as refusal:
        startup.leave_in_order(world)
        raise InputError(str(refusal)) from None
    except BaseException as error:
        if startup.tells_of_death(error):
            startup.leave_at_once(EXIT_FAILED)
        print_failure(world.rank, traceback.format_exc())
        startup.end_job(world, EXIT_FAILED)
        raise
    startup.leave_in_order(world)
    return code


def run_worker(
    world: World,
    config: TrainConfig,
    make_model: ModelFactory | None,
    signals: SignalBox,
) -> int:
    """Run a worker; return when MPI may be finalised.

    Raises
    ------
    Refused
        On every rank, if one of them refuses its input.
    """
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
        tells_updates=job.config.record_updates,
    )
    trainer.warm_up()
    startup.start_together(world)
    _work(worker)
    return EXIT_DONE


def _work(worker: Worker) -> None:
    """Work until the end; a worker that fails tells the root, which prints it."""
    try:
        farewell = worker.run()
    except BaseException as error:
        # A worker talks to nobody but the root. After END it need not be there.
        if startup.tells_of_death(error):
            startup.leave_at_once(EXIT_DONE if worker.has_ended else EXIT_FAILED)
        worker.fail(traceback.format_exc())
        startup.leave_at_once(EXIT_FAILED)
        raise
    if not farewell.finalize:
        startup.leave_at_once(EXIT_FAILED if farewell.has_failed else EXIT_DONE)
