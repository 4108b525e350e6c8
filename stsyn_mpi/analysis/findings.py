"""What else is found out about a run: who was slow, and what was to be expected.

The classes say what the report's tables ask of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from stsyn_mpi.runfile.reader import Run


class Pace(Protocol):
    """How fast a host was, or a worker."""

    @property
    def host(self) -> str:
        """Its name, "" if unknown."""

    @property
    def speed(self) -> float | None:
        """Updates a second, relative to the median worker."""

    @property
    def share_straggled(self) -> float | None:
        """Share of the rounds that closed before it came to its target."""

    @property
    def waited_local_sgd_s(self) -> float | None:
        """Seconds saved under local SGD, had it come with the median worker."""

    @property
    def waited_here_s(self) -> float | None:
        """Seconds saved in this run, had it come with the median worker."""

    @property
    def pattern(self) -> str:
        """``persistent``, ``sporadic`` or ""."""

    @property
    def is_flagged(self) -> bool:
        """Whether it is called a straggler."""


class OneWorker(Pace, Protocol):
    """How fast a worker was."""

    @property
    def worker(self) -> int:
        """Its index."""

    @property
    def n_updates(self) -> int:
        """Its completed updates."""

    @property
    def update_s(self) -> float | None:
        """Seconds an update."""

    @property
    def p_value(self) -> float | None:
        """Probability that chance alone makes it look so slow."""


class OneHost(Pace, Protocol):
    """How fast the workers of a host were."""

    @property
    def workers(self) -> tuple[int, ...]:
        """Its workers."""


class Stragglers(Protocol):
    """Who was slow, and what waiting came to."""

    @property
    def workers(self) -> Sequence[OneWorker]:
        """All of them."""

    @property
    def hosts(self) -> Sequence[OneHost]:
        """All of them; none where they are unknown."""

    @property
    def local_sgd_s(self) -> float | None:
        """Seconds that local SGD would have waited for arrivals."""

    @property
    def here_s(self) -> float | None:
        """Seconds that this run waited for arrivals."""

    @property
    def note(self) -> str:
        """What is not known and why, in a sentence; empty if nothing."""


class Quantity(Protocol):
    """A quantity of one round, predicted and measured."""

    @property
    def name(self) -> str:
        """What it is."""

    @property
    def unit(self) -> str:
        """Its unit: ``s``, or ``1`` for counts."""

    @property
    def predicted(self) -> float:
        """Its expectation."""

    @property
    def predicted_sd(self) -> float | None:
        """Its standard deviation from round to round."""

    @property
    def measured(self) -> float:
        """Its mean in the run."""

    @property
    def measured_se(self) -> float:
        """Standard error of the mean."""

    @property
    def is_expected(self) -> bool:
        """Whether the mean is as near as chance lets it be."""


class Predicted(Protocol):
    """Predictions beside measurements."""

    @property
    def quantities(self) -> Sequence[Quantity]:
        """The quantities; none where there is no prediction."""

    @property
    def assumptions(self) -> str:
        """What the prediction takes for granted."""

    @property
    def reason_missing(self) -> str:
        """Why there is none."""


@dataclass(frozen=True)
class Findings:
    """What was found out; None where nobody looked."""

    stragglers: Stragglers | None = None
    prediction: Predicted | None = None


def findings_of(run: Run) -> Findings:
    """Find out about a run what the figures do not show."""
    return Findings()
