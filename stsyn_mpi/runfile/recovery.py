"""Bring a run file whose writer was killed into a form that every tool opens."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path

import h5py

from stsyn_mpi.runfile import guarded
from stsyn_mpi.runfile.copying import RunCopy, all_of_them
from stsyn_mpi.runfile.reader import Run, open_run
from stsyn_mpi.runfile.rewriting import Rewriting, check_writer_gone
from stsyn_mpi.runfile.schema import SCHEMA_VERSION, RunState, reason_bytes
from stsyn_mpi.runfile.swmr import is_marked_open


@dataclass(frozen=True)
class Recovery:
    """What `recover` found and did.

    Attributes
    ----------
    path : Path
        The file that opens plainly.
    changed : bool
        Whether anything had to be done; if not, nothing was written.
    n_rounds : int
        Committed rounds, all of which are kept.
    n_uncommitted : int
        Rows of an unfinished commit, which are cut off.
    state : RunState
        How the run stands now.
    reason : str
        Why, in one line.
    """

    path: Path
    changed: bool
    n_rounds: int
    n_uncommitted: int
    state: RunState
    reason: str

    def to_dict(self) -> dict[str, object]:
        """Return the attributes for JSON."""
        return dataclasses.asdict(self) | {"path": str(self.path)}

    def __str__(self) -> str:
        """Return what was done, in one line."""
        reason = f": {self.reason}" if self.reason else ""
        standing = f"{self.n_rounds} rounds, {self.state}{reason}"
        if not self.changed:
            return f"{self.path} needs no recovery: {standing}"
        cut = f", {self.n_uncommitted} uncommitted cut off" * bool(self.n_uncommitted)
        return f"{self.path} recovered{cut}: {standing}"


def recover(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    force: bool = False,
) -> Recovery:
    """Make a file that a killed writer has left open plainly, with all its rounds.

    A run in state ``running`` becomes ``interrupted``; what was not committed is cut
    off. A file that opens plainly and says how its run ended is left alone.

    Parameters
    ----------
    path : path-like
        The run file. It is replaced when the new one is complete and on the disk: a
        kill at any moment loses nothing.
    out : path-like, optional
        Leave the file at `path` alone and write the new one here.
    force : bool
        Believe that a writer on another host is dead.

    Returns
    -------
    Recovery
        What was done.

    Raises
    ------
    InputError
        If the file is no sound run file, its writer lives or may live elsewhere, or
        the new one cannot be written.
    """
    path = Path(path)
    rewriting = Rewriting(path, None if out is None else Path(out))
    with open_run(path) as run:
        n_uncommitted = _count_uncommitted(run)
        if not (is_marked_open(path) or n_uncommitted or run.state is RunState.RUNNING):
            return _result(run, path, changed=False)
        check_writer_gone(run, force=force)
        rewriting.make(lambda file: _write(run, file))
        rewriting.put_in_place()
    with open_run(rewriting.target) as recovered:
        target = path if out is None else Path(out)
        return _result(recovered, target, changed=True, n_uncommitted=n_uncommitted)


def _result(run: Run, path: Path, *, changed: bool, n_uncommitted: int = 0) -> Recovery:
    return Recovery(
        path, changed, run.n_rounds, n_uncommitted, run.state, run.state_reason
    )


def _count_uncommitted(run: Run) -> int:
    """Count the rounds of which something is there, but not all."""
    with guarded.one_line(run.path):
        return max(run.rounds.lengths()) - run.n_rounds


def _write(run: Run, file: h5py.File) -> None:
    copy = RunCopy(run, file, run.attributes | {"schema_version": SCHEMA_VERSION})
    copy.copy_rounds(0, run.n_rounds)
    copy.copy_updates(all_of_them)
    copy.copy_changes(all_of_them)
    copy.copy_events()
    copy.copy_superseded()
    copy.copy_final_params()
    state, reason = run.state, run.state_reason
    if state is RunState.RUNNING:
        state, reason = RunState.INTERRUPTED, _why(run)
    file["run_state"][()] = state.value.encode()
    file["state_reason"][()] = reason_bytes(reason)
    file["heartbeat"][()] = run.heartbeat


def _why(run: Run) -> str:
    writer, n = run.writer, run.n_rounds
    return (
        f"process {writer.pid} on {writer.host} ended after {n} rounds without a word"
    )
