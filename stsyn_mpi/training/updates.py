"""One local update: what a worker computes, real or simulated."""

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
    ) -> object:
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
        images, labels = self.sampler.draw(round_index, update_index)
        loss = self.model.loss_and_gradient(params, images, labels, self.gradient)
        self.optimizer.step(params, self.gradient, out, lr)
        return loss
