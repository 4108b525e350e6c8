"""The supervisor under a real mpirun: signals, orphans, its own death."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from real_jobs import WAIT_S, is_alive, wait_until

from stsyn_mpi.mpi.processes import descendants, shared_memory_of

pytestmark = pytest.mark.mpi

N_RANKS = 3
SUPERVISOR = """
import sys
from stsyn_mpi.mpi.launch import find_mpirun, mpirun_command
from stsyn_mpi.mpi.job_watch import JobWatch
from stsyn_mpi.mpi.supervisor import supervise
look = JobWatch.look
def look_and_tell(self):
    look(self)
    with open(sys.argv[-2] + "/looks", "a") as file:
        file.write("x")
JobWatch.look = look_and_tell
ulfm, *argv = sys.argv[1:]
ending = supervise(*mpirun_command(find_mpirun(), 3, argv, ulfm=ulfm == "ulfm"))
print(ending.cause)
sys.exit(ending.code)
"""
# A rank reports each signal by a file, and leaves 0.5 s after the first, so that a
# second one would be seen too.
RANK = """
import os, signal, subprocess, sys, time
from pathlib import Path
folder, manner = Path(sys.argv[1]), sys.argv[2]
got = []
def note(number, frame):
    got.append(time.monotonic())
    (folder / f"{rank}.got{len(got)}").touch()
import mpi4py
mpi4py.rc.threads = False
from mpi4py import MPI
from stsyn_mpi.mpi.stages import tell_begun, tell_here
tell_here()
rank = MPI.COMM_WORLD.rank
if manner == "orphan":
    null = subprocess.DEVNULL
    child = subprocess.Popen(
        ["sleep", "600"], start_new_session=True, stdout=null, stderr=null
    )
    (folder / f"{rank}.child").write_text(str(child.pid))
    sys.exit()
signal.signal(signal.SIGUSR1, note)
if manner == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
MPI.COMM_WORLD.Barrier()
tell_begun()
pid = folder / f"{rank}.tmp"
pid.write_text(str(os.getpid()))
pid.rename(folder / f"{rank}.pid")
while manner == "stubborn" or not got or time.monotonic() < got[0] + 0.5:
    time.sleep(0.01)
"""


@pytest.fixture(params=["ulfm", "plain"])
def start(tmp_path, request):
    started = []

    rank = [sys.executable, "-c", RANK, str(tmp_path)]
    (tmp_path / "tmp").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}

    def launch(manner):
        process = subprocess.Popen(
            [sys.executable, "-c", SUPERVISOR, request.param, *rank, manner],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield launch
    for process in started:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()
        process.stdout.close()


def rank_pids(folder: Path) -> list[int]:
    wait_until(lambda: len(list(folder.glob("*.pid"))) == N_RANKS)
    return [int(path.read_text()) for path in folder.glob("*.pid")]


def n_looks(folder: Path) -> int:
    """Return how often the supervisor has looked at its job."""
    looks = folder / "looks"
    return looks.stat().st_size if looks.exists() else 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR2])
def test_first_signal_reaches_every_rank_once_as_a_request_to_stop(
    start, tmp_path, number
):
    supervisor = start("polite")
    pids = rank_pids(tmp_path)
    supervisor.send_signal(number)
    supervisor.send_signal(number)  # at once: the same request
    assert supervisor.wait(WAIT_S) == 0
    assert len(list(tmp_path.glob("*.got1"))) == N_RANKS
    assert not list(tmp_path.glob("*.got2"))
    assert not any(is_alive(pid) for pid in pids)


def test_second_signal_ends_ranks_that_ignore_the_first(start, tmp_path):
    supervisor = start("stubborn")
    pids = rank_pids(tmp_path)
    segments = shared_memory_of(pids)
    assert segments

    def gone():
        if any(is_alive(pid) for pid in pids):
            supervisor.send_signal(signal.SIGINT)
            return False
        return True

    wait_until(gone)
    assert supervisor.wait(WAIT_S) == 128 + signal.SIGKILL
    assert supervisor.stdout.read() == "a second signal, SIGINT\n"
    assert not any(path.exists() for path in segments)


def test_a_killed_launcher_leaves_nothing(start, tmp_path):
    supervisor = start("polite")
    pids = rank_pids(tmp_path)
    segments = shared_memory_of(pids)
    assert segments
    assert list((tmp_path / "tmp").iterdir())
    # A look that has begun by now is over at the next but one.
    seen = n_looks(tmp_path)
    wait_until(lambda: n_looks(tmp_path) >= seen + 2, "the supervisor to look")
    # Stopped ranks do not leave by themselves when their launcher is gone.
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    for pid in set(descendants(supervisor.pid)) - set(pids):
        os.kill(pid, signal.SIGKILL)
    assert supervisor.wait(WAIT_S) == 128 + signal.SIGKILL
    assert supervisor.stdout.read() == "SIGKILL to the launcher\n"
    assert not any(is_alive(pid) for pid in pids)
    assert not any(path.exists() for path in segments)
    assert not list((tmp_path / "tmp").iterdir())


LINGERING = """
import os, sys
from stsyn_mpi.mpi import job_watch, supervisor
job_watch.LINGER_SECONDS = 0.5
root = "OMPI_COMM_WORLD_RANK=0 sh -c 'sleep 1 & sleep 3'"
launcher = f"trap '' TERM; {root}; echo > $0; sleep 600"
ending = supervisor.supervise(["sh", "-c", launcher, sys.argv[1]], os.environ)
print(ending.cause)
sys.exit(ending.code)
"""


def test_a_launcher_that_lingers_when_the_root_is_gone_is_ended(tmp_path):
    mark = tmp_path / "root-is-gone"
    command = [sys.executable, "-c", LINGERING, str(mark)]
    done = subprocess.run(command, timeout=WAIT_S, stdout=subprocess.PIPE, text=True)
    # The child of the root that ends before it does is not taken for the root.
    assert mark.exists()
    assert done.returncode == 128 + signal.SIGKILL
    assert done.stdout == "the launcher stayed when the root was gone\n"


def test_death_of_the_supervisor_ends_the_ranks(start, tmp_path):
    supervisor = start("polite")
    pids = rank_pids(tmp_path)
    os.kill(supervisor.pid, signal.SIGKILL)
    wait_until(lambda: not any(is_alive(pid) for pid in pids))


def test_what_ranks_leave_running_is_killed(start, tmp_path):
    assert start("orphan").wait(WAIT_S) == 0
    children = [int(path.read_text()) for path in tmp_path.glob("*.child")]
    assert len(children) == N_RANKS
    assert not any(is_alive(pid) for pid in children)
