"""A run under a virtual clock, in this process, from options to run file."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from stsyn_mpi.arrays import Backend, select_backend
from stsyn_mpi.assembly import (
    Job,
    ModelFactory,
    assemble,
    build_coordinator,
    build_evaluation,
)
from stsyn_mpi.config import TrainConfig
from stsyn_mpi.datasets import partition
from stsyn_mpi.errors import EXIT_DONE, EXIT_FAILED, InputError, RunFailure
from stsyn_mpi.news import News
from stsyn_mpi.preflight import check_run_file
from stsyn_mpi.protocol.commands import Finish, Outcome
from stsyn_mpi.runfile.paths import default_run_path
from stsyn_mpi.runfile.recorder import RunRecorder
from stsyn_mpi.runfile.schema import RunState
from stsyn_mpi.runfile.writer import RunWriter
from stsyn_mpi.simulate_config import SimulateConfig
from stsyn_mpi.simulation.delays import DelayLaw
from stsyn_mpi.simulation.network import Network, parse_network
from stsyn_mpi.simulation.parts import VirtualParts
from stsyn_mpi.simulation.simulator import Simulator
from stsyn_mpi.simulation.training import NoTraining, Training, VirtualTraining
from stsyn_mpi.simulation.virtual_delay import parse_virtual_delay
from stsyn_mpi.simulation.workers import VirtualWorkers
from stsyn_mpi.training.optimizers import LocalOptimizer, build_optimizer
from stsyn_mpi.training.sampling import BatchSampler
from stsyn_mpi.training.server_steps import build_server_step
from stsyn_mpi.training.updates import LocalUpdate

Report = Callable[[News], None]
MakeWorkers = Callable[[DelayLaw, int, int], VirtualWorkers]
"""Makes the workers from the delay law, M and U."""
_BYTES_OF_FLOAT = 4
_STOPS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a simulated run came to.

    Attributes
    ----------
    path
        Its run file, complete.
    finish
        How it ended.
    t
        Virtual seconds that it lasted.
    """

    path: Path
    finish: Finish
    t: float

    @property
    def exit_code(self) -> int:
        """0 where the run ended in good order, 1 where it failed."""
        is_good = self.finish.outcome in (Outcome.DONE, Outcome.STOPPED)
        return EXIT_DONE if is_good else EXIT_FAILED


def simulate(
    config: SimulateConfig,
    *,
    begin: Callable[[TrainConfig, Network], None] | None = None,
    report: Report | None = None,
    make_model: ModelFactory | None = None,
    make_workers: MakeWorkers = VirtualWorkers,
) -> Simulated:
    """Run to the end and leave a complete run file.

    A first SIGINT or SIGTERM asks for an orderly end.

    Parameters
    ----------
    config
        With ``workers`` given; without ``out`` the file gets a new name.
    begin
        Called with the resolved configuration and the network when all has been found
        to fit.
    report
        Called with each closed round, change of K and U, and evaluation.
    make_model
        Makes the model, instead of the one that ``config`` names.
    make_workers
        Makes workers that take other times than the delay law says.

    Raises
    ------
    InputError
        If an option does not fit; nothing is written then.
    RunFailure
        If the file cannot be written, or the updates take no time.
    """
    job, law = _prepare(config, make_model)
    network = parse_network(config.network)
    out = Path(config.out or default_run_path(job.strategy_name, os.environ))
    check_run_file(out, force=config.force, delay=config.delay)
    training, n_params = _build_training(job, timing_only=config.timing_only)
    with _open_writer(job, out) as writer:
        try:
            if begin is not None:
                begin(job.config, network)
            simulator = _build_simulator(
                job, network, make_workers, law, training, n_params, writer, report
            )
            finish = _run(simulator, job.backend)
            writer.write_final_params(training.final_params())
        except BaseException as error:
            writer.set_state(RunState.FAILED, f"{type(error).__name__}: {error}")
            raise
        writer.set_state(RunState(finish.outcome.value), finish.reason)
    return Simulated(out, finish, simulator.t)


def _run(simulator: Simulator, backend: Backend) -> Finish:
    """Run to the end; the rounds closed before a failure are written too."""
    try:
        # It restores what `activate` changes: the process is the caller's.
        with np.errstate(), _stopping_at_signals(simulator):
            backend.activate()
            finish = simulator.run()
    except BaseException:
        with suppress(RunFailure):
            _flush(simulator)
        raise
    _flush(simulator)
    return finish


def _flush(simulator: Simulator) -> None:
    """Write what is known of closed rounds, and the events since."""
    simulator.recorder.commit()
    simulator.recorder.flush_events()


def _prepare(
    config: SimulateConfig, make_model: ModelFactory | None
) -> tuple[Job, DelayLaw]:
    if config.workers is None:
        raise InputError("--workers is missing: say how many to simulate, as in -M 20")
    # Many simulations may run at once: a GPU is for the one that asks for it.
    device = config.validate().device
    backend = select_backend("cpu" if device == "auto" else device)
    with np.errstate():
        backend.activate()
    job = assemble(config, config.workers, backend, make_model)
    law = parse_virtual_delay(config.delay, config.seed, config.workers)
    return job, law


def _build_training(job: Job, *, timing_only: bool) -> tuple[Training, int]:
    """Return what is to be computed, and the number of parameters."""
    config, backend = job.config, job.backend
    if timing_only:
        return NoTraining(), job.make_model().n_params
    evaluation, initial = build_evaluation(job)
    n_params = len(initial)
    first_model = backend.empty(n_params)
    first_model[...] = backend.to_device(initial)
    training = VirtualTraining(
        backend,
        _build_updates(job),
        build_server_step(config.server_step, backend, n_params),
        first_model,
        job.learning_rate(),
        evaluation,
        trains_all=config.keep_optimizer_state and config.momentum > 0,
    )
    return training, n_params


def _build_updates(job: Job) -> Sequence[LocalUpdate]:
    """Return the local update of every worker; they share what has no memory."""
    config, backend, data = job.config, job.backend, job.data
    parts = partition(config.partition, data.train_labels(), job.n_workers, config.seed)
    images, labels = data.read_train(np.arange(data.n_train))
    model = job.make_model()
    gradient = backend.empty(model.n_params)

    def optimizer() -> LocalOptimizer:
        return build_optimizer(
            backend,
            model.n_params,
            config.momentum,
            config.nesterov,
            config.weight_decay,
            config.keep_optimizer_state,
        )

    shared = None if config.keep_optimizer_state else optimizer()
    sampler = BatchSampler(backend, images, labels, config.batch_size, config.seed, 0)
    return [
        LocalUpdate(
            backend,
            model,
            shared or optimizer(),
            sampler.of_worker(worker, rows),
            gradient,
        )
        for worker, rows in enumerate(parts)
    ]


def _open_writer(job: Job, out: Path) -> RunWriter:
    config, provenance = job.config, {"data_checksum": job.data.checksum}
    return RunWriter.create(
        out,
        job.n_workers,
        replace(config, out=str(out)).to_json(),
        provenance,
        force=config.force,
        swmr=config.swmr,
        record_updates=config.record_updates,
        record_events=config.record_events,
        record_changes=config.adapt != "off",
        clock="virtual",
    )


def _build_simulator(
    job: Job,
    network: Network,
    make_workers: MakeWorkers,
    law: DelayLaw,
    training: Training,
    n_params: int,
    writer: RunWriter,
    report: Report | None,
) -> Simulator:
    config, model_bytes = job.config, _BYTES_OF_FLOAT * n_params
    recorder = RunRecorder(
        writer,
        job.n_workers,
        model_bytes,
        job.learning_rate(),
        records_events=config.record_events,
        in_batches=True,
    )
    parts = VirtualParts(
        workers=make_workers(law, job.n_workers, config.target_updates),
        network=network,
        model_bytes=model_bytes,
        training=training,
        recorder=recorder,
        records_updates=config.record_updates,
        records_events=config.record_events,
        report=report or (lambda news: None),
    )
    # Nobody is watched: who is simulated cannot hang.
    return Simulator(build_coordinator(job, alive_interval_s=None), parts)


@contextmanager
def _stopping_at_signals(simulator: Simulator) -> Iterator[None]:
    """Let the first signal end the run in good order, and the second one at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _STOPS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def stop(number: int, frame: object) -> None:
        restore()
        simulator.request_stop(signal.Signals(number).name)

    for number in _STOPS:
        signal.signal(number, stop)
    try:
        yield
    finally:
        restore()
