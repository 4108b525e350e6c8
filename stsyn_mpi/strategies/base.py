"""The questions that tell one scheme from another.

The coordinator owns what every scheme shares (halting, collecting, deadlines,
late, hung, lost and returning workers); a strategy only answers. It keeps no
clock, does no I/O and sees no array.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from stsyn_mpi.protocol.plan import Payload, Plan
from stsyn_mpi.protocol.records import Change, RoundRecord, RoundView, Upload
from stsyn_mpi.strategies.terms import Parameter, SchemeTerms, WaitFor
from stsyn_mpi.strategies.weights import WEIGHTS, Weights

State = Mapping[str, int | float | str]


class Strategy(ABC):
    """A synchronisation scheme. Subclasses state rule and source in their docstring.

    A subclass with a ``name`` is known to every command as soon as its module is
    imported; all modules of this package are.

    Parameters
    ----------
    terms
        M, K, U of the run.
    weights
        How uploads are weighted; None for the scheme's own.
    **values
        One for each of ``parameters``; those not given take their defaults.

    Attributes
    ----------
    name
        The name users type.
    waits_for
        What K means to the scheme.
    fixed_updates
        U, where the scheme fixes it; None where the user chooses.
    payload
        What workers upload.
    own_weights
        Name of its weights; None where it takes no others because they are its rule.
    parameters
        Numbers that it takes beside K and U.
    adapts
        Whether it chooses K and U anew where ``terms.adapt`` asks for it.
    """

    name: ClassVar[str]
    waits_for: ClassVar[WaitFor] = WaitFor.FASTEST
    fixed_updates: ClassVar[int | None] = None
    payload: ClassVar[Payload] = Payload.PARAMETERS
    own_weights: ClassVar[str | None] = "uniform"
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    adapts: ClassVar[bool] = False
    known: ClassVar[dict[str, type["Strategy"]]] = {}

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if "name" in cls.__dict__:
            Strategy.known[cls.name] = cls

    def __init__(
        self, terms: SchemeTerms, weights: Weights | None = None, **values: float
    ) -> None:
        self.terms = terms
        self.weights = weights or WEIGHTS[self.own_weights or "uniform"](terms)
        self.values = {p.name: p.default for p in self.parameters} | values

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
        return self.weights.raw(upload)

    def scale(self, uploads: Sequence[Upload]) -> float:
        """Return the factor s of x_{j+1} = x_j + s * sum a_m (x_m - x_j)."""
        return self.weights.scale(uploads)

    def restart(self, view: RoundView) -> Iterable[int]:
        """Return the workers that get the next model when the round is aggregated."""
        return range(view.n_workers)

    def observe(self, record: RoundRecord) -> None:
        """Learn from a closed round; the next ``plan`` may differ."""
        return None

    def change(self) -> Change | None:
        """Return the K and U that the last ``observe`` has chosen anew, if any."""
        return None

    def observe_step(self, round_index: int, norm: float) -> None:
        """Learn the norm of a step, ||x_{j+1} - x_j||, if the plan asked for it.

        It comes after the next ``plan``; NaN where no model is trained.
        """
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
        self.check_keys(state)

    def check_keys(self, state: State) -> None:
        """Refuse a state that has not the entries of this scheme's own.

        Raises
        ------
        ValueError
            If an entry is missing or unknown.
        """
        own = sorted(self.state())
        if sorted(state) != own:
            kept = f"keeps {', '.join(own)}" if own else "keeps no state"
            raise ValueError(f"{self.name} {kept}, got {sorted(state)}")
