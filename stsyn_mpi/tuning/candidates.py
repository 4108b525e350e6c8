"""Which schemes are tried, with which K and U."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from stsyn_mpi.errors import InputError
from stsyn_mpi.schemes import parse_scheme, trains_gradients
from stsyn_mpi.simulate_config import SimulateConfig
from stsyn_mpi.strategies import Strategy, WaitFor, strategy_names
from stsyn_mpi.study.entries import canonical_scheme, split_entries

PAPER = "stsyn"
_UPDATES = (2, 5, 10, 20, 50)
_SHARES = (1 / 8, 1 / 4, 1 / 2, 3 / 4, 1.0)
_MANY = (2, 4)
_INTERVAL_ROUNDS = 20
"""Rounds without a straggler that adacomm keeps its U."""
MOST, MOST_UPDATES = 2000, 10_000


@dataclass(frozen=True, order=True)
class Candidate:
    """A scheme with K and U.

    Attributes
    ----------
    label : str
        As for ``--strategy``, with K and U as far as the scheme takes them.
    name : str
        The scheme.
    wait_for, target_updates : int
        K and U in force.
    """

    label: str
    name: str
    wait_for: int
    target_updates: int

    def __str__(self) -> str:
        return self.label


@dataclass(frozen=True)
class Wishes:
    """What a user wants tried; empty is what this project chooses.

    Attributes
    ----------
    strategies : tuple of str
        Schemes, perhaps with K, U and parameters of their own.
    wait_for, target_updates : tuple of int
        Values of K and of U.
    """

    strategies: tuple[str, ...] = ()
    wait_for: tuple[int, ...] = ()
    target_updates: tuple[int, ...] = ()

    @property
    def is_own_grid(self) -> bool:
        """Whether the user said which K or U."""
        return bool(self.wait_for or self.target_updates)


def read_wishes(
    strategies: str | None, wait_for: str | None, target_updates: str | None
) -> Wishes:
    """Read the options ``--strategies``, ``-K`` and ``-U``.

    Raises
    ------
    InputError
        If one is no list of schemes, or of whole numbers above 0.
    """
    texts = () if strategies is None else (strategies,)
    return Wishes(
        tuple(split_entries(texts)),
        _read_numbers("-K", wait_for),
        _read_numbers("-U", target_updates),
    )


def _read_numbers(option: str, text: str | None) -> tuple[int, ...]:
    if text is None:
        return ()
    words = [word.strip() for word in text.split(",")]
    for word in words:
        is_number = word.isascii() and word.isdigit() and len(word) < 6
        if not 1 <= (int(word) if is_number else 0) <= MOST_UPDATES:
            raise InputError(
                f"{option} must be whole numbers from 1 to {MOST_UPDATES}, such as "
                f"1,5,10, got {text!r}"
            )
    return tuple(dict.fromkeys(int(word) for word in words))


def make_candidate(text: str, n_workers: int, k: int | None, u: int) -> Candidate:
    """Return a scheme with K and U, where its text does not have them.

    Parameters
    ----------
    text : str
        As for ``--strategy``.
    n_workers, k, u : int
        M, K and U.
    """
    scheme = parse_scheme(text)
    k, u = scheme.sizes(k, u, n_workers)
    name, _, own = canonical_scheme(text).partition(":")
    sizes = [f"K={k}"] * (scheme.kind.waits_for in (WaitFor.FASTEST, WaitFor.COUNT))
    sizes += [f"U={u}"] * (scheme.kind.fixed_updates is None)
    parameters = ",".join([*sizes, *([own] if own else [])])
    label = f"{name}:{parameters}" if parameters else name
    return Candidate(label, name, k, u)


def make_grid(wishes: Wishes, n_workers: int, mean_s: float) -> list[Candidate]:
    """Return all candidates, STSyn's first.

    Parameters
    ----------
    wishes : Wishes
        What the user wants.
    n_workers : int
        M.
    mean_s : float
        Mean time of an update, s.

    Raises
    ------
    InputError
        If a scheme is unknown, no K fits M, or there are more than 2000.
    """
    found: dict[str, Candidate] = {}
    for text in wishes.strategies or strategy_names():
        for candidate in _of_scheme(text, wishes, n_workers, mean_s):
            found.setdefault(candidate.label, candidate)
        if len(found) > MOST:
            raise InputError(f"more than {MOST:,} candidates: fewer K and U, please")
    if not found:
        raise InputError(
            f"-K {','.join(map(str, wishes.wait_for))}: none of them is at most M = "
            f"{n_workers}"
        )
    return list(found.values())


def _of_scheme(
    text: str, wishes: Wishes, n_workers: int, mean_s: float
) -> Iterable[Candidate]:
    scheme = parse_scheme(text)
    updates = wishes.target_updates or _UPDATES
    fits = scheme.kind.waits_for is not WaitFor.FASTEST
    workers = [
        k
        for k in wishes.wait_for or _workers(scheme.kind, n_workers)
        if fits or k <= n_workers
    ]
    if scheme.wait_for or scheme.kind.waits_for in (WaitFor.ALL, WaitFor.ONE):
        workers = [n_workers]
    if scheme.target_updates or scheme.kind.fixed_updates:
        updates = (1,)
    for k in workers:
        for u in updates:
            yield make_candidate(_with_interval(text, u, mean_s), n_workers, k, u)


def _workers(kind: type[Strategy], n_workers: int) -> Sequence[int]:
    """Return the K of a scheme, the least first.

    With K = M the schemes that drop or halt the rest are local or synchronous SGD, and
    stand there already; a batch of gradients may have many from each.
    """
    few = sorted({1, *(max(1, round(share * n_workers)) for share in _SHARES)})
    if kind.name == "rennala":
        return [factor * n_workers for factor in _MANY]
    if kind.waits_for is WaitFor.FASTEST and kind.name != PAPER:
        return [k for k in few if k < n_workers] or few
    return few


def _with_interval(text: str, u: int, mean_s: float) -> str:
    """Give adacomm an interval that fits the machine, where it has none."""
    if text != "adacomm":
        return text
    return f"adacomm:interval={max(1e-6, _INTERVAL_ROUNDS * u * mean_s):.3g}"


def fitting(
    candidates: Iterable[Candidate], common: SimulateConfig
) -> tuple[list[Candidate], list[str]]:
    """Return those that go with the options of the run, and why others do not.

    Parameters
    ----------
    candidates : iterable of Candidate
        All of them.
    common : SimulateConfig
        What all runs share; ``workers`` is given.

    Returns
    -------
    candidates : list of Candidate
        Those that fit.
    refused : list of str
        A line for each scheme that does not.
    """
    good: list[Candidate] = []
    refused: dict[str, str] = {}
    for candidate in candidates:
        if candidate.name in refused:
            continue
        try:
            replace(common, strategy=candidate.label).resolved(common.workers or 0)
        except InputError as error:
            refused[candidate.name] = str(error)
        else:
            good.append(candidate)
    return good, [f"{name}: {why}" for name, why in refused.items()]


def rounds_for(candidate: Candidate, n_workers: int, rounds: int) -> int:
    """Return rounds in which every worker takes part about ``rounds`` times.

    A round of a scheme that goes on with K uploads is short: there must be more.
    """
    share = n_workers / min(n_workers, candidate.wait_for)
    is_short = candidate.name in _NEVER_WAITS or trains_gradients(candidate.label)
    return min(20 * rounds, math.ceil(rounds * share)) if is_short else rounds


_NEVER_WAITS = ("k-async", "k-batch-async", "async", "fedbuff")
