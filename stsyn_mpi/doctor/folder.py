"""Whether a folder's file system keeps run files as they are meant to be kept."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from stsyn_mpi.doctor.verdicts import Verdict, failure, ok, warning
from stsyn_mpi.errors import InputError

_WITHOUT_SWMR = ("nfs", "nfs4", "cifs", "smb3", "fuse.sshfs")
_MOUNTS = Path("/proc/self/mounts")
_KEPT = (
    *("PATH", "HOME", "PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE"),
    *("LD_LIBRARY_PATH", "HDF5_USE_FILE_LOCKING"),
)
_READ_S = 60
_LITTLE_BYTES = 1 << 30
_READER = (
    "import sys\n"
    "from stsyn_mpi.runfile import open_run\n"
    "with open_run(sys.argv[1]) as run:\n"
    "    sys.exit(0 if run.n_rounds == 1 and run.file.swmr_mode else 3)\n"
)


def judge_folder(folder: Path) -> list[Verdict]:
    """Look at the folder for run files, by writing one there and reading it.

    Parameters
    ----------
    folder : Path
        It is created if need be, and left without anything of ours in it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".doctor-", dir=folder) as scratch:
            kind = file_system_of(folder)
            free = shutil.disk_usage(folder).free
            verdicts = [_judge_space(folder, kind, free), _judge_locks(Path(scratch))]
            return [*verdicts, _judge_swmr(Path(scratch) / "run.h5", kind)]
    except OSError as error:
        found = f"cannot write to {folder}: {error.strerror or error}"
        return [failure("run files", found, "name another folder (--out)")]


def file_system_of(folder: Path) -> str:
    """Return the type of the file system of a folder, as ``/proc`` names it."""
    place = folder.resolve()
    best, kind = -1, "unknown"
    try:
        lines = _MOUNTS.read_text().splitlines()
    except OSError:
        return kind
    for line in lines:
        _, mounted, name, *_ = line.split(" ")
        point = Path(mounted.encode().decode("unicode_escape"))
        is_above = point == place or point in place.parents
        if is_above and len(point.parts) >= best:
            best, kind = len(point.parts), name
    return kind


def _judge_space(folder: Path, kind: str, free: int) -> Verdict:
    found = f"{folder} is on {kind} with {free / 1e9:.1f} GB free"
    if free < _LITTLE_BYTES:
        return warning("run files", found, "make room, or name another folder (--out)")
    return ok("run files", found)


def _judge_locks(scratch: Path) -> Verdict:
    """Say whether files can be locked, by which HDF5 keeps writers apart."""
    with (scratch / "lock").open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            found = f"the file system has no locks ({error.strerror})"
            help_ = "nothing keeps two runs from one file: give each a name of its own"
            return warning("locks", found, help_)
    return ok("locks", "files can be locked")


def _judge_swmr(path: Path, kind: str) -> Verdict:
    """Write a round, and let another process read it while the file is open."""
    remedy = "train --no-swmr: the file then can be read when the run has ended"
    try:
        is_read = _is_read_while_written(path)
    except (InputError, OSError, subprocess.TimeoutExpired) as error:
        return failure("live reading", f"a run file fails there: {error}", remedy)
    if not is_read:
        found = f"a committed round is not seen by a reader on this node ({kind})"
        return warning("live reading", found, remedy)
    if kind in _WITHOUT_SWMR:
        found = f"works on this node, but {kind} does not promise it to other nodes"
        return warning("live reading", found, remedy)
    return ok("live reading", "a committed round is seen at once (HDF5 SWMR)")


def _is_read_while_written(path: Path) -> bool:
    from stsyn_mpi.runfile import RunWriter

    with RunWriter.create(path, 1, json.dumps({}), {}) as writer:
        writer.commit_round({"round": 0, "wall_s": 0.0})
        # -P as for ranks, so that it reads with the same modules.
        in_path = {"", str(Path.cwd())} & set(sys.path)
        flags = [] if in_path else ["-P"]
        command = [sys.executable, *flags, "-c", _READER, str(path)]
        # It is no rank: what the launcher told this one would only mislead it.
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_READ_S,
            check=False,
        )
        writer.set_state("done")
    return done.returncode == 0
