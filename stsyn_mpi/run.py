"""What one rank does from MPI_Init to its end, also where something fails."""

import os
import sys
import traceback

from stsyn_mpi.assembly import ModelFactory
from stsyn_mpi.config import TrainConfig
from stsyn_mpi.errors import EXIT_FAILED, InputError
from stsyn_mpi.mpi import startup
from stsyn_mpi.mpi.signals import SignalBox
from stsyn_mpi.mpi.startup import World
from stsyn_mpi.mpi.wire import ROOT
from stsyn_mpi.progress import print_failure, set_up_logging

# A thread that computes in pure Python gives the other one a turn this often.
_SWITCH_INTERVAL_S = 5e-4


def run_rank(
    config: TrainConfig,
    make_model: ModelFactory | None = None,
) -> int:
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
    world = startup.open_world(os.environ, config.start_limit)
    signals = SignalBox()
    signals.install()
    try:
        _check(world, config)
        code = _run_role(world, config, make_model, signals)
    except startup.Refused as refusal:
        startup.leave_in_order(world)
        raise InputError(str(refusal)) from None
    except BaseException as error:
        _tell_failure(world, error)
        startup.end_job(world, EXIT_FAILED)
        raise
    startup.leave_in_order(world)
    return code


def _tell_failure(world: World, error: BaseException) -> None:
    """Print what failed before round 0; a worker that heard of a death leaves."""
    if not startup.tells_of_death(error):
        print_failure(world.rank, traceback.format_exc())
    elif world.rank == ROOT:
        print("stsyn-mpi: a rank died before round 0", file=sys.stderr, flush=True)
    else:
        startup.leave_at_once(EXIT_FAILED)


def _check(world: World, config: TrainConfig) -> None:
    complaint = None
    try:
        set_up_logging(config.validate(), world.rank)
    except InputError as error:
        complaint = str(error)
    startup.agree(world, complaint)


def _run_role(
    world: World,
    config: TrainConfig,
    make_model: ModelFactory | None,
    signals: SignalBox,
) -> int:
    # Many ranks start on few cores: none imports what only the other role needs.
    if world.rank == 0:
        from stsyn_mpi.run_root import run_root

        return run_root(world, config, make_model, signals)
    from stsyn_mpi.run_worker import run_worker

    return run_worker(world, config, make_model, signals)
