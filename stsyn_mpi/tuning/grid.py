"""The grid of candidates: which values of K and U, scheme by scheme."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stsyn_mpi.errors import InputError
from stsyn_mpi.schemes import parse_scheme
from stsyn_mpi.strategies import Strategy, WaitFor, strategy_names
from stsyn_mpi.study.entries import split_entries
from stsyn_mpi.tuning.candidates import (
    ADAPT_OFF,
    MOST_UPDATES,
    PAPER,
    Candidate,
    make_candidate,
)

_UPDATES = (2, 5, 10, 20, 50)
_SHARES = (1 / 8, 1 / 4, 1 / 2, 3 / 4, 1.0)
_MANY = (2, 4)
_INTERVAL_ROUNDS = 20
"""Rounds without a straggler that adacomm keeps its U."""
MOST = 2000


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
        If a scheme is unknown or adapts its K and U, no K fits M, or there are more
        than 2000.
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
    if scheme.adapt not in (None, ADAPT_OFF):
        raise InputError(
            f"--strategies {text!r}: candidates keep their K and U, and adapt="
            f"{scheme.adapt} changes them: stsyn-mpi compare has it beside fixed ones"
        )
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
