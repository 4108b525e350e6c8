"""How noisy the gradient of a batch is: measured on the model and data of a run."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from stsyn_mpi.arrays import select_backend
from stsyn_mpi.datasets import Dataset, open_dataset
from stsyn_mpi.errors import InputError
from stsyn_mpi.models import Model, build_model
from stsyn_mpi.runfile.reader import Run
from stsyn_mpi.simulate_config import SimulateConfig
from stsyn_mpi.spec import parse_number

AUTO = "auto"
UNKNOWN = 10.0
"""Taken where it cannot be measured."""
_STEPS = 200
_MOST_SAMPLES, _FEWEST_PARTS, _MOST_PARTS = 8192, 64, 512
_LEAST, _MOST = 1e-3, 1e6


@dataclass(frozen=True)
class Noise:
    """A noise level: variance of a batch's gradient over the square of the gradient.

    Attributes
    ----------
    level : float
        nu, infinite where every update counts alike.
    words : str
        Where it comes from, a sentence without its full stop.
    """

    level: float
    words: str


def read_noise(text: str) -> float | None:
    """Read ``--noise``: a number, ``inf``, or None for ``auto``.

    Raises
    ------
    InputError
        If it is none of these.
    """
    word = text.strip().lower()
    if word in (AUTO, "inf"):
        return None if word == AUTO else math.inf
    try:
        level = parse_number(word)
    except InputError:
        level = -1.0
    if level < 0:
        raise InputError(
            f"--noise must be auto, inf, or a number of at least 0, got {text!r}"
        )
    return level


def said_noise(level: float) -> Noise:
    """Return a noise level that the user gave."""
    if math.isinf(level):
        return Noise(level, "All updates count alike: --noise inf")
    return Noise(level, f"Noise level {level:.3g}, as was asked for")


def measure_noise(run: Run, common: SimulateConfig, *, is_own: bool) -> Noise:
    """Measure the noise at the first and the last model, and take their middle.

    The gradients of parts of the training data are compared with that of all. Noise
    grows as the loss falls: the geometric mean of the two stands for what lies between.

    Parameters
    ----------
    run : Run
        Its last model is taken if it fits; else one trained for 200 steps here.
    common : SimulateConfig
        Data, model, batch size and learning rate.
    is_own : bool
        Whether these are those of the run, and its model so of use.
    """
    backend = select_backend("cpu")
    with np.errstate(all="ignore"), open_dataset(common.data) as data:
        model = build_model(common.model, backend, data.image_shape, data.n_classes)
        gradients = _Gradients(model, data, common)
        first = model.initial_params(common.seed)
        last, which = _last_model(run, gradients, first, is_own=is_own)
        levels = [gradients.noise(params) for params in (first, last)]
    if not all(map(math.isfinite, levels)):
        return Noise(UNKNOWN, f"Noise level {UNKNOWN:g}: it could not be measured")
    level = math.sqrt(levels[0] * levels[1])
    return Noise(
        level,
        f"Noise level {level:.3g}: {levels[0]:.3g} at the first model, {levels[1]:.3g} "
        f"at {which}, with batches of {common.batch_size}",
    )


def _last_model(
    run: Run, gradients: _Gradients, first: np.ndarray, *, is_own: bool
) -> tuple[np.ndarray, str]:
    params = run.final_params() if is_own else None
    if params is not None and params.shape == first.shape and np.isfinite(params).all():
        return params, "the last of the run"
    return gradients.train(first), f"one trained for {_STEPS} steps"


class _Gradients:
    """Gradients on random batches of the training data."""

    def __init__(self, model: Model, data: Dataset, common: SimulateConfig) -> None:
        self._model, self._lr, self._n_train = model, common.lr, data.n_train
        self._images, self._labels = data.read_train(np.arange(data.n_train))
        self._batch_size = min(common.batch_size, 4 * data.n_train)
        self._rng = np.random.default_rng(common.seed)
        self._gradient = np.empty(model.n_params, np.float32)

    def draw(self, params: np.ndarray) -> np.ndarray:
        """Return the gradient on a new batch, valid until the next call."""
        rows = self._rng.integers(0, len(self._labels), self._batch_size)
        return self._of(params, rows)

    def _of(self, params: np.ndarray, rows: np.ndarray) -> np.ndarray:
        self._model.loss_and_gradient(
            params, self._images[rows], self._labels[rows], self._gradient
        )
        return self._gradient

    def train(self, first: np.ndarray) -> np.ndarray:
        """Return the model after some steps of plain SGD."""
        params = first.copy()
        for _ in range(_STEPS):
            params -= np.float32(self._lr) * self.draw(params)
        return params

    def noise(self, params: np.ndarray) -> float:
        """Return sigma^2 / |g|^2, both estimated without bias.

        All samples are taken once: the mean of batches drawn at random has noise of
        its own, of which |g|^2 cannot be told where the model is nearly trained.
        """
        parts = self._parts()
        n, size = parts.size, parts.shape[1]
        mean, squares = np.zeros(len(params)), 0.0
        for rows in parts:
            gradient = self._of(params, rows)
            mean += gradient / len(parts)
            squares += float(np.dot(gradient, gradient)) / len(parts)
        length = float(mean @ mean)
        # Of one sample: means of parts without a common sample vary less, n - 1 to
        # n - size.
        variance = (squares - length) * size * (n - 1) / max(1, n - size)
        signal = length - variance / n * (1 - n / self._n_train)
        variance /= self._batch_size
        if not 0 < variance < math.inf:
            return math.nan
        level = variance / max(signal, variance / _MOST)
        return float(min(_MOST, max(_LEAST, level)))

    def _parts(self) -> np.ndarray:
        """Return samples in random order, in parts of about a batch, (n_parts, size).

        64 parts at least tell the variance, 512 at most bound the work.
        """
        n = min(self._n_train, _MOST_SAMPLES)
        least, most = math.ceil(n / _MOST_PARTS), max(1, n // _FEWEST_PARTS)
        size = min(max(self._batch_size, least), most)
        chosen = self._rng.permutation(self._n_train)[: n // size * size]
        return chosen.reshape(-1, size)
