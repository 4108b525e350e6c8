"""From a configuration to the parts that a rank runs with."""

import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from stsyn_mpi import __version__
from stsyn_mpi.arrays import Array, Backend
from stsyn_mpi.config import TrainConfig
from stsyn_mpi.datasets import Dataset, open_dataset, partition
from stsyn_mpi.errors import InputError
from stsyn_mpi.faults import FaultPlan, parse_faults
from stsyn_mpi.models import Model, build_model
from stsyn_mpi.protocol.coordinator import Coordinator, RunTerms
from stsyn_mpi.schemes import build_strategy, needs_samples, parse_scheme
from stsyn_mpi.strategies import SchemeTerms
from stsyn_mpi.training.evaluation import Evaluation, LabelledImages, evaluate
from stsyn_mpi.training.schedules import parse_schedule

ModelFactory = Callable[[Backend, tuple[int, int, int], int], Model]
"""Makes a model for a backend, an image shape (H, W, C) and a number of classes."""


@dataclass(frozen=True)
class Job:
    """What every rank knows of a run.

    Attributes
    ----------
    config
        Resolved: M, K and the bounds are filled in.
    backend, data, faults
        As configured.
    make_model
        Makes a fresh model with a workspace of its own.
    """

    config: TrainConfig
    backend: Backend
    data: Dataset
    faults: FaultPlan
    make_model: Callable[[], Model]

    @property
    def n_workers(self) -> int:
        """M."""
        assert self.config.workers is not None
        return self.config.workers

    @property
    def strategy_name(self) -> str:
        """The scheme's name without its parameters."""
        return parse_scheme(self.config.strategy).kind.name

    def learning_rate(self) -> Callable[[int], float]:
        """Return the function from round index to local learning rate."""
        config = self.config
        return parse_schedule(config.lr_schedule, config.lr, config.rounds)

    def scheme_terms(self) -> SchemeTerms:
        """Return what the strategy is told of the run."""
        config = self.config
        n_samples: tuple[int, ...] = ()
        assert config.wait_for is not None
        if needs_samples(config.strategy, config.weights):
            labels = self.data.train_labels()
            parts = partition(config.partition, labels, self.n_workers, config.seed)
            n_samples = tuple(len(part) for part in parts)
        return SchemeTerms(
            n_workers=self.n_workers,
            wait_for=config.wait_for,
            target_updates=config.target_updates,
            seed=config.seed,
            n_samples=n_samples,
            adapt=config.adapt,
        )

    def facts(self, n_params: int) -> dict[str, object]:
        """Return what has to be the same on every rank."""
        versions = f"{__version__} on Python {platform.python_version()}"
        facts: dict[str, object] = {
            "stsyn_mpi version": versions,
            "numpy version": np.__version__,
            "parameter count": n_params,
            "data checksum": self.data.checksum,
            "byte order": sys.byteorder,
        }
        options = {f"option {key}": value for key, value in vars(self.config).items()}
        return facts | options


def assemble(
    config: TrainConfig,
    n_workers: int,
    backend: Backend,
    make_model: ModelFactory | None = None,
) -> Job:
    """Check a configuration against the number of workers and open its data.

    Parameters
    ----------
    config, n_workers
        What is asked for, and what there is.
    backend
        Where this process computes.
    make_model
        Makes the model, instead of the one that ``config`` names.

    Raises
    ------
    InputError
        If an option does not fit, or the data cannot be read.
    """
    resolved = config.resolved(n_workers)
    faults = parse_faults(resolved.fault, n_workers)
    data = open_dataset(resolved.data)
    shape, n_classes = data.image_shape, data.n_classes

    def build() -> Model:
        if make_model is not None:
            return make_model(backend, shape, n_classes)
        return build_model(resolved.model, backend, shape, n_classes)

    return Job(resolved, backend, data, faults, build)


def complaint_of(error: InputError | MemoryError) -> str:
    """Return the line by which a rank refuses its input."""
    if isinstance(error, MemoryError):
        return f"data, model or batch size need more memory than there is: {error}"
    return str(error)


def build_evaluation(job: Job) -> tuple[Callable[[Array], Evaluation], np.ndarray]:
    """Return the evaluation on the test data, and the first model's parameters.

    Returns
    -------
    evaluate
        From parameters on the device, shape (n_params,), to loss and accuracy.
    initial
        float32, shape (n_params,), in host memory.

    Raises
    ------
    InputError
        If the test data hold bad values.
    """
    images, labels = job.data.read_test()
    test = LabelledImages(job.backend.to_device(images), job.backend.to_device(labels))
    model = job.make_model()
    initial = model.initial_params(job.config.seed)
    return (lambda params: evaluate(model, params, test)), initial


def build_coordinator(
    job: Job,
    alive_interval_s: float | None,
    eval_every: int | None = None,
    first_round: int = 0,
) -> Coordinator:
    """Return the coordinator with the configured strategy.

    Parameters
    ----------
    job
        What is configured.
    alive_interval_s
        Interval between signs of life, seconds; None where nobody can hang.
    eval_every
        Instead of the configured one.
    first_round
        Where the run goes on.
    """
    config = job.config
    strategy = build_strategy(config.strategy, config.weights, job.scheme_terms())
    terms = RunTerms(
        n_workers=job.n_workers,
        n_rounds=config.rounds,
        time_limit_s=config.time_limit,
        target_accuracy=config.target_accuracy,
        eval_every=config.eval_every if eval_every is None else eval_every,
        alive_interval_s=alive_interval_s,
        is_deterministic=config.deterministic,
        min_workers=config.min_workers,
        first_round=first_round,
    )
    return Coordinator(strategy, terms)
