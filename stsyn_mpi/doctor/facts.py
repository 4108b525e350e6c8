"""What a rank finds out about itself; it travels as JSON text."""

from __future__ import annotations

import ctypes
import json
import os
import re
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from stsyn_mpi._version import __version__

_MAPS = Path("/proc/self/maps")
_BLAS_FILE = re.compile(r"/lib[^/]*(openblas|mkl_rt|blis)[^/]*$")
_BLAS_QUESTIONS = (
    "openblas_get_num_threads",
    "openblas_get_num_threads64_",
    "scipy_openblas_get_num_threads",
    "scipy_openblas_get_num_threads64_",
    "MKL_Get_Max_Threads",
    "bli_thread_get_num_threads",
)


@dataclass(frozen=True)
class RankFacts:
    """One rank: where it runs, on what, and with which software.

    Attributes
    ----------
    host, pid
        Where.
    cores : str
        The cores it may run on, as ``0-3,8``.
    blas_threads : int or None
        Of a matrix product; None where BLAS cannot be asked.
    device, device_id : str
        What it computes on, and the UUID of its GPU.
    n_gpus : int
        GPUs that it sees.
    gpu_aware, gpu_reason
        Whether MPI says that it takes GPU memory, and who says so.
    software : str
        Versions of Python, this package, NumPy, mpi4py, h5py and HDF5, and the MPI.
    thread_level : int
        What MPI provides.
    """

    host: str
    pid: int
    cores: str
    blas_threads: int | None
    device: str
    device_id: str
    n_gpus: int
    gpu_aware: bool
    gpu_reason: str
    software: str
    thread_level: int

    def to_text(self) -> str:
        """Return the facts as one line of ASCII characters."""
        return json.dumps(list(asdict(self).values()), separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Return the facts that `to_text` made a text of."""
        return cls(*json.loads(text))


def host_name() -> str:
    """Return this host's name."""
    return socket.gethostname()


def usable_cores() -> str:
    """Return the cores that this process may run on, as ``0-3,8``."""
    return ranges(sorted(os.sched_getaffinity(0)))


def ranges(numbers: list[int]) -> str:
    """Return sorted numbers in short: ``0-3,8``."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in spans)


def numbers_in(text: str) -> set[int]:
    """Return the numbers of which `ranges` made a text."""
    found: set[int] = set()
    for span in filter(None, text.split(",")):
        first, _, last = span.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def blas_threads() -> int | None:
    """Ask the BLAS that NumPy has loaded for its threads; None if it cannot be asked.

    The variables that limit them were read when it was loaded: only it knows what came
    of them.
    """
    import numpy as np

    np.ones((2, 2), dtype=np.float32) @ np.ones((2, 2), dtype=np.float32)
    with suppress(OSError):
        paths = {line.split()[-1] for line in _MAPS.read_text().splitlines()}
        for path in sorted(filter(_BLAS_FILE.search, paths)):
            library = ctypes.CDLL(path)
            for name in _BLAS_QUESTIONS:
                if (ask := getattr(library, name, None)) is not None:
                    return int(ask())
    return None


def software(mpi: str) -> str:
    """Return what has to be the same on all ranks, in one line.

    Parameters
    ----------
    mpi : str
        Names and versions of the MPI library and of mpi4py.
    """
    from stsyn_mpi.runfile.provenance import library_versions

    versions = {"stsyn_mpi": __version__, **library_versions()}
    return ", ".join(
        [*(f"{name} {version}" for name, version in versions.items()), mpi]
    )
