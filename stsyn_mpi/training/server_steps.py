"""What the root does with the sum of a round's uploads.

Uploads are added as they land, x_{j+1} = x_j + s * sum a_m (x_m - x_j), so a server
step sees their weighted sum and the common scale s. An outer optimizer takes
-s * total as its gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from stsyn_mpi.arrays import Array, Backend
from stsyn_mpi.spec import Spec, choose, parse_spec


class ServerStep(Protocol):
    """How x_{j+1} follows from x_j and the uploads of round j.

    The root applies it exactly once in each round, so the state may change in place.
    """

    @property
    def state(self) -> Mapping[str, Array]:
        """The state by name, on the device, as a checkpoint stores and fills it."""

    def apply(self, base: Array, total: Array, scale: float, out: Array) -> None:
        """Write the new model.

        Parameters
        ----------
        base : float32 (n_params,) array
            The round's model x_j, only read: it may still be on its way to workers.
        total : float32 (n_params,) array
            sum a_m (x_m - x_j); may be overwritten.
        scale : float
            The common scale s, known when the round closes.
        out : float32 (n_params,) array
            Overwritten with x_{j+1}.
        """


class MeanStep:
    """The paper's: x_{j+1} = x_j + s * total, with no state."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    @property
    def state(self) -> Mapping[str, Array]:
        """Nothing."""
        return {}

    def apply(self, base: Array, total: Array, scale: float, out: Array) -> None:
        """Set ``out = base + scale * total``."""
        self._backend.apply_mean(base, total, scale, out)


def _build_mean(spec: Spec, backend: Backend, n_params: int) -> ServerStep:
    spec.check_keys(())
    return MeanStep(backend)


SERVER_STEPS: dict[str, Callable[[Spec, Backend, int], ServerStep]] = {
    "mean": _build_mean,
}


def build_server_step(text: str, backend: Backend, n_params: int) -> ServerStep:
    """Build the server step that ``text`` names: ``mean``.

    Raises
    ------
    InputError
        If it names none, or a parameter is wrong.
    """
    spec = parse_spec(text, "server step")
    build = SERVER_STEPS[choose(spec.name, SERVER_STEPS, "server step")]
    return build(spec, backend, n_params)
