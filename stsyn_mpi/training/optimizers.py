"""Local optimizers: one update on a worker, out of place and cancellable.

A step writes its results into buffers that nothing reads until `commit`: a step that
is not committed leaves no trace, neither in the parameters nor in the velocity.
"""

from __future__ import annotations

from typing import Protocol

from stsyn_mpi.arrays import Array, Backend
from stsyn_mpi.errors import InputError


class LocalOptimizer(Protocol):
    """What a local update does with a gradient."""

    @property
    def n_state_vectors(self) -> int:
        """State vectors of the parameters' length; each is held twice."""

    def reset(self) -> None:
        """Begin a round: drop an uncommitted step, and the state unless it is kept."""

    def step(self, params: Array, gradient: Array, out: Array, lr: float) -> None:
        """Write the parameters after one update into ``out``.

        Parameters
        ----------
        params, gradient : float32 (n_params,) arrays
            Only read.
        out : float32 (n_params,) array
            Overwritten.
        lr : float
            Learning rate of the round.
        """

    def step_taken_at(
        self, point: Array, params: Array, gradient: Array, out: Array, lr: float
    ) -> None:
        """Add to ``params`` the step that starts at ``point``; write it to ``out``.

        Raises
        ------
        TypeError
            If the optimizer has momentum: its steps depend on those before.
        """

    def commit(self) -> None:
        """Make the state of the last `step` the current one.

        Raises
        ------
        RuntimeError
            If there was no step since the last commit or reset.
        """


class Sgd:
    """SGD without momentum: no state."""

    n_state_vectors = 0

    def __init__(self, backend: Backend, weight_decay: float = 0.0) -> None:
        self._backend = backend
        self._weight_decay = weight_decay
        self._is_pending = False

    def reset(self) -> None:
        """Drop an uncommitted step."""
        self._is_pending = False

    def step(self, params: Array, gradient: Array, out: Array, lr: float) -> None:
        """Set ``out = params - lr * (gradient + weight_decay * params)``."""
        self._backend.sgd_step(params, gradient, out, lr, self._weight_decay)
        self._is_pending = True

    def step_taken_at(
        self, point: Array, params: Array, gradient: Array, out: Array, lr: float
    ) -> None:
        """Set ``out = params - lr * (gradient + weight_decay * point)``."""
        self._backend.sgd_step(params, gradient, out, lr, 0.0)
        if self._weight_decay:
            self._backend.add_scaled(out, -lr * self._weight_decay, point)
        self._is_pending = True

    def commit(self) -> None:
        """Accept the last step."""
        _require(self._is_pending)
        self._is_pending = False


class MomentumSgd:
    """SGD with momentum or Nesterov momentum, see `Backend.momentum_step`.

    Parameters
    ----------
    n_params : int
        Length of the velocity; two of them are allocated.
    momentum : float
        In [0, 1).
    keep_state : bool
        Carry the velocity over from one round to the next.
    """

    n_state_vectors = 1

    def __init__(
        self,
        backend: Backend,
        n_params: int,
        momentum: float,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        keep_state: bool = False,
    ) -> None:
        self._backend = backend
        self._momentum = momentum
        self._nesterov = nesterov
        self._weight_decay = weight_decay
        self._keep_state = keep_state
        self._velocity = backend.empty(n_params)
        self._next_velocity = backend.empty(n_params)
        self._is_first = True
        self._is_pending = False

    def reset(self) -> None:
        """Drop an uncommitted step, and the velocity unless it is kept."""
        self._is_pending = False
        if not self._keep_state:
            self._is_first = True

    def step(self, params: Array, gradient: Array, out: Array, lr: float) -> None:
        """Write the new parameters into ``out``, the new velocity aside."""
        self._backend.momentum_step(
            params,
            gradient,
            self._velocity,
            out,
            self._next_velocity,
            lr,
            self._momentum,
            self._weight_decay,
            self._nesterov,
            self._is_first,
        )
        self._is_pending = True

    def step_taken_at(
        self, point: Array, params: Array, gradient: Array, out: Array, lr: float
    ) -> None:
        """Refuse: there is no such step with momentum."""
        raise TypeError("a step taken elsewhere than at the parameters has no momentum")

    def commit(self) -> None:
        """Make the velocity of the last step the current one, without a copy."""
        _require(self._is_pending)
        self._velocity, self._next_velocity = self._next_velocity, self._velocity
        self._is_first = self._is_pending = False


def build_optimizer(
    backend: Backend,
    n_params: int,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    keep_state: bool = False,
) -> LocalOptimizer:
    """Return the optimizer for these options; without momentum it has no state.

    Raises
    ------
    InputError
        For Nesterov momentum without momentum, or one outside [0, 1).
    """
    if not 0 <= momentum < 1:
        raise InputError(f"momentum must be at least 0 and below 1, got {momentum}")
    if nesterov and not momentum:
        raise InputError("nesterov needs momentum > 0, got momentum 0")
    if not momentum:
        return Sgd(backend, weight_decay)
    return MomentumSgd(backend, n_params, momentum, nesterov, weight_decay, keep_state)


def _require(is_pending: bool) -> None:
    if not is_pending:
        raise RuntimeError("commit without a step: its result would be stale")
