"""Which backend a process computes with, and what was found where there is none."""

from __future__ import annotations

import os

from stsyn_mpi.arrays.backend import Backend
from stsyn_mpi.errors import InputError
from stsyn_mpi.spec import choose

DEVICES = ("auto", "cpu", "gpu")
_HINT = "pip install 'stsyn-mpi[cuda12]' or 'stsyn-mpi[cuda13]'"


def count_gpus() -> tuple[int, str]:
    """Return the number of GPUs that this process sees, and if it is 0, why.

    CUDA_VISIBLE_DEVICES counts: hidden GPUs are not seen.
    """
    try:
        import cupy
    # Where it cannot make the folder of its kernels, it raises OSError.
    except (ImportError, OSError) as error:
        return 0, f"cupy cannot be imported ({_first_line(error)}): {_HINT}"
    try:
        n_gpus = int(cupy.cuda.runtime.getDeviceCount())
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return 0, f"cupy {cupy.__version__} finds no GPU ({_first_line(error)})"
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    hidden = "" if visible is None else f", CUDA_VISIBLE_DEVICES is {visible!r}"
    return n_gpus, "" if n_gpus else f"cupy {cupy.__version__} sees no GPU{hidden}"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def select_backend(device: str = "auto", place: int = 0) -> Backend:
    """Return the backend for ``device``.

    Parameters
    ----------
    device : str
        ``cpu``, ``gpu``, or ``auto``: a GPU where one is seen.
    place : int
        Which of the GPUs, counted round where there are fewer.

    Raises
    ------
    InputError
        If the device is unknown, or ``gpu`` is asked for and there is none.
    """
    if n_gpus := check_device(device):
        return _gpu_backend(place % n_gpus)
    from stsyn_mpi.arrays.numpy_backend import NumpyBackend

    return NumpyBackend()


def _gpu_backend(index: int) -> Backend:
    try:
        from stsyn_mpi.arrays.cupy_backend import CupyBackend
    except ImportError as error:
        raise InputError(
            f"there is a GPU, but not all of CUDA ({_first_line(error)}): load the "
            f"site's CUDA module, or {_HINT}; --device cpu does without"
        ) from None
    return CupyBackend(index)


def check_device(device: str, option: str = "--device") -> int:
    """Return how many GPUs there are to choose from for ``device``; 0 for a core.

    ``option`` is what asks for it, for the message.

    Raises
    ------
    InputError
        As `select_backend`.
    """
    if choose(device, DEVICES, option) == "cpu":
        return 0
    n_gpus, reason = count_gpus()
    if device == "gpu" and not n_gpus:
        raise InputError(
            f"{option} 'gpu': {reason}; allowed here are cpu and auto, which takes a "
            "GPU where there is one"
        )
    return n_gpus
