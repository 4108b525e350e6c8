"""The questions that tell one scheme from another.

The coordinator owns what every scheme shares (halting, collecting, deadlines,
late, hung, lost and returning workers); a strategy only answers. It keeps no
clock, does no I/O and sees no array.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence

from stsyn_mpi.protocol.plan import Plan
from stsyn_mpi.protocol.records import RoundRecord, RoundView, Upload

State = Mapping[str, int | float | str]


class Strategy(ABC):
    """A synchronisation scheme. Subclasses state rule and source in their docstring.

    Attributes
    ----------
    name
        The name users type.
    """

    name: str

    @abstractmethod
    def plan(self, view: RoundView) -> Plan:
        """Return the terms of the round that is about to start."""

    @abstractmethod
    def is_complete(self, view: RoundView) -> bool:
        """Whether the round closes now; asked after every report and answer."""

    @abstractmethod
    def halt(self, view: RoundView) -> Iterable[int]:
        """Return the workers to halt when the round closes."""

    @abstractmethod
    def accepts(self, upload: Upload, view: RoundView) -> bool:
        """Whether an announced upload counts; asked once, when it is announced."""

    def raw_weight(self, upload: Upload) -> float:
        """Return the weight a_m of an upload as far as it alone tells."""
        return 1.0

    def scale(self, uploads: Sequence[Upload]) -> float:
        """Return the factor s of x_{j+1} = x_j + s * sum a_m (x_m - x_j)."""
        return 1.0 / sum(self.raw_weight(upload) for upload in uploads)

    def restart(self, view: RoundView) -> Iterable[int]:
        """Return the workers that get the next model when the round is aggregated."""
        return range(view.n_workers)

    def observe(self, record: RoundRecord) -> None:
        """Learn from a closed round; the next ``plan`` may differ."""
        return None

    def state(self) -> State:
        """Return what ``restore`` needs to go on after a checkpoint."""
        return {}

    def restore(self, state: State) -> None:
        """Take up the state of a checkpoint.

        Raises
        ------
        ValueError
            If the state is of another scheme.
        """
        if state:
            raise ValueError(f"{self.name} keeps no state, got {sorted(state)}")
