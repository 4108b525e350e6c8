"""What the root does with the sum of a round's uploads.

Uploads are added as they land, x_{j+1} = x_j + s * sum a_m (x_m - x_j), so a server
step sees their weighted sum and the common scale s. An outer optimizer takes
-s * sum as its gradient. ``mean`` is the paper's; the parameters of the others are
those of their sources, with their defaults:

========================================  ===========================================
``sgd:lr=1``                              x - lr * gradient
``nesterov:lr=0.7,momentum=0.9``          DiLoCo (Douillard et al., arXiv 2311.08105)
``adam:lr=0.01,beta1=0.9,beta2=0.99,``    FedAdam (Reddi et al., arXiv 2003.00295,
``epsilon=1e-3``                          algorithm 2; epsilon is their tau)
========================================  ===========================================
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from stsyn_mpi.arrays import Array, Backend
from stsyn_mpi.errors import InputError
from stsyn_mpi.spec import choose, parse_spec


class ServerStep(Protocol):
    """How x_{j+1} follows from x_j and the uploads of round j.

    The root applies it exactly once in each round that used an upload, so the state
    may change in place.
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
    """The paper's, with lr 1: x_{j+1} = x_j + lr * s * total, with no state."""

    def __init__(self, backend: Backend, n_params: int, lr: float = 1.0) -> None:
        self._backend = backend
        self._lr = lr

    @property
    def state(self) -> Mapping[str, Array]:
        """Nothing."""
        return {}

    def apply(self, base: Array, total: Array, scale: float, out: Array) -> None:
        """Set ``out = base + lr * scale * total``."""
        self._backend.apply_mean(base, total, self._lr * scale, out)


class NesterovStep:
    """Nesterov momentum: v = momentum * v + g, x = x - lr * (g + momentum * v)."""

    def __init__(
        self, backend: Backend, n_params: int, lr: float, momentum: float
    ) -> None:
        self._backend = backend
        self._lr, self._momentum = lr, momentum
        self._velocity = backend.zeros(n_params)

    @property
    def state(self) -> Mapping[str, Array]:
        """The velocity, zero at first."""
        return {"velocity": self._velocity}

    def apply(self, base: Array, total: Array, scale: float, out: Array) -> None:
        """Take one step from ``base``."""
        self._backend.scale(total, -scale)
        self._backend.momentum_step(
            *(base, total, self._velocity, out, self._velocity),
            *(self._lr, self._momentum, 0.0, True, False),
        )


class AdamStep:
    """Adam without bias correction, as in FedAdam.

    m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2,
    x = x - lr * m / (sqrt(v) + epsilon).
    """

    def __init__(
        self,
        backend: Backend,
        n_params: int,
        lr: float,
        beta1: float,
        beta2: float,
        epsilon: float,
    ) -> None:
        self._backend = backend
        self._rates = (lr, beta1, beta2, epsilon)
        self._first_moment = backend.zeros(n_params)
        self._second_moment = backend.empty(n_params)
        # The source starts it at epsilon^2 or above, not at 0.
        self._second_moment[...] = epsilon**2

    @property
    def state(self) -> Mapping[str, Array]:
        """Both moments; the first is zero at first, the second epsilon^2."""
        return {
            "first_moment": self._first_moment,
            "second_moment": self._second_moment,
        }

    def apply(self, base: Array, total: Array, scale: float, out: Array) -> None:
        """Take one step from ``base``."""
        self._backend.scale(total, -scale)
        moments = self._first_moment, self._second_moment
        self._backend.adam_step(base, total, *moments, out, *self._rates)


@dataclass(frozen=True, slots=True)
class _Number:
    """A parameter: its default and its range, low <= value < high or low < value."""

    default: float
    low: float = 0.0
    high: float = math.inf
    has_low: bool = False

    @property
    def allowed(self) -> str:
        least = f"{'>=' if self.has_low else '>'} {self.low:g}"
        return least if math.isinf(self.high) else f"{least} and < {self.high:g}"

    def holds(self, value: float) -> bool:
        is_above = value >= self.low if self.has_low else value > self.low
        return is_above and value < self.high


def _share(default: float) -> _Number:
    return _Number(default, low=0.0, high=1.0, has_low=True)


SERVER_STEPS: dict[str, tuple[Callable[..., ServerStep], dict[str, _Number]]] = {
    "mean": (MeanStep, {}),
    "sgd": (MeanStep, {"lr": _Number(1.0)}),
    "nesterov": (
        NesterovStep,
        {"lr": _Number(0.7), "momentum": _share(0.9)},
    ),
    "adam": (
        AdamStep,
        {
            "lr": _Number(0.01),
            "beta1": _share(0.9),
            "beta2": _share(0.99),
            "epsilon": _Number(1e-3),
        },
    ),
}
"""Server steps by the name that users type: what builds one, and its parameters."""


@dataclass(frozen=True, slots=True)
class ServerStepTerms:
    """What ``--server-step`` says: a name of `SERVER_STEPS` and all its parameters."""

    name: str
    values: Mapping[str, float]


def parse_server_step(text: str) -> ServerStepTerms:
    """Parse ``--server-step``, e.g. ``nesterov:lr=0.7,momentum=0.9``.

    Raises
    ------
    InputError
        Naming the server step or the parameter, and what is allowed.
    """
    spec = parse_spec(text, "--server-step")
    name = choose(spec.name, SERVER_STEPS, "--server-step")
    parameters = SERVER_STEPS[name][1]
    spec.check_keys(parameters)
    values = {key: spec.number(key, p.default) for key, p in parameters.items()}
    for key, value in values.items():
        if not parameters[key].holds(value):
            raise InputError(
                f"{key} of server step {name!r} must be {parameters[key].allowed}, "
                f"got {value:g}"
            )
    return ServerStepTerms(name, values)


def build_server_step(text: str, backend: Backend, n_params: int) -> ServerStep:
    """Build the server step that ``text`` describes, with its state.

    Raises
    ------
    InputError
        As `parse_server_step`.
    """
    terms = parse_server_step(text)
    return SERVER_STEPS[terms.name][0](backend, n_params, **terms.values)
