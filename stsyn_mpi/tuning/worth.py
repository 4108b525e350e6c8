"""What the updates of a round are worth: steps of the model, less noise and age.

This project's derivation. On a smooth loss with curvature L let g be its gradient, and
let the gradient of one batch have the noise sigma^2 = E |batch's - g|^2. A round adds
the mean of n uploads with h updates each, at learning rate lr. To second order in lr
it lowers the loss by

    lr h |g|^2 - (lr^2 L / 2) h (|g|^2 + sigma^2 / n):

h steps down the gradient, each of which costs the square of what it is made of, the
gradient and the noise of n batches that n uploads average. With the learning rate that
suits it best that is h / (1 + nu / n) times |g|^2 / 2L, nu = sigma^2 / |g|^2. For h = 1
it is the law of McCandlish et al. (arXiv 1812.06162), where nu times the batch size is
called the noise scale; more workers than nu in a step are of little use.

A gradient that is taken s steps ago, s = tau h for a base that is tau rounds old,
differs from the present one by up to lr L s |g|. By that bound it costs as much as s
steps do (the rate of Arjevani, Shamir and Srebro, arXiv 1806.10188). It is seldom met:
old gradients mostly point where new ones do. A share a of it is taken, 0.1, with which
the order of schemes is that of training best in this project's studies (docs/tune.md).
So a round is worth

    h / (1 + nu / n + a tau h)

steps without noise. Many small rounds win where nu is small; where nu is infinite,
every update counts alike, and what counts is h n, the useful updates.

What is left out: data that differ between workers, for which long rounds drift and
speed differences bias (train a proxy with ``--target``); a loss that is far from
quadratic; momentum, and server steps other than the mean.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from stsyn_mpi.runfile.reader import Run
from stsyn_mpi.runfile.schema import WorkerStatus
from stsyn_mpi.schemes import trains_gradients

AGE_SHARE = 0.1
"""Share of the largest possible cost of old gradients that is taken."""


@dataclass(frozen=True)
class Worth:
    """What an update is worth.

    Attributes
    ----------
    noise : float
        nu, variance of the gradient on a batch over the square of the gradient; may
        be infinite.
    """

    noise: float

    def of_rounds(
        self, used: np.ndarray, batches: np.ndarray, age: np.ndarray | float
    ) -> np.ndarray:
        """Return what rounds are worth, in steps, or in updates where nu is infinite.

        Parameters
        ----------
        used : numpy.ndarray
            Updates in the aggregate of each round, float64 (n,).
        batches : numpy.ndarray
            Batches that each step is the mean of, float64 (n,): uploads, or gradients
            where these are taken at the model of the round.
        age : numpy.ndarray or float
            Mean rounds between the base of an upload and its use.
        """
        if math.isinf(self.noise):
            return used
        # Of a round in which nothing counts nothing is worth anything.
        n = np.maximum(batches, 1.0)
        steps = used / n
        return np.asarray(steps / (1 + self.noise / n + AGE_SHARE * age * steps))


def worth_per_s(run: Run, worth: Worth) -> float:
    """Return what the rounds of a run were worth a second of its clock.

    Parameters
    ----------
    run : Run
        A simulated run, trained or not.
    worth : Worth
        What an update is worth.
    """
    wall_s = run["wall_s"]
    if not len(wall_s) or wall_s[-1] <= 0:
        return math.nan
    used = np.maximum(0, run["updates_used"]).astype(np.float64)
    uploads = np.maximum(0, run["n_uploads"]).astype(np.float64)
    is_sum = trains_gradients(str(run.config["strategy"]))
    total = worth.of_rounds(used, used if is_sum else uploads, mean_age(run)).sum()
    return float(total / wall_s[-1])


def mean_age(run: Run) -> np.ndarray:
    """Return the mean age in rounds of what each round used, float64 (n_rounds,)."""
    is_used = run["worker_status"] == WorkerStatus.USED
    total = (np.maximum(0, run["worker_staleness"]) * is_used).sum(axis=1)
    return np.asarray(total / np.maximum(1, is_used.sum(axis=1)))
