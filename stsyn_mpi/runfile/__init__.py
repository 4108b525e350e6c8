"""The HDF5 run file: schema, writer and reader."""

from stsyn_mpi.runfile.paths import default_run_path
from stsyn_mpi.runfile.reader import Run, open_run, read_state
from stsyn_mpi.runfile.schema import RunState, WorkerStatus
from stsyn_mpi.runfile.writer import RunWriter

__all__ = [
    "Run",
    "RunState",
    "RunWriter",
    "WorkerStatus",
    "default_run_path",
    "open_run",
    "read_state",
]
