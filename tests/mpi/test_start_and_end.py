"""Before round 0 and after the last one no rank listens to the root."""

import os
import signal
import sys
import time

import pytest
from real_jobs import Job, is_alive, pids_of, wait_until

from stsyn_mpi.errors import EXIT_DONE, EXIT_FAILED
from stsyn_mpi.mpi.processes import descendants, ranks_among
from stsyn_mpi.mpi.signals import SAME_REQUEST_S
from stsyn_mpi.runfile.checkpoint import checkpoint_folder
from stsyn_mpi.runfile.reader import open_run
from stsyn_mpi.runfile.schema import RunState

pytestmark = pytest.mark.mpi

OPTIONS = ("-K", 2, "-U", 2, "--delay", "exponential:mean=5ms", "--model", "softmax")
# Supervisor and ranks alike: each rank runs the patch before anything of MPI.
SCRIPT = """
import os, signal, sys
from stsyn_mpi.mpi import job_watch, launch
rank = launch.rank_in(os.environ)
job_watch.LINGER_SECONDS = 0.5
launch.rank_argv = lambda arguments: [sys.executable, __file__, *arguments]

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def stop():
    os.kill(os.getpid(), signal.SIGSTOP)

{patch}
from stsyn_mpi.cli.main import main
main()
"""
STOPS_BEFORE_INIT = """
if rank == 2:
    stop()
"""
ENDS_BEFORE_INIT = """
job_watch.BROKEN_SECONDS = job_watch.UNSEEN_SECONDS = 0.5
if rank == 2:
    sys.exit(2)
"""
SLOW_IMPORTS = """
if rank is not None:
    signal.pause()
"""
# As where temporary files are private to a process, or to a node.
UNHEARD = """
os.environ.pop("STSYN_MPI_STAGES", None)
"""
AFTER_INIT = """
if rank == 2:
    import stsyn_mpi.mpi
    from stsyn_mpi.mpi import startup
    startup.start_together = lambda world: die()
"""
IN_THE_END = """
if rank == 2:
    import stsyn_mpi.mpi
    from stsyn_mpi.mpi import startup
    leave = startup.leave_in_order
    startup.leave_in_order = lambda world: (stop(), leave(world))
"""
SLOW_EVALUATION = """
if rank == 0:
    import threading
    import stsyn_mpi.mpi
    from stsyn_mpi import run_root
    build = run_root.build_evaluation
    def build_slow(job):
        evaluate, initial = build(job)
        def evaluate_slowly(params):
            if threading.current_thread().name == "evaluate":
                threading.Event().wait()
            return evaluate(params)
        return evaluate_slowly, initial
    run_root.build_evaluation = build_slow
"""


@pytest.fixture
def start_patched(tmp_path):
    """Start ``train -M 3``, whose ranks are patched."""
    jobs = []

    def launch(patch, *options):
        script = tmp_path / "script.py"
        script.write_text(SCRIPT.format(patch=patch))
        command = [sys.executable, str(script), "train", "-M", "3"]
        jobs.append(Job([*command, *map(str, options)], dict(os.environ), tmp_path))
        return jobs[-1]

    yield launch
    for job in jobs:
        job.end()


def wait_for_ranks(job):
    """Return the process ids of all ranks when they are there."""
    pids = set()

    def are_there():
        pids.update(rank.pid for rank in ranks_among(descendants(job.process.pid)))
        return len(pids) == 4

    wait_until(are_there, "the ranks")
    return pids


def resume_line(path, n_rounds):
    done = f"{n_rounds} rounds are in {path}"
    return f"{done}; to go on: stsyn-mpi train --resume {path}\n"


def test_a_rank_that_ends_before_mpi_starts_ends_the_job(start_patched, tmp_path):
    path = tmp_path / "run.h5"
    job = start_patched(ENDS_BEFORE_INIT, "--out", path, *OPTIONS)
    assert job.wait() == EXIT_FAILED
    # Where a launcher sees to it itself, it may be faster.
    assert "stsyn-mpi: the job broke off: " in job.errors
    assert "; it wrote no run file\n" in job.errors
    assert not path.exists()


def test_a_signal_while_a_rank_is_slow_to_start_ends_the_job(start_patched, tmp_path):
    path = tmp_path / "run.h5"
    job = start_patched(STOPS_BEFORE_INIT, "--out", path, *OPTIONS)
    pids = wait_for_ranks(job)
    heard = "*/stsyn-mpi-*/heard"
    wait_until(lambda: any(tmp_path.glob(heard)), "the other ranks to be heard")
    job.send(signal.SIGINT)
    assert job.wait() == EXIT_FAILED
    assert "the job broke off: SIGINT before round 0; it wrote no" in job.errors
    assert not any(map(is_alive, pids))


def test_a_signal_before_any_rank_is_heard_ends_the_job(start_patched, tmp_path):
    path = tmp_path / "run.h5"
    job = start_patched(SLOW_IMPORTS, "--out", path, *OPTIONS)
    pids = wait_for_ranks(job)
    job.send(signal.SIGINT)
    assert job.wait() == EXIT_FAILED
    assert "the job broke off: SIGINT to stsyn-mpi train; it wrote no" in job.errors
    assert not any(map(is_alive, pids))


def test_a_run_that_is_not_heard_stops_in_good_order(start_patched, tmp_path):
    path = tmp_path / "run.h5"
    options = ("--out", path, "--rounds", 100_000, *OPTIONS)
    job = start_patched(UNHEARD, *options)
    job.wait_for_rounds(path, 3)
    job.send(signal.SIGTERM)
    assert job.wait() == EXIT_DONE, job.errors
    assert "the job was ended" not in job.errors
    with open_run(path) as run:
        assert run.state is RunState.STOPPED


def test_a_rank_that_dies_before_round_0_is_told(start_patched, tmp_path):
    path = tmp_path / "run.h5"
    job = start_patched(AFTER_INIT, "--out", path, *OPTIONS)
    assert job.wait() == EXIT_FAILED
    assert resume_line(path, 0) in job.errors


def test_a_rank_that_stops_on_its_way_out_does_not_keep_the_job(
    start_patched, tmp_path
):
    path = tmp_path / "run.h5"
    job = start_patched(IN_THE_END, "--out", path, "--rounds", 3, *OPTIONS)
    assert job.wait() == EXIT_DONE, job.errors
    assert "not all ranks left when the run was over" in job.errors
    assert not any(map(is_alive, pids_of(path)))
    with open_run(path) as run:
        assert run.state is RunState.DONE


@pytest.mark.once
def test_the_checkpoint_does_not_wait_for_evaluations(start_patched, tmp_path):
    path = tmp_path / "run.h5"
    often = ("--rounds", 100_000, "--checkpoint-every", "1h")
    job = start_patched(SLOW_EVALUATION, "--out", path, *often, *OPTIONS)
    job.wait_for_rounds(path, 3)
    root = pids_of(path)[0]
    os.kill(root, signal.SIGUSR1)
    wait_until(lambda: any(checkpoint_folder(path).glob("round-*.h5")), "a checkpoint")

    first = time.monotonic()
    # Soon after the first it is the same request; a third would end the root.
    wait_until(lambda: time.monotonic() > first + SAME_REQUEST_S, "the time to insist")
    os.kill(root, signal.SIGUSR1)
    wait_until(lambda: job.process.poll() is not None, "the end without the evaluation")
    with open_run(path) as run:
        assert run.state is RunState.STOPPED


def test_without_a_supervisor_ranks_do_not_wait_for_ever_to_start(start, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(patch=ENDS_BEFORE_INIT))
    limit = ("--start-limit", "1s")
    job = start(4, "train", *limit, *OPTIONS, script=script)
    assert job.wait() != 0
    assert not list(tmp_path.glob("runs/*"))
