"""What the theory says of a scheme, and what it is made of."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from stsyn_mpi.analysis.theory.communication_cost import CommunicationCost
from stsyn_mpi.analysis.theory.order_statistics import Crowd
from stsyn_mpi.schemes import Scheme

UPLOADS_AT_ONCE = ("stsyn", "k-batch-sync", "rennala")
"""Schemes whose uploads all begin when the round closes."""


@dataclass(frozen=True)
class SchemeTheory:
    """What a round of a scheme is expected to come to; None where that is not known.

    Attributes
    ----------
    strategy : str
        The scheme.
    round_time_s, round_time_sd_s : float or None
        Expected time of a round and its standard deviation, s.
    mean_updates : float or None
        Expected updates of a worker in a round, used or not.
    n_uploaders : float or None
        Expected workers in the aggregate.
    useful_updates_per_s : float or None
        Updates in the aggregate a second.
    note : str
        What is assumed, or why something is not known; empty for neither.
    """

    strategy: str
    round_time_s: float | None = None
    round_time_sd_s: float | None = None
    mean_updates: float | None = None
    n_uploaders: float | None = None
    useful_updates_per_s: float | None = None
    note: str = ""

    def to_dict(self) -> dict[str, float | str | None]:
        """Return all but the name; what is infinite is None, as JSON has no such."""
        values = asdict(self)
        del values["strategy"]
        return {
            key: None if isinstance(v, float) and not math.isfinite(v) else v
            for key, v in values.items()
        }


@dataclass(frozen=True)
class Terms:
    """What the theory of a scheme is made of.

    Attributes
    ----------
    strategy : str
        The scheme as it was given.
    scheme : Scheme
        What that says.
    crowd : Crowd
        The M workers.
    wait_for, target_updates : int
        K and U in force.
    cost : CommunicationCost
        What communication costs.
    """

    strategy: str
    scheme: Scheme
    crowd: Crowd
    wait_for: int
    target_updates: int
    cost: CommunicationCost

    def theory(
        self,
        tau: tuple[float, float | None],
        counts: tuple[float, float, float | None],
        note: str = "",
    ) -> SchemeTheory:
        """Return what a round comes to with what communication costs.

        Parameters
        ----------
        tau : tuple
            E tau, and its standard deviation, s.
        counts : tuple
            Expected updates of a worker, updates used, and uploaders.
        note : str
            What is assumed.
        """
        mean, used, uploaders = counts
        cost = self.cost
        if cost.upload_s and self.scheme.kind.name not in UPLOADS_AT_ONCE:
            return self.unknown("its uploads queue while others still work")
        time_s = tau[0] + cost.mean_s + cost.upload_s * (uploaders or 0.0)
        sd = None if tau[1] is None or cost.upload_s else math.hypot(tau[1], cost.sd_s)
        rate = used / time_s
        return SchemeTheory(self.strategy, time_s, sd, mean, uploaders, rate, note)

    def unknown(self, why: str) -> SchemeTheory:
        """Return that nothing is known of the scheme, and why."""
        return SchemeTheory(self.strategy, note=f"not known: {why}")
