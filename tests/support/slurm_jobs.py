"""A real Slurm of this machine, for tests: started, asked, ended."""

import os
import re
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from real_jobs import wait_until

SCRIPT = Path(__file__).parent / "slurm" / "slurm.sh"
COMMANDS = ("slurmctld", "slurmd", "munged", "sbatch", "qsub", "generate_pbs_nodefile")
_OVER = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")
_READY_S = 60


def lacking() -> str:
    """Say why there can be no Slurm here; "" where there can."""
    if os.geteuid() != 0:
        return "a Slurm of one's own needs root"
    missing = [name for name in COMMANDS if shutil.which(name) is None]
    # By this name srun --mpi=pmix looks for it.
    if not any(Path("/usr/lib").glob("*/pmix2/lib/libpmix.so")):
        missing.append("libpmix.so")
    packages = "Debian packages slurm-wlm, munge, slurm-wlm-torque, libpmix-dev"
    return f"no {', '.join(missing)} ({packages})" if missing else ""


class Slurm:
    """The daemons, which live as long as this process holds their standard input."""

    def __init__(self, folder: Path):
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
        with (folder / "errors").open("w") as errors:
            self._process = subprocess.Popen(
                [SCRIPT, folder / "slurm"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        self.environment["SLURM_CONF"] = str(folder / "slurm" / "slurm.conf")
        said = self._process.stdout.readline()
        if said != "ready\n":
            self.end()
            raise RuntimeError(f"no Slurm: {(folder / 'errors').read_text()}")

    def end(self) -> None:
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait(_READY_S)
        self._process.stdout.close()

    def submit(self, folder: Path, *command, **variables) -> str:
        """Run qsub or sbatch in a folder, and return the number of the job."""
        said = self.ask(*command, cwd=folder, env=self.environment | variables)
        return re.search(r"(\d+)\D*$", said)[1]

    def ask(self, *command, **how) -> str:
        how = {"env": self.environment, **how}
        done = subprocess.run(
            [*map(str, command)], capture_output=True, text=True, check=False, **how
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def state(self, job: str) -> str:
        """Return the state of a job; of an array, that of the job which is behind."""
        said = self.ask("scontrol", "--oneliner", "show", "job", job)
        states = re.findall(r"JobState=(\w+)", said)
        return next((state for state in states if state not in _OVER), states[0])

    def kill_script(self, job: str, node: str) -> None:
        """Kill the script of a job, which gets no time to do anything."""
        said = self.ask("scontrol", "listpids", job, node)
        (pid,) = re.findall(rf"^(\d+) +{job} +batch +0 ", said, re.MULTILINE)
        os.kill(int(pid), signal.SIGKILL)

    def wait(self, job: str) -> str:
        """Wait for the end of a job, and return its state."""
        wait_until(lambda: self.state(job) in _OVER, f"job {job}")
        return self.state(job)
