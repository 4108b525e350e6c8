"""The files of a run as its root opens them: the run file, and its checkpoints."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from stsyn_mpi.assembly import Job, build_coordinator
from stsyn_mpi.checkpoints import Checkpointer, CheckpointTerms
from stsyn_mpi.errors import InputError
from stsyn_mpi.preflight import check_folder, check_not_replayed
from stsyn_mpi.progress import LOG
from stsyn_mpi.runfile.checkpoint import (
    Checkpoint,
    CheckpointWriter,
    checkpoint_folder,
    has_checkpoints,
    load_checkpoint,
    remove_checkpoints,
)
from stsyn_mpi.runfile.paths import default_run_path
from stsyn_mpi.runfile.publish import cannot_write, prepare_folder
from stsyn_mpi.runfile.reader import open_run
from stsyn_mpi.runfile.writer import RunWriter


@dataclass(frozen=True, slots=True)
class RunFiles:
    """An open run file, what saves its checkpoints, and where the run goes on.

    ``checkpoint`` is None for a run that begins.
    """

    writer: RunWriter
    checkpointer: Checkpointer
    checkpoint: Checkpoint | None


def open_run_files(
    job: Job, provenance: Mapping[str, object], n_params: int
) -> RunFiles:
    """Create the files of a run that begins, or open those of one that goes on.

    Raises
    ------
    InputError
        If they cannot be written, or there is nothing to go on from.
    """
    config, checkpoint = job.config, None
    if config.resume is None:
        writer = _create(job, provenance)
    else:
        path = Path(config.resume)
        checkpoint = _find_checkpoint(job, path, n_params)
        check_folder(checkpoint_folder(path), "--resume")
        writer = RunWriter.resume(
            path,
            checkpoint.n_rounds if checkpoint else 0,
            provenance,
            config_json=_stored(job, path),
            force=config.force,
            swmr=config.swmr,
        )
    try:
        checkpointer = _checkpointer(job, writer)
    except BaseException:
        writer.close()
        raise
    return RunFiles(writer, checkpointer, checkpoint)


def _checkpointer(job: Job, writer: RunWriter) -> Checkpointer:
    config, out = job.config, writer.path
    terms = CheckpointTerms(
        run_id=writer.run_id,
        config=_stored(job, out),
        interval_s=config.checkpoint_every,
        stops_when_full=config.full_disk == "stop",
    )
    checkpoints = CheckpointWriter(out, writer.run_id, config.keep_checkpoints)
    try:
        checkpoints.make_folder()
    except OSError as error:
        raise cannot_write(checkpoints.folder, error) from None
    return Checkpointer(checkpoints, terms, LOG.error)


def _stored(job: Job, out: Path) -> str:
    """Return the configuration as it is stored: of the run, not of one start."""
    return replace(job.config, out=str(out), resume=None).to_json()


def _create(job: Job, provenance: Mapping[str, object]) -> RunWriter:
    config = job.config
    out = Path(config.out or default_run_path(job.strategy_name, os.environ))
    check_not_replayed(out, config.delay)
    # Before an older file is replaced: without checkpoints nothing is begun.
    prepare_folder(out, force=config.force)
    check_folder(checkpoint_folder(out), "--out")
    writer = RunWriter.create(
        out,
        job.n_workers,
        _stored(job, out),
        provenance,
        force=config.force,
        swmr=config.swmr,
        record_updates=config.record_updates,
        record_events=config.record_events,
        record_changes=config.adapt != "off",
    )
    remove_checkpoints(out)
    return writer


def _find_checkpoint(job: Job, path: Path, n_params: int) -> Checkpoint | None:
    """Return the newest sound checkpoint; None where the run came to no first one.

    Every run makes the folder of its checkpoints before its first round.
    """
    with open_run(path) as run:
        run_id, n_rounds = str(run.attributes.get("run_id", "")), run.n_rounds
    folder = checkpoint_folder(path)
    if n_rounds and not folder.is_dir():
        # Job scripts give --force with every --resume, so that it is no consent.
        raise InputError(
            f"--resume {path}: the folder {folder} with its checkpoints is missing: "
            "move it along with the file, or begin anew with --out FILE --force"
        )
    if not has_checkpoints(path):
        LOG.warning("%s has no checkpoint: the run begins anew at round 0", path)
        return None
    checkpoint, warnings = load_checkpoint(path, run_id, at_most=n_rounds)
    for line in warnings:
        LOG.warning("%s", line)
    rounds = job.config.rounds
    if rounds is not None and checkpoint.n_rounds >= rounds:
        raise InputError(
            f"--resume {path}: all its {rounds} rounds are made; --rounds gives it more"
        )
    if len(checkpoint.params) != n_params:
        raise InputError(
            f"--resume {path}: its model has {len(checkpoint.params)} parameters, this "
            f"one has {n_params}"
        )
    _check_strategy(job, path, checkpoint)
    return checkpoint


def _check_strategy(job: Job, path: Path, checkpoint: Checkpoint) -> None:
    """Refuse what another version of the scheme has kept, before the file changes."""
    strategy = build_coordinator(job, None).strategy
    try:
        strategy.restore(checkpoint.strategy)
    except (ValueError, KeyError, IndexError) as error:
        raise InputError(
            f"--resume {path}: its checkpoint holds the state of another version of "
            f"{strategy.name}: go on with that version, or begin anew"
        ) from error
