"""A worker's part of a run: its own data, its trainer, its way out."""

import os
import traceback

from stsyn_mpi.assembly import Job, ModelFactory, assemble, complaint_of
from stsyn_mpi.config import TrainConfig
from stsyn_mpi.datasets import partition
from stsyn_mpi.errors import EXIT_DONE, EXIT_FAILED, InputError
from stsyn_mpi.mpi import startup
from stsyn_mpi.mpi.agreement import agree_on_transfer
from stsyn_mpi.mpi.binding import take_seat
from stsyn_mpi.mpi.signals import SignalBox
from stsyn_mpi.mpi.stages import tell_begun, tell_over
from stsyn_mpi.mpi.startup import World
from stsyn_mpi.mpi.transfer import Courier
from stsyn_mpi.mpi.wire import worker_of
from stsyn_mpi.mpi.worker import Worker
from stsyn_mpi.simulation.delays import parse_delay
from stsyn_mpi.training.local_sgd import LocalTrainer, TrainerParts
from stsyn_mpi.training.optimizers import build_optimizer
from stsyn_mpi.training.sampling import BatchSampler


def build_trainer(job: Job, worker: int) -> tuple[LocalTrainer, int]:
    """Return the trainer of a worker, with its own part of the data, and n_params.

    Raises
    ------
    InputError
        If the worker's part holds bad values, or the partition leaves it none.
    """
    config, backend, data = job.config, job.backend, job.data
    parts = partition(config.partition, data.train_labels(), job.n_workers, config.seed)
    images, labels = data.read_train(parts[worker])
    model = job.make_model()
    sampler = BatchSampler(
        backend,
        images,
        labels,
        config.batch_size,
        config.seed,
        worker,
    )
    optimizer = build_optimizer(
        backend,
        model.n_params,
        config.momentum,
        config.nesterov,
        config.weight_decay,
        config.keep_optimizer_state,
    )
    trainer_parts = TrainerParts(
        backend=backend,
        model=model,
        optimizer=optimizer,
        sampler=sampler,
        delay=parse_delay(config.delay, config.seed, job.n_workers),
        faults=job.faults,
        learning_rate=job.learning_rate(),
    )
    return LocalTrainer(worker, trainer_parts), model.n_params


def run_worker(
    world: World,
    config: TrainConfig,
    make_model: ModelFactory | None,
    signals: SignalBox,
) -> int:
    """Run a worker; return when MPI may be finalised.

    Raises
    ------
    Refused
        On every rank, if one of them refuses its input.
    """
    complaint = None
    seat = take_seat(world, config)
    try:
        job = assemble(config, world.n_workers, seat.backend, make_model)
        trainer, n_params = build_trainer(job, worker_of(world.rank))
        trainer.warm_up()
    except (InputError, MemoryError) as error:
        complaint = complaint_of(error)
    startup.agree(world, complaint)
    startup.compare(world, job.facts(n_params))
    option = job.config.gpu_direct
    agreement = agree_on_transfer(world, job.backend, option, os.environ)
    startup.agree(world, None)
    worker = Worker(
        world.comm,
        Courier(world.comm, job.backend, agreement.terms),
        trainer,
        job.config.alive_interval,
        job.faults,
        signals,
        tells_updates=job.config.record_updates,
    )
    startup.start_together(world)
    tell_begun()
    _work(worker)
    return EXIT_DONE


def _work(worker: Worker) -> None:
    """Work until the end; a worker that fails tells the root, which prints it."""
    try:
        farewell = worker.run()
    except BaseException as error:
        # A worker talks to nobody but the root. After END it need not be there.
        if startup.tells_of_death(error):
            startup.leave_at_once(EXIT_DONE if worker.has_ended else EXIT_FAILED)
        worker.fail(traceback.format_exc())
        startup.leave_at_once(EXIT_FAILED)
        raise
    if worker.has_ended:
        tell_over()
    if not farewell.finalize:
        startup.leave_at_once(EXIT_FAILED if farewell.has_failed else EXIT_DONE)
