"""From the parts of a job to the root that runs it, at its first round or later on."""

import os
from collections.abc import Callable

import numpy as np

from stsyn_mpi.arrays import Array
from stsyn_mpi.assembly import Job, build_coordinator
from stsyn_mpi.mpi.actions import RootParts
from stsyn_mpi.mpi.root import Root
from stsyn_mpi.mpi.signals import SignalBox
from stsyn_mpi.mpi.startup import World
from stsyn_mpi.mpi.transfer import Courier
from stsyn_mpi.progress import Progress
from stsyn_mpi.run_files import RunFiles
from stsyn_mpi.runfile.recorder import RunRecorder
from stsyn_mpi.training.evaluation import Evaluation
from stsyn_mpi.training.evaluator import Evaluator
from stsyn_mpi.training.server_steps import build_server_step


def build_root(
    world: World,
    job: Job,
    courier: Courier,
    files: RunFiles,
    evaluation: Callable[[Array], Evaluation],
    initial: np.ndarray,
    signals: SignalBox,
    progress: Progress,
) -> Root:
    """Return the root of a run.

    Parameters
    ----------
    world, job, courier, files, signals, progress
        What it works with.
    evaluation
        From parameters on the device, shape (n_params,), to loss and accuracy.
    initial
        x_0, float32 (n_params,), in host memory; a checkpoint has a later model.
    """
    config, backend, checkpoint = job.config, job.backend, files.checkpoint
    recorder = RunRecorder(
        files.writer,
        job.n_workers,
        initial.nbytes,
        job.learning_rate(),
        records_events=config.record_events,
    )
    first_model = backend.empty(len(initial))
    params = initial if checkpoint is None else checkpoint.params
    first_model[...] = backend.to_device(params)
    server_step = build_server_step(config.server_step, backend, len(initial))
    first_round = 0 if checkpoint is None else checkpoint.n_rounds
    coordinator = build_coordinator(job, config.alive_interval, first_round=first_round)
    if checkpoint is not None:
        coordinator.strategy.restore(checkpoint.strategy)
        for name, vector in server_step.state.items():
            vector[...] = backend.to_device(checkpoint.vectors[name])
    parts = RootParts(
        backend=backend,
        courier=courier,
        server_step=server_step,
        initial_params=first_model,
        recorder=recorder,
        evaluator=Evaluator(backend, evaluation),
        faults=job.faults,
        signals=signals,
        report=progress.report,
        n_upload_buffers=_n_upload_buffers(job),
        blocks=_has_core_of_its_own(config.wait, world),
        checkpointer=files.checkpointer,
        begun_s=0.0 if checkpoint is None else checkpoint.wall_s,
    )
    return Root(world.comm, coordinator, parts)


def _n_upload_buffers(job: Job) -> int:
    """Return how many uploads the root may hold at a time.

    In deterministic order all uploads of a round are held until it closes: fewer
    places than K would never close it.
    """
    config = job.config
    if config.deterministic:
        return max(job.n_workers, config.wait_for or 0)
    return config.upload_buffers or job.n_workers


def _has_core_of_its_own(wait: str, world: World) -> bool:
    if wait == "auto":
        return world.n_local_ranks <= len(os.sched_getaffinity(0))
    return wait == "block"
