"""The global model: one vector for each that is read, and the sum of uploads.

A model that is being sent or evaluated is never written: every reader pins its
slot, and the next model goes into a slot without pins.
"""

from math import nan

import numpy as np

from stsyn_mpi.arrays import Array, Backend
from stsyn_mpi.protocol.plan import Payload
from stsyn_mpi.training.server_steps import ServerStep


class ModelStore:
    """Models by slot; slots are added only while all others are pinned.

    Parameters
    ----------
    backend
        Allocates the vectors.
    initial
        The first model, shape (n_params,), float32, on the device.
    """

    def __init__(self, backend: Backend, initial: Array) -> None:
        self._backend = backend
        self._vectors = [initial]
        self._pins = [1]
        self.current = 0

    @property
    def n_vectors(self) -> int:
        """Vectors held."""
        return len(self._vectors)

    def vector(self, slot: int) -> Array:
        """Return the vector of a slot."""
        return self._vectors[slot]

    def pin(self, slot: int) -> int:
        """Keep a slot from being written; return it."""
        self._pins[slot] += 1
        return slot

    def unpin(self, slot: int) -> None:
        """Take a pin back."""
        self._pins[slot] -= 1

    def free_slot(self) -> int:
        """Return a slot that nobody reads."""
        if 0 not in self._pins:
            self._vectors.append(self._backend.empty(self._vectors[0].shape[0]))
            self._pins.append(0)
        return self._pins.index(0)

    def advance(self, slot: int) -> None:
        """Make the model in ``slot`` the newest one."""
        self.unpin(self.current)
        self.current = self.pin(slot)


class GlobalModel:
    """x_j, and the weighted sum of the uploads that will make x_{j+1}.

    Uploads that land after `advance` belong to the sum of the next model, whatever
    model they started from.

    Parameters
    ----------
    backend
        Where the vectors live.
    server_step
        How the sum becomes the next model.
    initial
        x_0, shape (n_params,), float32, on the device.
    """

    def __init__(
        self, backend: Backend, server_step: ServerStep, initial: Array
    ) -> None:
        self.store = ModelStore(backend, initial)
        self._backend, self._server_step = backend, server_step
        self._total = backend.zeros(initial.shape[0])
        self._is_total_stale = False

    def take(self) -> tuple[int, Array]:
        """Pin the newest model; return its slot, for `ModelStore.unpin`, and it."""
        slot = self.store.pin(self.store.current)
        return slot, self.store.vector(slot)

    def add(
        self, upload: Array, weight: float, payload: Payload = Payload.PARAMETERS
    ) -> None:
        """Add an upload to the sum: ``weight * (upload - x_j)`` of parameters.

        Any other payload is a change, perhaps to an older model, and is added itself.
        """
        self._renew_total()
        if payload is Payload.PARAMETERS:
            base = self.store.vector(self.store.current)
            self._backend.add_scaled_difference(self._total, weight, upload, base)
        else:
            self._backend.add_scaled(self._total, weight, upload)

    def advance(self, scale: float, *, measures_step: bool = False) -> float:
        """Make x_{j+1} from x_j and scale * sum, by the server step.

        A round that used no upload (scale 0) takes no step: x_{j+1} = x_j.

        Returns
        -------
        float
            ||x_{j+1} - x_j|| with ``measures_step``, else NaN.
        """
        self._renew_total()
        slot = self.store.free_slot()
        base, out = self.store.vector(self.store.current), self.store.vector(slot)
        if scale:
            self._server_step.apply(base, self._total, scale, out)
        else:
            self._backend.apply_mean(base, self._total, scale, out)
        norm = self._backend.distance(out, base) if measures_step else nan
        # Another thread evaluates it, and MPI sends it.
        self._backend.synchronise()
        self.store.advance(slot)
        self._is_total_stale = True
        return norm

    def _renew_total(self) -> None:
        """Forget the last round's sum; not before its model is on its way."""
        if self._is_total_stale:
            self._total[...], self._is_total_stale = 0.0, False

    def to_host(self) -> np.ndarray:
        """Return the newest model in host memory, shape (n_params,), float32."""
        return self._backend.to_host(self.store.vector(self.store.current))
