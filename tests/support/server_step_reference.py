"""Server steps by the formulas of their sources, in double precision."""

import numpy as np


class ReferenceStep:
    """Turns the mean change of a round into the model's step.

    ``text`` is what users type; parameters that it does not give are those of the
    sources.
    """

    def __init__(self, text):
        name, _, rest = text.partition(":")
        pairs = (part.split("=") for part in rest.split(",") if part)
        self._rule = getattr(self, f"_{name}")
        self._values = {key: float(value) for key, value in pairs}
        self.state = {}

    def step(self, change):
        """Return x_{j+1} - x_j."""
        return self._rule(-change, **self._values)

    def _mean(self, gradient):
        return -gradient

    def _sgd(self, gradient, lr=1.0):
        return -lr * gradient

    def _nesterov(self, gradient, lr=0.7, momentum=0.9):
        velocity = momentum * self.state.get("velocity", 0.0) + gradient
        self.state = {"velocity": velocity}
        return -lr * (gradient + momentum * velocity)

    def _adam(self, gradient, lr=0.01, beta1=0.9, beta2=0.99, epsilon=1e-3):
        m = beta1 * self.state.get("first_moment", 0.0) + (1 - beta1) * gradient
        v = beta2 * self.state.get("second_moment", epsilon**2)
        v = v + (1 - beta2) * gradient**2
        self.state = {"first_moment": m, "second_moment": v}
        return -lr * m / (np.sqrt(v) + epsilon)
