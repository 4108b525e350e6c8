"""Messages that are sent to learn what messages cost, and whether they arrive whole.

The root speaks with one worker at a time; the others wait without taking a core.
"""

import ctypes
import time
from dataclasses import dataclass

import numpy as np
from mpi4py import MPI

from stsyn_mpi.arrays import Backend
from stsyn_mpi.mpi.chunks import Transfer
from stsyn_mpi.mpi.startup import World, gather_texts, library_name
from stsyn_mpi.mpi.transfer import CHUNK_BYTES, Courier, TransferTerms
from stsyn_mpi.mpi.wire import ROOT, Tag, rank_of

LARGE_N_PARAMS = 5 << 27
"""Parameters of a vector of 2.5 GiB."""
_N_PINGS, _N_WARM_UP = 100, 10
_BULK_BYTES, _N_BULKS = 4 << 20, 8
_PAUSE_S = 5e-4
_MAGIC = 0x5354_5379_6E21
_GPU_N_PARAMS = 1 << 20


@dataclass(frozen=True)
class Line:
    """What messages between the root and a worker cost.

    Attributes
    ----------
    latency_s
        Half of the median time of an empty message and its answer.
    bandwidth
        Bytes a second of 4 MiB to the worker and back, median.
    clock_offset_s
        Its clock less the root's, as of the quickest answer.
    """

    latency_s: float
    bandwidth: float
    clock_offset_s: float


def measure_lines(world: World) -> list[Line]:
    """Measure the way to every worker; on workers the list is empty.

    Every rank calls it.
    """
    if world.rank != ROOT:
        _echo(world.comm)
        return []
    return [_measure(world.comm, rank_of(m)) for m in range(world.n_workers)]


def _measure(comm: MPI.Comm, rank: int) -> Line:
    small, bulk = np.zeros(1), np.zeros(_BULK_BYTES // 8)
    trips = [_ping(comm, rank, small) for _ in range(_N_WARM_UP + _N_PINGS)]
    quickest = min(trips[_N_WARM_UP:])
    latency_s = float(np.median([seconds for seconds, _ in trips[_N_WARM_UP:]])) / 2
    bulks = [_ping(comm, rank, bulk)[0] for _ in range(_N_BULKS)][1:]
    bandwidth = 2 * _BULK_BYTES / float(np.median(bulks))
    return Line(latency_s, bandwidth, quickest[1])


def _ping(comm: MPI.Comm, rank: int, data: np.ndarray) -> tuple[float, float]:
    """Return the seconds of a message and its answer, and the clocks' difference."""
    sent_t, begin = time.time(), time.perf_counter()
    comm.Send(data, dest=rank, tag=Tag.CONTROL)
    comm.Recv(data, source=rank, tag=Tag.CONTROL)
    seconds = time.perf_counter() - begin
    return seconds, float(data[0]) - (sent_t + seconds / 2)


def _echo(comm: MPI.Comm) -> None:
    """Answer all messages of `_measure`, with this clock's time in them."""
    small, bulk = np.zeros(1), np.zeros(_BULK_BYTES // 8)
    for i in range(_N_WARM_UP + _N_PINGS + _N_BULKS):
        data = small if i < _N_WARM_UP + _N_PINGS else bulk
        request = comm.Irecv(data, source=ROOT, tag=Tag.CONTROL)
        if i == 0:
            wait_politely(request)
        request.Wait()
        data[0] = time.time()
        comm.Send(data, dest=ROOT, tag=Tag.CONTROL)


def wait_politely(transfer: Transfer) -> None:
    """Wait for what may take its time, without taking a core."""
    while not transfer.Test():
        time.sleep(_PAUSE_S)


def check_large(world: World) -> float | None:
    """Send 2.5 GiB to the first worker; return the seconds, None if it came damaged.

    Every rank calls it; the answer is the root's.

    Raises
    ------
    MemoryError
        On every rank, if the root or the first worker has no room for it.
    """
    from stsyn_mpi.arrays import select_backend

    vector = _large_vector(world)
    if world.rank > 1:
        return None
    courier = Courier(world.comm, select_backend("cpu"), TransferTerms())
    if world.rank == ROOT:
        return _send_large(world.comm, courier, vector)
    wait_politely(courier.receive(vector, ROOT))
    answer = np.array([_checksum(vector)])
    world.comm.Send(answer, dest=ROOT, tag=Tag.CONTROL)
    return None


def _large_vector(world: World) -> np.ndarray:
    """Return the vector to send or to fill; it is empty on all but two ranks."""
    vector, complaint = np.zeros(0, dtype=np.float32), ""
    try:
        if world.rank <= 1:
            make = np.arange if world.rank == ROOT else np.zeros
            vector = make(LARGE_N_PARAMS, dtype=np.float32)
    except MemoryError:
        complaint = f"rank {world.rank}"
    if poor := "".join(gather_texts(world, complaint)):
        raise MemoryError(poor)
    return vector


def _send_large(comm: MPI.Comm, courier: Courier, vector: np.ndarray) -> float | None:
    expected, answer = _checksum(vector), np.zeros(1, dtype=np.uint64)
    begin = time.perf_counter()
    wait_politely(courier.send(vector, rank_of(0)))
    comm.Recv(answer, source=rank_of(0), tag=Tag.CONTROL)
    return time.perf_counter() - begin if answer[0] == expected else None


def _checksum(vector: np.ndarray) -> np.uint64:
    """Return a sum in which every word has a weight of its own."""
    words, total = vector.view(np.uint32), 0
    for start in range(0, len(words), 1 << 22):
        block = words[start : start + (1 << 22)].astype(np.uint64)
        weights = np.arange(start + 1, start + 1 + len(block), dtype=np.uint64)
        # An array wraps around in silence, a NumPy number warns.
        total += int(np.sum(block * weights))
    return np.uint64(total % 2**64)


@dataclass(frozen=True)
class DeviceTransfers:
    """Workers between whose GPU and the root MPI carries vectors damaged.

    Attributes
    ----------
    sent, received : tuple of int
        Of the worker's uploads, and of the models that it receives; both empty where
        all arrive whole.
    """

    sent: tuple[int, ...]
    received: tuple[int, ...]


def check_device_memory(world: World, backend: Backend) -> DeviceTransfers | None:
    """Send GPU memory from each worker to the root and back; check every word.

    MPI itself is handed it, as in training: an MPI that was wrong about it may end
    the process. Called on all ranks, where all workers compute on a GPU.

    Parameters
    ----------
    world
        All ranks.
    backend
        Of this rank. The root's may be a GPU whose memory MPI takes, too.

    Returns
    -------
    DeviceTransfers or None
        On the root; None on workers.
    """
    if world.rank != ROOT:
        _return_vector(world.comm, backend)
        return None
    whole = [_exchange(world.comm, backend, rank_of(m)) for m in range(world.n_workers)]
    workers = range(world.n_workers)
    return DeviceTransfers(
        tuple(m for m in workers if not whole[m][0]),
        tuple(m for m in workers if not whole[m][1]),
    )


def _uploaded() -> np.ndarray:
    return np.arange(_GPU_N_PARAMS, dtype=np.float32)


def _returned() -> np.ndarray:
    """Return another vector than `_uploaded`: what stays as it was is no answer."""
    return _uploaded()[::-1].copy()


def _exchange(comm: MPI.Comm, backend: Backend, rank: int) -> tuple[bool, bool]:
    """Return whether a worker's vector arrived whole, and the root's at the worker."""
    vector = backend.zeros(_GPU_N_PARAMS)
    backend.synchronise()
    wait_politely(comm.Irecv(vector, source=rank, tag=Tag.PAYLOAD))
    is_whole = np.array_equal(backend.to_host(vector), _uploaded())
    vector = backend.to_device(_returned())
    backend.synchronise()
    wait_politely(comm.Isend(vector, dest=rank, tag=Tag.PAYLOAD))
    answer = np.zeros(1, dtype=np.int8)
    wait_politely(comm.Irecv(answer, source=rank, tag=Tag.CONTROL))
    return is_whole, bool(answer[0])


def _return_vector(comm: MPI.Comm, backend: Backend) -> None:
    """Send a vector to the root, take the root's, and say whether that is whole."""
    vector = backend.to_device(_uploaded())
    backend.synchronise()
    wait_politely(comm.Isend(vector, dest=ROOT, tag=Tag.PAYLOAD))
    wait_politely(comm.Irecv(vector, source=ROOT, tag=Tag.PAYLOAD))
    is_whole = np.array_equal(backend.to_host(vector), _returned())
    comm.Send(np.array([is_whole], dtype=np.int8), dest=ROOT, tag=Tag.CONTROL)


class Beacon:
    """A word in this process's memory that others of the node try to read."""

    def __init__(self) -> None:
        self._word = np.array([_MAGIC], dtype=np.int64)

    @property
    def address(self) -> int:
        """Where it lies."""
        return int(self._word.ctypes.data)


def can_read(pid: int, address: int) -> bool | None:
    """Say whether a process may read another one's memory; None if it cannot be asked.

    MPIs copy messages on a node once where that is allowed, and twice where not.
    """
    try:
        read = ctypes.CDLL(None, use_errno=True).process_vm_readv
    except (OSError, AttributeError):
        return None
    found = np.zeros(1, dtype=np.int64)
    local = _Span(found.ctypes.data, found.nbytes)
    remote = _Span(address, found.nbytes)
    read.restype = ctypes.c_ssize_t
    n_read = read(pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)
    return bool(n_read == found.nbytes and found[0] == _MAGIC)


class _Span(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def mpi_names() -> tuple[str, str]:
    """Return the library's name as it says, and that for which mpi4py was built."""
    vendor, version = MPI.get_vendor()
    return library_name(), f"{vendor} {'.'.join(map(str, version))}"


def mpi4py_version() -> str:
    """Return the version of mpi4py."""
    import mpi4py

    return f"mpi4py {mpi4py.__version__}"


def thread_levels() -> tuple[int, int]:
    """Return the thread level of MPI, and the one that is needed."""
    return MPI.Query_thread(), MPI.THREAD_FUNNELED


def most_bytes_a_message() -> int:
    """Return the bytes beyond which a vector travels in several messages."""
    return CHUNK_BYTES
