"""Whether MPI takes pointers to GPU memory: it is asked, never guessed.

An MPI that does not know of GPUs follows such a pointer, and the process is gone. So
GPU memory is handed over only where the MPI itself, or the site, says that it may be.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mpi4py import MPI

from stsyn_mpi.mpi.startup import library_name

_MAPS = Path("/proc/self/maps")
_MPIX_GPU_SUPPORT_CUDA = 0
_CRAY_VARIABLE = "MPICH_GPU_SUPPORT_ENABLED"
_CRAY_LIBRARY = "libmpi_gtl_cuda"


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether GPU memory may be handed to MPI, and who says so."""

    is_aware: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Witnesses:
    """All that can be asked about an MPI.

    Attributes
    ----------
    name
        Name and version of the library, as it gives them.
    kinds
        Its ``mpi_memory_alloc_kinds`` (MPI 4.1), empty where it has none.
    environ
        Environment variables.
    maps
        What is mapped into this process, in the format of proc(5).
    library
        Has the functions of the library as attributes; None if it cannot be opened.
    """

    name: str
    kinds: str
    environ: Mapping[str, str]
    maps: str
    library: Any


@dataclass(frozen=True, slots=True)
class Way:
    """How the vectors of a rank reach MPI, and why.

    Attributes
    ----------
    name
        ``host``, ``direct`` or ``staged``: vectors in host memory, in GPU memory that
        MPI takes, in GPU memory that is copied through host memory.
    reason
        Empty for ``host``.
    """

    name: Literal["host", "direct", "staged"]
    reason: str = ""


def choose_way(option: str, detect: Callable[[], Finding], *, is_host: bool) -> Way:
    """Return how the vectors of this rank reach MPI.

    Parameters
    ----------
    option
        ``auto | on | off``, the option ``--gpu-direct``; ``on`` is the user's word
        that MPI takes GPU memory.
    detect
        Asks the MPI; called where the answer matters.
    is_host
        Whether the vectors are in host memory.
    """
    if is_host:
        return Way("host")
    if option == "off":
        return Way("staged", "--gpu-direct off")
    finding = detect()
    if option == "on":
        return Way("direct", f"--gpu-direct on; {finding.reason}")
    return Way("direct" if finding.is_aware else "staged", finding.reason)


def detect(environ: Mapping[str, str]) -> Finding:
    """Ask the MPI of this process, which has been initialised; never raises."""
    kinds, maps, library = "", "", None
    # mpi4py says so of a call that an MPI lacks.
    with suppress(MPI.Exception, NotImplementedError):
        info = MPI.COMM_WORLD.Get_info()
        kinds = info.get("mpi_memory_alloc_kinds") or ""
        info.Free()
    with suppress(OSError):
        maps = _MAPS.read_text(errors="replace")
    with suppress(OSError):
        library = ctypes.CDLL(MPI.__file__)
    return judge(Witnesses(library_name(), kinds, environ, maps, library))


def judge(witnesses: Witnesses) -> Finding:
    """Return what the first of the witnesses says that knows; without one, no."""
    asked: tuple[Callable[[Witnesses], Finding | None], ...] = (
        _by_memory_kinds,
        _by_cray,
        _by_open_mpi,
        _by_mpich,
    )
    for ask in asked:
        if (finding := ask(witnesses)) is not None:
            return finding
    return Finding(False, f"{witnesses.name} cannot be asked about GPU memory")


def _by_memory_kinds(witnesses: Witnesses) -> Finding | None:
    """Take a yes alone: kinds that nobody asked for need not be listed."""
    for kind in witnesses.kinds.split(","):
        name, *restrictors = kind.strip().split(":")
        if name == "cuda" and (not restrictors or "device" in restrictors):
            return Finding(True, f"mpi_memory_alloc_kinds = {witnesses.kinds}")
    return None


def _by_cray(witnesses: Witnesses) -> Finding | None:
    """Cray's MPICH needs its variable, and a library that is linked in beside it."""
    if "CRAY MPICH" not in witnesses.name.upper():
        return None
    if witnesses.environ.get(_CRAY_VARIABLE) != "1":
        return Finding(False, f"Cray MPICH without {_CRAY_VARIABLE}=1")
    if _CRAY_LIBRARY not in witnesses.maps:
        return Finding(False, f"Cray MPICH without {_CRAY_LIBRARY} in the process")
    return Finding(True, f"Cray MPICH with {_CRAY_VARIABLE}=1 and {_CRAY_LIBRARY}")


def _by_open_mpi(witnesses: Witnesses) -> Finding | None:
    if not witnesses.name.startswith("Open MPI"):
        return None
    query = getattr(witnesses.library, "MPIX_Query_cuda_support", None)
    if query is None:
        return Finding(False, "Open MPI has no MPIX_Query_cuda_support()")
    query.argtypes, query.restype = [], ctypes.c_int
    answer = query()
    return Finding(answer == 1, f"Open MPI says MPIX_Query_cuda_support() = {answer}")


def _by_mpich(witnesses: Witnesses) -> Finding | None:
    if not witnesses.name.startswith("MPICH"):
        return None
    query = getattr(witnesses.library, "MPIX_GPU_query_support", None)
    if query is None:
        return Finding(False, "MPICH has no MPIX_GPU_query_support()")
    query.argtypes = [ctypes.c_int, ctypes.POINTER(ctypes.c_int)]
    query.restype = ctypes.c_int
    answer = ctypes.c_int(0)
    code = query(_MPIX_GPU_SUPPORT_CUDA, ctypes.byref(answer))
    said = f"MPICH says MPIX_GPU_query_support(CUDA) = {answer.value}"
    if code != MPI.SUCCESS:
        return Finding(False, f"{said}, error {code}")
    return Finding(bool(answer.value), said)
