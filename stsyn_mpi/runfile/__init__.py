"""The HDF5 run file: schema, writer and reader; recovery and checkpoints."""

from stsyn_mpi.runfile.checkpoint import (
    Checkpoint,
    CheckpointWriter,
    load_checkpoint,
    remove_checkpoints,
)
from stsyn_mpi.runfile.paths import default_run_path
from stsyn_mpi.runfile.reader import Run, open_run, read_state
from stsyn_mpi.runfile.recovery import Recovery, recover
from stsyn_mpi.runfile.schema import RunState, WorkerStatus
from stsyn_mpi.runfile.superseded import Superseded
from stsyn_mpi.runfile.writer import RunWriter

__all__ = [
    "Checkpoint",
    "CheckpointWriter",
    "Recovery",
    "Run",
    "RunState",
    "RunWriter",
    "Superseded",
    "WorkerStatus",
    "default_run_path",
    "load_checkpoint",
    "open_run",
    "read_state",
    "recover",
    "remove_checkpoints",
]
