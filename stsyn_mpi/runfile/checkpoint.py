"""The checkpoints of a run: generations of files in a folder beside its run file.

A generation appears whole or not at all, and older ones go only when a newer one is on
the disk; so whatever happens, the newest sound one is what a run resumes from.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from stsyn_mpi.errors import InputError, RunFailure
from stsyn_mpi.runfile.checkpoint_file import (
    Checkpoint as Checkpoint,
)
from stsyn_mpi.runfile.checkpoint_file import (
    read_checkpoint,
    write_checkpoint,
)
from stsyn_mpi.runfile.publish import scratch_path, sync_folder

_GENERATION = re.compile(r"round-(\d{1,18})-([0-9A-Za-z]*)\.h5", re.ASCII)
_SCRATCH = re.compile(r"\.round-.*\.partial")
_TAG_LENGTH = 8


def checkpoint_folder(run_path: str | os.PathLike[str]) -> Path:
    """Return the folder of a run's checkpoints, ``RUN.checkpoints`` for ``RUN.h5``."""
    path = Path(os.path.realpath(run_path))
    return path.with_name(path.name.removesuffix(".h5") + ".checkpoints")


class CheckpointWriter:
    """Saves the checkpoints of one run; use it from one thread, which may be its own.

    Parameters
    ----------
    run_path : path-like
        The run file, which exists.
    run_id : str
        Its attribute ``run_id``.
    keep : int
        Generations that stay.

    Raises
    ------
    InputError
        If the folder cannot be read, or something else has its name.
    ValueError
        If `keep` is below 1.
    """

    def __init__(
        self, run_path: str | os.PathLike[str], run_id: str, keep: int = 2
    ) -> None:
        if keep < 1:
            raise ValueError(f"keep is {keep}, at least 1 checkpoint has to stay")
        self._run_path, self._run_id, self._keep = Path(run_path), run_id, keep
        self.folder = checkpoint_folder(run_path)
        for path in _matching(self.folder, _SCRATCH):
            with suppress(OSError):
                path.unlink()

    def save(self, checkpoint: Checkpoint) -> Path:
        """Save a checkpoint; when this returns it is on the disk.

        The rounds that it counts must be committed to the run file: what the system
        still holds of that file is brought to the disk first, so that even a crash of
        the node leaves no checkpoint of rounds that the file does not have.

        Parameters
        ----------
        checkpoint : Checkpoint
            Its vectors must not change meanwhile.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        RunFailure
            If it cannot be written, e.g. on a full disk; earlier ones stay as they are.
        ValueError
            If it belongs to another run.
        """
        if checkpoint.run_id != self._run_id:
            raise ValueError(f"run {checkpoint.run_id!r} is not {self._run_id!r}")
        tag = _tag(self._run_id)
        path = self.folder / f"round-{checkpoint.n_rounds:08d}-{tag}.h5"
        scratch = scratch_path(path)
        try:
            self.make_folder()
            write_checkpoint(scratch, checkpoint)
            self._sync_run_file()
            scratch.replace(path)
            sync_folder(self.folder)
        except OSError as error:
            with suppress(OSError):
                scratch.unlink(missing_ok=True)
            reason = error.strerror or str(error)
            raise RunFailure(f"cannot write checkpoint {path}: {reason}") from error
        with suppress(OSError, InputError):
            self._forget(checkpoint.n_rounds)
        return path

    def make_folder(self) -> None:
        """Create the folder, if need be.

        A run file whose folder is missing has been moved without it.

        Raises
        ------
        OSError
            If that is not possible.
        """
        if not self.folder.is_dir():
            self.folder.mkdir(exist_ok=True)
            sync_folder(self.folder.parent)

    def _sync_run_file(self) -> None:
        with suppress(FileNotFoundError):
            descriptor = os.open(self._run_path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _forget(self, n_rounds: int) -> None:
        """Remove old generations of this run, and those of a course it has left.

        A checkpoint of a later round than the one just saved was passed over when the
        run was resumed from an earlier one.
        """
        own = [
            (number, path)
            for number, tag, path in _generations(self.folder)
            if tag == _tag(self._run_id)
        ]
        left = [path for number, path in own if number > n_rounds]
        past = [path for number, path in own if number <= n_rounds]
        for path in (*left, *past[self._keep :]):
            path.unlink()


def load_checkpoint(
    run_path: str | os.PathLike[str], run_id: str, at_most: int | None = None
) -> tuple[Checkpoint, list[str]]:
    """Return the newest sound checkpoint of a run.

    Parameters
    ----------
    run_path : path-like
        The run file.
    run_id : str
        Its attribute ``run_id``.
    at_most : int, optional
        The rounds that the run file has: checkpoints that count more are passed over.

    Returns
    -------
    Checkpoint
        The newest that is undamaged and belongs to the run.
    list of str
        A line for each newer one: why it was passed over.

    Raises
    ------
    InputError
        If there is none; the line says what was found.
    """
    folder, warnings = checkpoint_folder(run_path), []
    for number, _, path in _generations(folder):
        try:
            checkpoint = read_checkpoint(path, run_id)
        except InputError as error:
            warnings.append(f"checkpoint passed over: {error}")
            continue
        n_rounds = checkpoint.n_rounds
        if n_rounds != number:
            found = f"{path} holds round {n_rounds}, its name says {number}"
        elif at_most is not None and n_rounds > at_most:
            found = f"{path} counts {n_rounds} rounds, the run file has {at_most}"
        else:
            return checkpoint, warnings
        warnings.append(f"checkpoint passed over: {found}")
    found = "; ".join(warnings) or f"none is in {folder}"
    raise InputError(f"{run_path} has no checkpoint to resume from: {found}")


def has_checkpoints(run_path: str | os.PathLike[str]) -> bool:
    """Say whether there is any checkpoint beside a run file, be it of another run.

    Raises
    ------
    InputError
        If the folder cannot be read: that is not to have none.
    """
    return bool(_generations(checkpoint_folder(run_path)))


def remove_checkpoints(run_path: str | os.PathLike[str]) -> None:
    """Remove all checkpoints beside a run file, for a run that replaces it.

    Whatever else lies in their folder stays.

    Raises
    ------
    InputError
        If one cannot be removed.
    """
    folder = checkpoint_folder(run_path)
    try:
        for path in (*_matching(folder, _SCRATCH), *_matching(folder, _GENERATION)):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"cannot remove {path}: {error.strerror or error}") from error
    with suppress(OSError):
        folder.rmdir()


def _generations(folder: Path) -> list[tuple[int, str, Path]]:
    """Return round, tag and path of each checkpoint, the newest first."""
    matches = [
        (_GENERATION.fullmatch(path.name), path)
        for path in _matching(folder, _GENERATION)
    ]
    found = [(int(m[1]), m[2], path) for m, path in matches if m is not None]
    return sorted(found, reverse=True)


def _matching(folder: Path, pattern: re.Pattern[str]) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if pattern.fullmatch(path.name)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"cannot read {folder}: {error.strerror or error}") from error


def _tag(run_id: str) -> str:
    """Return what tells the files of two runs apart that had one name in turn."""
    return re.sub("[^0-9A-Za-z]", "", run_id)[:_TAG_LENGTH]
