"""What the ranks of a run should have computed, one update after another.

Parameters are kept in double precision; only gradients are taken by the model under
test, in single precision. Everything else is written down here a second time.
"""

import numpy as np
from server_step_reference import ReferenceStep

from stsyn_mpi.arrays import select_backend
from stsyn_mpi.datasets import open_dataset, partition
from stsyn_mpi.models import build_model
from stsyn_mpi.training.sampling import BatchSampler

KINKS = 5e-3
"""Share of the parameters that a few units at their kinks have to do with."""


def assert_same_but_for_kinks(found, expected, atol):
    """Compare parameters of a network whose units are on or off.

    Where a unit is at its kink, the last bit turns it, and its own parameters differ.
    A message that is lost or mixed up concerns far more.
    """
    distance = np.abs(found - expected)
    share, most = np.mean(distance > atol), distance.max()
    assert share <= KINKS, (
        f"{share:.2%} of the parameters are off, by {most:.2g} at most"
    )
    assert most <= 100 * atol


class Workshop:
    """Model and data of all workers of a run with a constant learning rate."""

    def __init__(self, config):
        backend, data = select_backend("cpu"), open_dataset(config["data"])
        self.config = config
        self.model = build_model(
            config["model"], backend, data.image_shape, data.n_classes
        )
        self.initial = self.model.initial_params(config["seed"]).astype(np.float64)
        self.parts = partition(
            config["partition"],
            data.train_labels(),
            config["workers"],
            config["seed"],
        )
        self.samplers = [
            BatchSampler(
                backend, *data.read_train(part), config["batch_size"], config["seed"], w
            )
            for w, part in enumerate(self.parts)
        ]
        self._gradient = np.empty(self.model.n_params, np.float32)

    def gradient(self, point, worker, round_index, update_index):
        """Return loss and decayed gradient at ``point``, (n_params,), float64."""
        batch = self.samplers[worker].draw(round_index, update_index)
        single = point.astype(np.float32)
        loss = self.model.loss_and_gradient(single, *batch, self._gradient)
        decay = self.config["weight_decay"] * point
        return float(loss), self._gradient.astype(np.float64) + decay

    def work(self, base, worker, round_index, n_updates, *, first=0, at_base=False):
        """Return the change that a worker's updates make to ``base``, and the losses.

        With ``at_base`` all gradients are taken at ``base``.
        """
        config, params, velocity, losses = self.config, base, 0.0, 0.0
        for update_index in range(first, first + n_updates):
            point = base if at_base else params
            loss, gradient = self.gradient(point, worker, round_index, update_index)
            velocity = config["momentum"] * velocity + gradient
            nesterov = gradient + config["momentum"] * velocity
            step = nesterov if config["nesterov"] else velocity
            params = params - config["lr"] * step
            losses += loss
        return params - base, losses


def mean_change(changes, counts, n_samples):
    """The mean over the uploads."""
    return sum(changes) / len(changes)


def nova_change(changes, counts, n_samples):
    """The mean of the changes per update, times the mean number of updates."""
    normalised = sum(c / n for c, n in zip(changes, counts, strict=True))
    return normalised / len(changes) * np.mean(counts)


def gradient_change(changes, counts, n_samples):
    """The mean over all gradients."""
    return sum(changes) / sum(counts)


def samples_change(changes, counts, n_samples):
    """The mean over the training samples that stand behind the uploads."""
    weighted = sum(c * n for c, n in zip(changes, n_samples, strict=True))
    return weighted / sum(n_samples)


def sequential_params(config, counts, used=None, combine=mean_change):
    """Return x_J of a run in which nothing was stale.

    Every round, each worker that counts works from x_j; ``combine`` makes the step.

    Parameters
    ----------
    counts : (rounds, workers) integers
        Completed updates.
    used : (rounds, workers) booleans, optional
        Whose work counts; without it everybody's with an update.
    """
    shop, at_base = Workshop(config), combine is gradient_change
    params, server = shop.initial, ReferenceStep(config["server_step"])
    used = counts > 0 if used is None else used
    for round_index, row in enumerate(counts):
        workers = np.flatnonzero(used[round_index])
        changes = [
            shop.work(params, w, round_index, row[w], at_base=at_base)[0]
            for w in workers
        ]
        n_samples = [len(shop.parts[w]) for w in workers]
        if changes:
            params = params + server.step(combine(changes, row[workers], n_samples))
    return params
