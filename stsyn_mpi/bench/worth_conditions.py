"""The conditions under which orders of ``tune`` are compared with that of training."""

from __future__ import annotations

from dataclasses import dataclass

from stsyn_mpi.spec import parse_spec


@dataclass(frozen=True)
class Condition:
    """A machine, and what is trained on it.

    Attributes
    ----------
    n_workers
        M.
    delay
        Law of the update times, mean 1 s.
    network
        What messages cost.
    target
        Test accuracy to train to.
    model, batch_size, lr
        What is trained, on the bundled digits.
    limit_s
        Virtual seconds after which the target has not been reached.
    """

    n_workers: int
    delay: str
    network: str = "free"
    target: float = 0.85
    model: str = "softmax"
    batch_size: int = 32
    lr: float = 0.1
    limit_s: float = 900.0

    def __str__(self) -> str:
        """Return the condition in the cells of a table."""
        law = self.delay.replace("mean=1s,", "").replace(":mean=1s", "")
        machine = f"{self.n_workers}, `{law}` | {self._messages()}"
        trained = f"`{self.model}`, {self.batch_size}, {self.lr:g}"
        return f"{machine} | {100 * self.target:g} %, {trained}"

    def _messages(self) -> str:
        if self.network == "free":
            return "free"
        spec = parse_spec(self.network, "network")
        if spec.name == "constant":
            return f"{spec.duration('cost'):g} s"
        return f"`{self.network}`"


_EXPONENTIAL, _GAMMA = "exponential:mean=1s", "gamma:mean=1s,shape=3"
_LINK = "link:latency=20ms,bandwidth=10kB/s,sharing=serial"
CONDITIONS = (
    Condition(20, _EXPONENTIAL),
    Condition(20, _EXPONENTIAL, target=0.88, batch_size=8, lr=0.3),
    Condition(20, _EXPONENTIAL, "constant:cost=1s"),
    Condition(20, _EXPONENTIAL, "constant:cost=5s"),
    Condition(20, _EXPONENTIAL, "constant:cost=5s", 0.88, batch_size=8, lr=0.3),
    Condition(20, "lognormal:mean=1s,sigma=1.5", "constant:cost=1s"),
    Condition(20, _EXPONENTIAL, "constant:cost=1s", 0.9, "mlp:hidden=32", 16, 0.05),
    Condition(20, _EXPONENTIAL, "constant:cost=2s", 0.9, batch_size=4, lr=0.3),
    Condition(8, _GAMMA, target=0.88),
    Condition(8, _GAMMA, _LINK, 0.88, batch_size=16),
    Condition(
        *(32, "weibull:mean=1s,shape=0.6", "constant:cost=3s", 0.88),
        batch_size=16,
        lr=0.2,
    ),
    Condition(
        *(16, "bimodal:mean=1s,slow_share=0.1,slowdown=8", "constant:cost=500ms", 0.9),
        model="mlp:hidden=32",
    ),
    Condition(
        *(12, f"{_EXPONENTIAL},factors=9*1/3*3", "constant:cost=2s", 0.9),
        *("mlp:hidden=64", 16, 0.05),
    ),
    Condition(20, f"{_EXPONENTIAL},scope=per-round", "constant:cost=1s"),
)
