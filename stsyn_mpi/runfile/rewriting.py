"""Replace a run file by a new one made from it: whole, or not at all.

The old file stands until the new one is complete and on the disk, so a rewriting that
is killed at any moment leaves one of the two, and a hidden scratch file at most.
"""

from __future__ import annotations

import errno
import glob
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import h5py

from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile.creation import open_with, sync
from stsyn_mpi.runfile.liveness import WriterLife, pid_exists
from stsyn_mpi.runfile.memory_file import MemoryFile
from stsyn_mpi.runfile.publish import prepare_folder, publish, scratch_path
from stsyn_mpi.runfile.reader import Run
from stsyn_mpi.runfile.schema import RunState
from stsyn_mpi.runfile.swmr import is_marked_open, was_closed

_METADATA_BYTES = 1 << 22


class Rewriting:
    """Make a new file from the one at `path`, and put it in its place.

    Create it before the old file is opened: whatever happens to that file from then
    on keeps the new one from replacing it.

    Parameters
    ----------
    path : Path
        A run file, or a symbolic link to it, which then stays.
    out : Path, optional
        Where the new file goes instead; nothing may be there.

    Raises
    ------
    InputError
        If the file cannot be read, or `out` is taken or cannot be written.
    """

    def __init__(self, path: Path, out: Path | None = None) -> None:
        self.path = path
        self._old = Path(os.path.realpath(path))
        self._out = out
        self._stamp = self._look()
        if out is not None:
            prepare_folder(out, force=False)
        self.target = out or self._old
        self._scratch = scratch_path(self.target)
        _remove_stale(self.target)

    def _look(self) -> os.stat_result:
        try:
            return self._old.stat()
        except OSError as error:
            reason = error.strerror or str(error)
            raise InputError(f"cannot read {self.path}: {reason}") from error

    def make(self, write: Callable[[h5py.File], None], *, swmr: bool = True) -> None:
        """Make the new file, under a hidden name.

        Parameters
        ----------
        write : callable
            Fills the file, given open and empty.
        swmr : bool
            Whether the file can be opened in SWMR mode later.
        """
        with self._failing_in_one_line():
            n_bytes = self._stamp.st_size + _METADATA_BYTES
            _create_empty(self._scratch, n_bytes, swmr=swmr)
            with open_with(self._scratch, "r+", swmr=swmr) as file:
                write(file)
                sync(file)
            # Closing cuts off what was reserved and not needed.
            with self._scratch.open("rb") as closed:
                os.fsync(closed.fileno())

    def put_in_place(self) -> None:
        """Give the new file its name, unless the old file has changed.

        Raises
        ------
        InputError
            If the old file is another one by now, or has been written to.
        """
        with self._failing_in_one_line():
            now = self._look()
            if _identity(now) != _identity(self._stamp):
                raise InputError(
                    f"{self.path} was changed meanwhile, by another process that "
                    "writes, recovers or resumes it: it is left to that"
                )
            if self._out is None:
                self._scratch.chmod(stat.S_IMODE(now.st_mode))
            publish(self._scratch, self.target, force=self._out is None)

    def open_in_place(self, *, swmr: bool) -> h5py.File:
        """Open the new file for its writer, then give it its name.

        Raises
        ------
        InputError
            As `put_in_place`.
        """
        with self._failing_in_one_line():
            file = open_with(self._scratch, "r+", swmr=swmr)
            try:
                if swmr:
                    file.swmr_mode = True
                sync(file)
                self.put_in_place()
            except BaseException:
                file.close()
                raise
            return file

    @contextmanager
    def _failing_in_one_line(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            with suppress(OSError):
                self._scratch.unlink(missing_ok=True)
            if isinstance(error, OSError | RuntimeError):
                raise _cannot_rewrite(self.path, error) from error
            raise


def check_writer_gone(run: Run, *, force: bool) -> None:
    """Check that nobody writes a run file any more.

    Parameters
    ----------
    run : Run
        The file, open.
    force : bool
        Believe the caller where only another host could tell.

    Raises
    ------
    InputError
        If its writer lives, or may live on another host and `force` is off.
    """
    marked = is_marked_open(run.path)
    if not marked and (run.state is not RunState.RUNNING or was_closed(run.path)):
        return
    life, writer = run.writer.life(), run.writer
    if life is WriterLife.ALIVE:
        raise InputError(
            f"{run.path} is being written by process {writer.pid} on this host: "
            "end that run first"
        )
    if life is WriterLife.UNKNOWN and not force:
        raise InputError(
            f"{run.path} was written by process {writer.pid} on host {writer.host!r}, "
            "and only that host can tell whether it lives: make sure that its job has "
            f"ended, or that `ps -p {writer.pid}` there finds nothing, then use --force"
        )


def _identity(look: os.stat_result) -> tuple[int, ...]:
    return look.st_dev, look.st_ino, look.st_size, look.st_mtime_ns


def _remove_stale(target: Path) -> None:
    """Remove what rewritings that were killed have left."""
    pattern = f".{glob.escape(target.name)}.*.partial"
    for path in target.parent.glob(pattern):
        owner = path.name.removesuffix(".partial").rpartition(".")[2]
        if owner.isdigit() and not pid_exists(int(owner)):
            with suppress(OSError):
                path.unlink()


def _create_empty(path: Path, n_bytes: int, *, swmr: bool) -> None:
    """Create an HDF5 file of nothing, with `n_bytes` of the disk claimed for it.

    HDF5 may crash where it runs out of space, so it meets the file only afterwards.
    """
    with closing(MemoryFile()) as frame, path.open("wb") as file:
        open_with(frame, "w", swmr=swmr).close()
        file.write(frame.part(0, frame.size))
        file.flush()
        try:
            os.posix_fallocate(file.fileno(), 0, n_bytes)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise


def _cannot_rewrite(path: Path, error: OSError | RuntimeError) -> InputError:
    number = error.errno if isinstance(error, OSError) else None
    reason = os.strerror(number) if number else str(error).splitlines()[0]
    return InputError(f"cannot rewrite {path}: {reason}; it is as it was")
