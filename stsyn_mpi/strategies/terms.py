"""What a scheme is told of its run, and the parameters it takes."""

from dataclasses import dataclass
from enum import Enum

ADAPTS = ("off", "k", "u", "ku")
"""What a scheme may adapt: nothing, K, U, or both."""


class WaitFor(Enum):
    """What K means to a scheme, and which values it may have."""

    FASTEST = "workers, 1 <= K <= M"
    ALL = "all workers, K = M"
    ONE = "one upload, K = 1"
    COUNT = "uploads or gradients, K >= 1"

    def in_force(self, wait_for: int | None, n_workers: int) -> int:
        """Return K: what was asked for as far as the scheme leaves the choice.

        Without a wish (None) it is half of the workers, rounded up.
        """
        if self is WaitFor.ALL:
            return n_workers
        if self is WaitFor.ONE:
            return 1
        return wait_for or (n_workers + 1) // 2


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number that one scheme takes beside K and U, as in ``flanp:first=2``.

    Attributes
    ----------
    name
        As the user writes it.
    meaning
        In one phrase, with the unit.
    default, low, high
        Value where none is given, and the closed range.
    is_whole, is_duration
        Whether only whole numbers are allowed; whether it is read as a duration
        (``20ms``) in seconds.
    is_of_adapt
        Whether it has an effect only where K or U are adapted.
    """

    name: str
    meaning: str
    default: float
    low: float
    high: float = float("inf")
    is_whole: bool = False
    is_duration: bool = False
    is_of_adapt: bool = False


@dataclass(frozen=True, slots=True)
class SchemeTerms:
    """What every scheme is told of its run.

    Attributes
    ----------
    n_workers
        M.
    wait_for
        K, as its `WaitFor` allows.
    target_updates
        U >= 1.
    seed
        The run's seed.
    n_samples
        Training samples of each worker; empty where nobody asked for them.
    adapt
        Which of K and U the scheme chooses anew while it runs, one of `ADAPTS`.
    """

    n_workers: int
    wait_for: int
    target_updates: int
    seed: int = 0
    n_samples: tuple[int, ...] = ()
    adapt: str = "off"
