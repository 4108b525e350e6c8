"""The conditions under which adapted K and U are compared with fixed ones."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

FREE = "free"


@dataclass(frozen=True)
class Condition:
    """What a run meets.

    Attributes
    ----------
    delay
        Law of the update times, mean about 1 s.
    cost_s
        Seconds of communication a round.
    partition
        Of the data.
    link
        Network whose costs depend on the uploads, in place of ``cost_s``.
    later, at_s
        Law from that second on; none if empty.
    limit_s
        Virtual seconds after which a run is given up.
    """

    delay: str
    cost_s: float = 0.0
    partition: str = "iid"
    link: str = ""
    later: str = ""
    at_s: float = inf
    limit_s: float = 4000.0

    @property
    def network(self) -> str:
        """The network of the run."""
        return self.link or (f"constant:cost={self.cost_s:g}s" if self.cost_s else FREE)

    def __str__(self) -> str:
        """Return the condition in the words of a table."""
        law = self.delay.replace("mean=1s,", "").replace(":mean=1s", "")
        then = f", from {self.at_s:g} s on `{self.later}`" if self.later else ""
        cost = f"{self.cost_s:g} s" if self.cost_s else FREE
        cost = f"`{self.link}`" if self.link else cost
        return f"`{law}`{then} | {self.partition} | {cost}"


_EXPONENTIAL, _FACTORS = "exponential:mean=1s", "factors=8*1/2*4"
LAWS = (
    _EXPONENTIAL,
    "shifted-exponential:mean=1s",
    "lognormal:mean=1s",
    "pareto:mean=1s,shape=2",
    "shifted-exponential:mean=1s,shift=200ms,scope=per-round",
    f"constant:mean=1s,{_FACTORS}",
)
HEAVY = ("weibull:mean=1s,shape=0.4", "lognormal:mean=1s,sigma=1.5")
# A model of the study has 2.6 kB: half a second, one after another.
SERIAL = "link:latency=10ms,bandwidth=5.2kB/s,sharing=serial"
STEADY = (
    *(Condition(law, cost_s) for cost_s in (0.0, 5.0) for law in LAWS),
    *(
        Condition(law, cost_s, "shards")
        for cost_s in (0.0, 5.0)
        for law in (_EXPONENTIAL, LAWS[4])
    ),
    Condition(HEAVY[0], 0.2),
    Condition(HEAVY[1], 2.0, "shards"),
    Condition(_EXPONENTIAL, link=SERIAL),
)
_SLOW, _EVEN = "exponential:mean=4s", "constant:mean=300ms"
CHANGING = (
    Condition(_SLOW, 1.0, later=_EVEN, at_s=340.0),
    Condition(_EVEN, 1.0, later=_SLOW, at_s=100.0),
    Condition(_EXPONENTIAL, 5.0, later=f"{_EXPONENTIAL},factors=6*1/4*6", at_s=100.0),
)
