"""One local update: what a worker computes, real or simulated.

The caller owns all parameter vectors and decides where results go; nothing here
knows of threads or buffers. A step is only launched: the caller waits for it before
the next one, which writes to the memory that batches are sent from.
"""

from dataclasses import dataclass

from stsyn_mpi.arrays import Array, Backend
from stsyn_mpi.models.base import Model
from stsyn_mpi.training.optimizers import LocalOptimizer
from stsyn_mpi.training.sampling import BatchSampler


@dataclass(frozen=True, slots=True)
class LocalUpdate:
    """A gradient on a batch, and the step that follows from it.

    Attributes
    ----------
    backend
        Where the vectors live.
    model, optimizer, sampler
        The worker's own.
    gradient
        Workspace, shape (n_params,), float32.
    """

    backend: Backend
    model: Model
    optimizer: LocalOptimizer
    sampler: BatchSampler
    gradient: Array

    def step(
        self, round_index: int, update_index: int, params: Array, out: Array, lr: float
    ) -> Array:
        """Write the updated parameters; the optimizer's state awaits its `commit`.

        Parameters
        ----------
        round_index, update_index
            Key of the batch.
        params : float32 (n_params,) array
            Only read.
        out : float32 (n_params,) array
            Overwritten.
        lr
            Learning rate.

        Returns
        -------
        0-d array or float
            Training loss of the batch at ``params``, on the device.
        """
        loss = self._differentiate(round_index, update_index, params)
        self.optimizer.step(params, self.gradient, out, lr)
        self.sampler.expect(round_index, update_index + 1)
        return loss

    def gradient_step(
        self,
        round_index: int,
        update_index: int,
        base: Array,
        params: Array,
        out: Array,
        lr: float,
    ) -> Array:
        """Add the step from ``base`` to ``params``, as sums of gradients need it.

        Sets ``out = params - lr * (g(base) + weight_decay * base)``. Begun with
        zeros for ``params``, it gives the sum of the steps itself.

        Parameters
        ----------
        round_index, update_index
            Key of the batch.
        base : float32 (n_params,) array
            Where the gradient is taken; only read.
        params : float32 (n_params,) array
            Where the steps before have led; only read.
        out : float32 (n_params,) array
            Overwritten; may be ``params``.
        lr
            Learning rate.

        Returns
        -------
        0-d array or float
            Training loss of the batch at ``base``, on the device.

        Raises
        ------
        TypeError
            If the optimizer has momentum.
        """
        loss = self._differentiate(round_index, update_index, base)
        self.optimizer.step_taken_at(base, params, self.gradient, out, lr)
        self.sampler.expect(round_index, update_index + 1)
        return loss

    def _differentiate(
        self, round_index: int, update_index: int, point: Array
    ) -> Array:
        images, labels = self.sampler.draw(round_index, update_index)
        loss: Array = self.model.loss_and_gradient(point, images, labels, self.gradient)
        return loss
