"""Run files as SIGKILL leaves them, without a process to kill.

What a writer has handed to the system is what a kill leaves, so the bytes of the open
file are copied, with the id of a process that is dead as that of their writer.
"""

import functools
import shutil
import subprocess

from synthetic_run import config_json, draw_rounds

from stsyn_mpi.runfile import RunWriter

N_WORKERS = 8


@functools.cache
def dead_pid():
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def write_killed(
    path, n_rounds=60, *, host=None, n_torn=0, end=None, record_events=True, **options
):
    """Leave a file of a killed writer at `path`.

    Parameters
    ----------
    host
        Host of the writer, this one by default.
    n_torn
        Rows of a commit that had reached the columns, but not the scale.
    end
        Called with the writer before the kill.
    """
    provenance = {"writer_pid": dead_pid(), "writer_start": "", "hosts": ["a", "b"]}
    provenance |= {"writer_host": host} if host else {}
    living = path.with_name(f"living-{path.name}")
    writer = RunWriter.create(
        living, N_WORKERS, config_json(), provenance, record_events=record_events
    )
    write_rounds(writer, 0, n_rounds, **options)
    if n_torn:
        writer._columns.append(writer._columns.blank(n_torn))
        writer._file.flush()
    if end:
        end(writer)
    shutil.copy(living, path)
    writer.close()
    living.unlink()
    return path


def write_rounds(writer, first, stop, **options):
    """Commit rounds with their updates and an event each."""
    for row, updates in list(draw_rounds(stop, **options))[first:]:
        writer.append_updates(updates)
        writer.append_events([f'{{"round": {row["round"]}}}'])
        writer.commit_round(row)
