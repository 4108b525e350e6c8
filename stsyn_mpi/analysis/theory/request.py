"""What ``stsyn-mpi predict`` is asked, and its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stsyn_mpi.analysis.theory.communication_cost import CommunicationCost, parse_cost
from stsyn_mpi.analysis.theory.delay_laws import worker_laws
from stsyn_mpi.analysis.theory.scheme_theory import SchemeTheory
from stsyn_mpi.analysis.theory.schemes import PREDICTED, predict_scheme
from stsyn_mpi.analysis.theory.update_laws import UpdateLaw
from stsyn_mpi.errors import InputError
from stsyn_mpi.spec import parse_duration
from stsyn_mpi.strategies.terms import WaitFor

MOST_WORKERS, MOST_UPDATES = 10_000, 10_000
DEFAULT_UPDATES = 10
_MOST_CELLS = 400


@dataclass(frozen=True)
class Grid:
    """Values of K and U to combine."""

    wait_for: tuple[int, ...]
    target_updates: tuple[int, ...]


@dataclass(frozen=True)
class Origin:
    """The run that a request was read from.

    Attributes
    ----------
    path : str
        Its file.
    sources : dict
        Of ``workers``, ``wait_for``, ``target_updates``, ``delay`` and ``comm`` where
        they come from: ``run``, ``option`` or ``default``.
    notes : tuple of str
        What else there is to know, in sentences.
    """

    path: str
    sources: Mapping[str, str]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Request:
    """A machine, as far as the theory is concerned, and the sizes of a round.

    Attributes
    ----------
    n_workers, wait_for, target_updates : int
        M, K and U.
    delay : str
        The delay law, see `stsyn_mpi.simulation.delays`.
    compute_s : float
        Constant time of an update beside it, s.
    comm : str
        What communication costs, as written.
    laws : sequence of UpdateLaw
        Of each worker.
    cost : CommunicationCost
        What ``comm`` says.
    grid : Grid or None
        What else to combine.
    origin : Origin or None
        The run that it was read from, if any.
    """

    n_workers: int
    wait_for: int
    target_updates: int
    delay: str
    compute_s: float
    comm: str
    laws: Sequence[UpdateLaw]
    cost: CommunicationCost
    grid: Grid | None
    origin: Origin | None = None


@dataclass(frozen=True)
class Answer:
    """What the theory says.

    Attributes
    ----------
    request : Request
        Of what.
    theories : tuple of SchemeTheory
        One of each scheme, STSyn first.
    useful : tuple of tuple of float
        Useful updates a second of STSyn, a row for each K of the grid, in it one for
        each U; empty without a grid.
    """

    request: Request
    theories: tuple[SchemeTheory, ...]
    useful: tuple[tuple[float | None, ...], ...]


def read_request(
    workers: int | None,
    wait_for: int | None,
    target_updates: int | None,
    delay: str | None,
    compute: str | None,
    comm: str | None,
    grid: Sequence[str],
) -> Request:
    """Check options as users write them; None where they say nothing.

    Raises
    ------
    InputError
        Naming the first that does not fit, and what is allowed.
    """
    if workers is None:
        raise InputError("--workers is missing: say how many there are, as in -M 20")
    _check("--workers", workers, MOST_WORKERS)
    wait_for, target_updates = read_sizes(wait_for, target_updates, workers)
    delay, comm = delay or "none", comm or "0"
    compute_s = parse_duration(compute or "0", "--compute")
    return Request(
        workers,
        wait_for,
        target_updates,
        delay,
        compute_s,
        comm,
        worker_laws(delay, workers, compute_s),
        parse_cost(comm),
        read_grid(grid, workers, wait_for, target_updates),
    )


def read_sizes(
    wait_for: int | None, target_updates: int | None, n_workers: int
) -> tuple[int, int]:
    """Check K and U, and return them: half of M and 10 where nothing is said.

    Raises
    ------
    InputError
        Naming the one that does not fit, and what is allowed.
    """
    u = DEFAULT_UPDATES if target_updates is None else target_updates
    _check("--target-updates", u, MOST_UPDATES)
    if wait_for is None:
        wait_for = WaitFor.FASTEST.in_force(None, n_workers)
    _check_wait_for("--wait-for", wait_for, n_workers)
    return wait_for, u


def _check(option: str, value: int, most: int) -> None:
    if not 1 <= value <= most:
        raise InputError(
            f"{option} must be a whole number from 1 to {most}, got {value}"
        )


def _check_wait_for(option: str, value: int, n_workers: int) -> None:
    if value < 1:
        raise InputError(f"{option} must be a whole number >= 1, got {value}")
    if value > n_workers:
        raise InputError(
            f"{option} must be at most the number of workers, K <= M = {n_workers}, "
            f"got {value}"
        )


def read_grid(
    texts: Sequence[str], n_workers: int, wait_for: int, target_updates: int
) -> Grid | None:
    """Check the values of K and U to combine; None where there are none.

    Raises
    ------
    InputError
        Naming the first that does not fit, and what is allowed.
    """
    if not texts:
        return None
    values: dict[str, tuple[int, ...]] = {}
    for text in texts:
        name, equals, listing = text.partition("=")
        if name not in ("K", "U") or not equals:
            raise InputError(f"--grid must be K=1,2,5 or U=1,5,10, got {text!r}")
        if name in values:
            raise InputError(f"--grid {name} is given twice")
        values[name] = tuple(_whole(word, text) for word in listing.split(","))
    grid = Grid(values.get("K", (wait_for,)), values.get("U", (target_updates,)))
    for k in grid.wait_for:
        _check_wait_for("--grid K", k, n_workers)
    for u in grid.target_updates:
        _check("--grid U", u, MOST_UPDATES)
    if len(grid.wait_for) * len(grid.target_updates) > _MOST_CELLS:
        raise InputError(f"--grid must have at most {_MOST_CELLS} pairs of K and U")
    return grid


def _whole(word: str, text: str) -> int:
    word = word.strip()
    if not (word.isascii() and word.isdigit() and len(word) <= len(str(MOST_UPDATES))):
        raise InputError(
            f"--grid {text}: {word!r} is no whole number from 1 to {MOST_UPDATES}"
        )
    return int(word)


def answer(request: Request) -> Answer:
    """Return what the theory says of every scheme, and of STSyn on the grid."""
    k, u = request.wait_for, request.target_updates
    theories = tuple(_predict(name, request, k, u) for name in PREDICTED)
    grid = request.grid or Grid((), ())
    useful = tuple(
        tuple(
            _predict("stsyn", request, k, u).useful_updates_per_s
            for u in grid.target_updates
        )
        for k in grid.wait_for
    )
    return Answer(request, theories, useful)


def _predict(name: str, request: Request, k: int, u: int) -> SchemeTheory:
    return predict_scheme(name, request.laws, k, u, request.cost)
