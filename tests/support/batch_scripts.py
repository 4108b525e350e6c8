"""Run a batch script without its scheduler: stand-ins record what it asks of others."""

import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_LAUNCHERS = ("mpirun", "mpiexec", "mpiexec_mpt", "srun")
_SUBMITTERS = ("qsub", "sbatch", "qdel", "scancel")

# Keeps the hosts of the ranks, and leaves a finished run where the run's file is due.
_LAUNCHER = """#!/bin/bash
printf '%s\\0' "${{0##*/}}" "$@" >{folder}/started
places=${{SLURM_HOSTFILE:-${{PBS_NODEFILE:-/dev/null}}}}
while (($#)); do
    case $1 in
    --hostfile | -f) places=$2 ;;
    --out | --resume) mkdir -p "$(dirname "$2")" && cp {finished} "$2" ;;
    esac
    shift
done
cp "$places" {folder}/places
exit {code}
"""
_RECORDER = """#!/bin/bash
printf '%s\\n' "${{0##*/}} $*" >>{folder}/asked
echo 42
"""


@dataclass
class Outcome:
    """What a script did."""

    code: int
    output: str
    started: list[str]
    places: list[str]
    asked: list[str]


class Machine:
    """A folder that passes for a cluster, with hosts n1, n2, ..."""

    def __init__(self, folder: Path, finished: Path):
        self.folder, self.bin = folder, folder / "stand-ins"
        self.bin.mkdir()
        where = {
            "folder": shlex.quote(str(folder)),
            "finished": shlex.quote(str(finished)),
        }
        for name in _LAUNCHERS:
            self.add(name, _LAUNCHER.format(**where, code=0))
        for name in _SUBMITTERS:
            self.add(name, _RECORDER.format(**where))
        self.add("module", "#!/bin/sh\n")
        self.add("scontrol", '#!/bin/sh\nprintf "%s\\n" $HOSTS\n')
        self.add("stsyn-mpi", f'#!/bin/sh\nexec {sys.executable} -m stsyn_mpi "$@"\n')
        # Where the shipped scripts look for it.
        (folder / ".venv").mkdir(exist_ok=True)
        (folder / ".venv" / "bin").symlink_to(self.bin)

    def add(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def run(self, script: Path, n_hosts: int, cwd="/", **variables: str) -> Outcome:
        """Run a script in nothing but the variables of a scheduler."""
        hosts = [f"n{i + 1}.site.example" for i in range(n_hosts)]
        # As at some sites, a line for each core, and not in order.
        nodefile = self.folder / "nodefile"
        nodefile.write_text("".join(f"{host}\n" for host in hosts * 3))
        known = {"PATH": f"{self.bin}:/usr/bin:/bin", "HOME": str(self.folder)}
        known |= {"PBS_JOBID": "17.server", "PBS_O_WORKDIR": str(self.folder)}
        known |= {"PBS_NODEFILE": str(nodefile), "PBS_ARRAY_INDEX": "0"}
        if script.suffix != ".pbs":
            known = {name: known[name] for name in ("PATH", "HOME")}
            known |= {"SLURM_JOB_ID": "17", "SLURM_SUBMIT_DIR": str(self.folder)}
            known |= {"SLURM_JOB_NODELIST": f"n[1-{n_hosts}]", "HOSTS": " ".join(hosts)}
            known |= {"SLURM_NTASKS_PER_NODE": "5", "SLURM_ARRAY_TASK_ID": "0"}
        done = subprocess.run(
            ["bash", script],
            env=known | variables,
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        return Outcome(
            done.returncode,
            done.stdout,
            self._read("started").split("\0")[:-1],
            self._read("places").splitlines(),
            self._read("asked").splitlines(),
        )

    def _read(self, name: str) -> str:
        path = self.folder / name
        return path.read_text() if path.exists() else ""
