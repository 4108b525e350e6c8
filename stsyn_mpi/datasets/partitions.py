"""Who trains on which rows: iid, sorted shards, Dirichlet over the labels."""

from dataclasses import dataclass

import numpy as np

from stsyn_mpi.errors import InputError
from stsyn_mpi.rng import Purpose, keyed_generator
from stsyn_mpi.spec import choose, parse_spec

_PARAMETERS: dict[str, tuple[str, ...]] = {
    "iid": (),
    "shards": ("per_worker",),
    "dirichlet": ("alpha",),
}
_MAX_DRAWS = 100
_ALPHA_RANGE = (1e-3, 1e6)


@dataclass(frozen=True)
class PartitionLaw:
    """A parsed partition.

    Attributes
    ----------
    name : str
        ``iid``, ``shards`` or ``dirichlet``.
    per_worker : int
        Shards per worker.
    alpha : float
        Concentration of the Dirichlet law; small means unequal.
    """

    name: str
    per_worker: int = 1
    alpha: float = 0.5


def parse_partition(text: str) -> PartitionLaw:
    """Parse ``iid``, ``shards:per_worker=2`` or ``dirichlet:alpha=0.5``.

    Raises
    ------
    InputError
        Naming the unknown name or parameter, or the range of the value.
    """
    spec = parse_spec(text, "partition")
    name = choose(spec.name, _PARAMETERS, "partition")
    spec.check_keys(_PARAMETERS[name])
    per_worker = spec.whole("per_worker", 1, minimum=1)
    alpha = spec.number("alpha", 0.5)
    if not _ALPHA_RANGE[0] <= alpha <= _ALPHA_RANGE[1]:
        raise InputError(
            f"partition {text!r}: alpha is {alpha:g}; allowed are "
            f"{_ALPHA_RANGE[0]:g} to {_ALPHA_RANGE[1]:g}"
        )
    return PartitionLaw(name, per_worker, alpha)


def partition(
    text: str, labels: np.ndarray, n_workers: int, seed: int
) -> list[np.ndarray]:
    """Divide the training rows among the workers.

    Every rank computes the same answer from the labels alone. Each row belongs to
    exactly one worker, and each worker has at least one.

    Parameters
    ----------
    text : str
        See `parse_partition`.
    labels : np.ndarray
        Integers, shape (n_train,), 0 or more.
    n_workers : int
        M, at least 1.
    seed : int
        The run's seed.

    Returns
    -------
    list of np.ndarray
        Per worker its rows, int64, ascending.

    Raises
    ------
    InputError
        If a worker would have no row.

    Notes
    -----
    ``iid``: a random permutation in M parts whose sizes differ by one at most.
    ``shards``: rows sorted by label, cut into M * per_worker shards whose sizes
    differ by one at most; each worker gets per_worker of them at random.
    ``dirichlet``: for every class, shares of the workers ~ Dirichlet(alpha, ...,
    alpha), drawn again for all classes where a worker would have nothing
    (the law of Hsu, Qi, Brown, arXiv 1909.06335, with shares over workers).
    """
    law = parse_partition(text)
    n_parts = n_workers * (law.per_worker if law.name == "shards" else 1)
    if n_parts > len(labels):
        raise InputError(
            f"partition {text!r}: {n_parts} parts for {n_workers} workers, but only "
            f"{len(labels)} training images; every worker needs at least one"
        )
    if law.name == "dirichlet":
        return _dirichlet(text, law.alpha, np.asarray(labels), n_workers, seed)
    random = keyed_generator(seed, Purpose.PARTITION)
    if law.name == "iid":
        parts = np.array_split(random.permutation(len(labels)), n_workers)
    else:
        shards = np.array_split(np.argsort(labels, kind="stable"), n_parts)
        order = random.permutation(n_parts).reshape(n_workers, law.per_worker)
        parts = [np.concatenate([shards[i] for i in mine]) for mine in order]
    return [np.sort(part).astype(np.int64) for part in parts]


def _dirichlet(
    text: str, alpha: float, labels: np.ndarray, n_workers: int, seed: int
) -> list[np.ndarray]:
    for attempt in range(_MAX_DRAWS):
        random = keyed_generator(seed, Purpose.PARTITION, index=attempt)
        owners = _draw_owners(random, alpha, labels, n_workers)
        if np.bincount(owners, minlength=n_workers).min() > 0:
            by_owner = np.argsort(owners, kind="stable")
            bounds = np.searchsorted(owners[by_owner], np.arange(1, n_workers))
            return [part.astype(np.int64) for part in np.split(by_owner, bounds)]
    raise InputError(
        f"partition {text!r}: each of {_MAX_DRAWS} draws left one of the {n_workers} "
        f"workers without any of the {len(labels)} training images; take a larger "
        "alpha or fewer workers"
    )


def _draw_owners(
    random: np.random.Generator, alpha: float, labels: np.ndarray, n_workers: int
) -> np.ndarray:
    owners = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == label))
        shares = random.dirichlet(np.full(n_workers, alpha))
        bounds = np.rint(np.cumsum(shares)[:-1] * len(rows)).astype(np.int64)
        sizes = np.diff(bounds, prepend=0, append=len(rows))
        owners[rows] = np.repeat(np.arange(n_workers), sizes)
    return owners
