"""Test and training loss of a run, over time and over communication."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stsyn_mpi.analysis.bins import Bins, is_duration
from stsyn_mpi.runfile.reader import Run

_MOST_POINTS = 500
_LARGEST = 1e100
"""Beyond it, axes of figures overflow."""


@dataclass(frozen=True)
class LossPoints:
    """One kind of loss of a run.

    Attributes
    ----------
    seconds, models, loss : numpy.ndarray
        float64 (n,): seconds since the run began, models sent up and down until then,
        and the loss.
    """

    seconds: np.ndarray
    models: np.ndarray
    loss: np.ndarray


@dataclass(frozen=True)
class LossCurve:
    """Losses of a run: of the evaluated rounds, and of the work in each round.

    Attributes
    ----------
    test, training : LossPoints
        The latter are means of `round_per_point` rounds each.
    rounds_per_point : int
        Rounds of a point of the training loss.
    """

    test: LossPoints
    training: LossPoints
    rounds_per_point: int

    @property
    def is_empty(self) -> bool:
        """Whether the run recorded neither."""
        return not len(self.test.loss) and not len(self.training.loss)


def loss_curve(run: Run) -> LossCurve:
    """Read the losses of a run; long runs are averaged over neighbouring rounds."""
    sent = [np.maximum(run.column(name), 0) for name in ("models_up", "models_down")]
    models = np.cumsum(sent[0] + sent[1]).astype(float)
    seconds = run.column("wall_s")
    test = _points(seconds, models, run.column("test_loss"))
    bins = Bins.at_most(_MOST_POINTS, run.n_rounds)
    ends = bins.starts + bins.counts - 1
    training = bins.means(run.column("train_loss"))
    return LossCurve(test, _points(seconds[ends], models[ends], training), bins.size)


def _points(seconds: np.ndarray, models: np.ndarray, loss: np.ndarray) -> LossPoints:
    known = (np.abs(loss) <= _LARGEST) & is_duration(seconds)
    return LossPoints(seconds[known], models[known], loss[known])
