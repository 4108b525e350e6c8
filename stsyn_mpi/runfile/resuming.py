"""Go on in an existing run file, from one of its rounds on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import h5py

from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile import guarded
from stsyn_mpi.runfile.copying import RunCopy
from stsyn_mpi.runfile.guarded import Damage
from stsyn_mpi.runfile.history import n_resumes, resumed_attributes
from stsyn_mpi.runfile.layout import lay_out_superseded
from stsyn_mpi.runfile.reader import Run, open_run
from stsyn_mpi.runfile.rewriting import Rewriting, check_writer_gone
from stsyn_mpi.runfile.superseded import superseded_groups


def resume_file(
    path: Path,
    n_rounds: int,
    provenance: Mapping[str, object],
    config_json: str | None,
    *,
    force: bool,
    swmr: bool,
) -> h5py.File:
    """Put aside the rounds from `n_rounds` on; leave the file open for its writer.

    The parameters and errors are those of `RunWriter.resume`.

    Returns
    -------
    h5py.File
        With `n_rounds` rounds, open for writing, in SWMR mode if `swmr`.
    """
    rewriting = Rewriting(path)
    with open_run(path) as run:
        check_writer_gone(run, force=force)
        if not 0 <= n_rounds <= run.n_rounds:
            raise InputError(
                f"{path} has {run.n_rounds} rounds, it cannot go on from round "
                f"{n_rounds}"
            )
        with guarded.one_line(path):
            attributes = resumed_attributes(run, n_rounds, provenance, config_json)
            resume = n_resumes(run) + 1
            _check_free(run, resume)
        rewriting.make(
            lambda file: _write(run, file, n_rounds, resume, attributes), swmr=swmr
        )
        return rewriting.open_in_place(swmr=swmr)


def _write(
    run: Run,
    file: h5py.File,
    n_rounds: int,
    resume: int,
    attributes: Mapping[str, object],
) -> None:
    copy = RunCopy(run, file, attributes)
    copy.copy_rounds(0, n_rounds)
    copy.copy_updates(lambda rounds: rounds < n_rounds)
    copy.copy_changes(lambda rounds: rounds < n_rounds)
    copy.copy_superseded()
    target = lay_out_superseded(
        file,
        resume,
        {"first_round": n_rounds, "resumed": _now()},
        n_rounds=run.n_rounds - n_rounds,
        n_updates=copy.count_updates(lambda rounds: rounds >= n_rounds),
        has_events=copy.has_events,
        has_changes=copy.has_changes,
    )
    copy.copy_rounds(n_rounds, run.n_rounds, target)
    copy.copy_updates(lambda rounds: rounds >= n_rounds, target)
    copy.copy_changes(lambda rounds: rounds >= n_rounds, target)
    # Events are the stream of one coordinator; the next one begins a stream of its own.
    copy.copy_events(target)


def _check_free(run: Run, resume: int) -> None:
    groups = superseded_groups(run.file, run.n_workers, run.schema_version)
    if any(group.resume == resume for group in groups):
        raise Damage(f"superseded/{resume} is there already")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
