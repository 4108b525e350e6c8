"""Before round 0: all ranks learn how each other's vectors travel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stsyn_mpi.arrays import Backend
from stsyn_mpi.mpi.gpu_direct import choose_way, detect
from stsyn_mpi.mpi.startup import World, gather_texts
from stsyn_mpi.mpi.transfer import CHUNK_BYTES, STAGED_CHUNK_BYTES, TransferTerms

_ROUTES = {
    "direct": "vectors travel from and to GPU memory",
    "staged": "vectors travel through host memory",
}


@dataclass(frozen=True, slots=True)
class Agreement:
    """How vectors travel.

    Attributes
    ----------
    terms
        Of this rank.
    lines
        What there is to say about it, with reasons; nothing where no rank computes on
        a GPU.
    """

    terms: TransferTerms
    lines: tuple[str, ...]


def agree_on_transfer(
    world: World, backend: Backend, option: str, environ: Mapping[str, str]
) -> Agreement:
    """Tell all ranks how the vectors of this one reach MPI; every rank comes here.

    Where a single rank stages, all send short messages, so that its copies overlap
    with them.

    Parameters
    ----------
    world
        The ranks.
    backend
        Where the vectors of this rank live.
    option
        ``auto | on | off``, the option ``--gpu-direct``.
    environ
        Environment variables.
    """
    way = choose_way(option, lambda: detect(environ), is_host=backend.is_host)
    texts = gather_texts(world, f"{way.name} {way.reason}")
    stages = any(text.startswith("staged ") for text in texts)
    chunk_bytes = STAGED_CHUNK_BYTES if stages else CHUNK_BYTES
    terms = TransferTerms(way.name == "direct", chunk_bytes)
    return Agreement(terms, tuple(_lines(texts)))


def _lines(texts: Sequence[str]) -> list[str]:
    """Return a line for each way in use; ranks are named where there are several."""
    ranks: dict[str, list[int]] = {}
    for rank, text in enumerate(texts):
        if not text.startswith("host "):
            ranks.setdefault(text, []).append(rank)
    lines = []
    for text, those in ranks.items():
        name, _, reason = text.partition(" ")
        where = "" if len(ranks) == 1 else f" on {_listing(those)}"
        lines.append(f"{_ROUTES[name]}{where}: {reason}")
    return lines


def _listing(ranks: list[int]) -> str:
    if len(ranks) == 1:
        return f"rank {ranks[0]}"
    return f"{len(ranks)} ranks, the first is {ranks[0]}"
