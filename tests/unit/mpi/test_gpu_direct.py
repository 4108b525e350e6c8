"""GPU memory goes to MPI where the MPI, the site or the user says so, only there."""

from types import SimpleNamespace

import pytest
from device_double import DeviceDouble

from stsyn_mpi.arrays.numpy_backend import NumpyBackend
from stsyn_mpi.mpi import agreement, gpu_direct
from stsyn_mpi.mpi.agreement import agree_on_transfer
from stsyn_mpi.mpi.gpu_direct import Finding, Way, Witnesses, choose_way, judge
from stsyn_mpi.mpi.transfer import CHUNK_BYTES, STAGED_CHUNK_BYTES, TransferTerms

OPEN_MPI, MPICH, CRAY = (
    "Open MPI v5.0.11",
    "MPICH Version:      5.0.2",
    "MPI VERSION    : CRAY MPICH version 8.1.28.29 (ANL base 3.4a2)",
)
ENABLED = {"MPICH_GPU_SUPPORT_ENABLED": "1"}
GTL = "7f0000000000-7f0000001000 r-xp 00000000 00:2f 7 /opt/cray/libmpi_gtl_cuda.so.0\n"


def open_mpi(answer):
    def query():
        return answer

    return SimpleNamespace(MPIX_Query_cuda_support=query)


def mpich(cuda, code=0):
    def query(kind, is_supported):
        # CUDA is 0, ZE 1, HIP 2; the answer goes where the second argument points.
        is_supported._obj.value = cuda if kind == 0 else 1 - cuda
        return code

    return SimpleNamespace(MPIX_GPU_query_support=query)


def witnesses(name, library=None, kinds="", environ=None, maps=""):
    return Witnesses(name, kinds, environ or {}, maps, library)


@pytest.mark.parametrize(
    ("said", "is_aware", "reason"),
    [
        (
            witnesses(OPEN_MPI, open_mpi(0)),
            False,
            "Open MPI says MPIX_Query_cuda_support() = 0",
        ),
        (
            witnesses(OPEN_MPI, open_mpi(1)),
            True,
            "Open MPI says MPIX_Query_cuda_support() = 1",
        ),
        (
            witnesses(OPEN_MPI, SimpleNamespace()),
            False,
            "Open MPI has no MPIX_Query_cuda_support()",
        ),
        (
            witnesses(OPEN_MPI, None),
            False,
            "Open MPI has no MPIX_Query_cuda_support()",
        ),
        (
            witnesses(MPICH, mpich(0)),
            False,
            "MPICH says MPIX_GPU_query_support(CUDA) = 0",
        ),
        (
            witnesses(MPICH, mpich(1)),
            True,
            "MPICH says MPIX_GPU_query_support(CUDA) = 1",
        ),
        (
            witnesses(MPICH, mpich(1, code=13)),
            False,
            "MPICH says MPIX_GPU_query_support(CUDA) = 1, error 13",
        ),
        # An answer of the other family's function counts for nothing.
        (
            witnesses(MPICH, open_mpi(1)),
            False,
            "MPICH has no MPIX_GPU_query_support()",
        ),
        (
            witnesses("Intel(R) MPI Library 2021.13", mpich(1)),
            False,
            "Intel(R) MPI Library 2021.13 cannot be asked about GPU memory",
        ),
        (
            witnesses(CRAY, mpich(1), environ=ENABLED),
            False,
            "Cray MPICH without libmpi_gtl_cuda in the process",
        ),
        (
            witnesses(CRAY, mpich(1), maps=GTL),
            False,
            "Cray MPICH without MPICH_GPU_SUPPORT_ENABLED=1",
        ),
        (
            witnesses(CRAY, mpich(0), environ=ENABLED, maps=GTL),
            True,
            "Cray MPICH with MPICH_GPU_SUPPORT_ENABLED=1 and libmpi_gtl_cuda",
        ),
        # The modules of the site are loaded, and another MPI runs.
        (
            witnesses(OPEN_MPI, open_mpi(0), environ=ENABLED, maps=GTL),
            False,
            "Open MPI says MPIX_Query_cuda_support() = 0",
        ),
        (
            witnesses(OPEN_MPI, open_mpi(0), kinds="system,cuda:host:device,mpi"),
            True,
            "mpi_memory_alloc_kinds = system,cuda:host:device,mpi",
        ),
        (
            witnesses(MPICH, mpich(0), kinds="mpi, cuda"),
            True,
            "mpi_memory_alloc_kinds = mpi, cuda",
        ),
        (
            witnesses(OPEN_MPI, open_mpi(1), kinds="mpi,system,cuda:host"),
            True,
            "Open MPI says MPIX_Query_cuda_support() = 1",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_first_that_knows_is_believed(said, is_aware, reason):
    assert judge(said) == Finding(is_aware, reason)


def never():
    raise AssertionError("nobody should have asked")


YES, NO = Finding(True, "it says yes"), Finding(False, "it says no")


@pytest.mark.parametrize(
    ("option", "finding", "way"),
    [
        ("auto", YES, Way("direct", "it says yes")),
        ("auto", NO, Way("staged", "it says no")),
        ("on", NO, Way("direct", "--gpu-direct on; it says no")),
        ("off", None, Way("staged", "--gpu-direct off")),
    ],
)
def test_option_and_finding_decide(option, finding, way):
    ask = never if finding is None else lambda: finding
    assert choose_way(option, ask, is_host=False) == way
    assert choose_way(option, never, is_host=True) == Way("host")


@pytest.fixture
def agree(monkeypatch):
    """Agree with other ranks that say what they say, as the last rank."""

    def with_others(backend, option, *others):
        def gather(world, text):
            return [*others, text]

        monkeypatch.setattr(agreement, "gather_texts", gather)
        monkeypatch.setattr(agreement, "detect", lambda environ: NO)
        return agree_on_transfer(None, backend, option, {})

    return with_others


def test_hosts_say_nothing_and_send_long_messages(agree):
    agreed = agree(NumpyBackend(), "on", "host ", "host ")
    assert agreed.terms == TransferTerms(is_direct=False, chunk_bytes=CHUNK_BYTES)
    assert agreed.lines == ()


def test_one_rank_that_stages_makes_all_messages_short(agree):
    for backend, option, other in (
        (NumpyBackend(), "auto", "staged it says no"),
        (DeviceDouble(), "auto", "host "),
    ):
        agreed = agree(backend, option, other)
        assert agreed.terms == TransferTerms(False, STAGED_CHUNK_BYTES)
        assert agreed.lines == ("vectors travel through host memory: it says no",)


def test_ranks_are_named_where_they_differ(agree):
    others = ("host ", "direct it says yes", "direct it says yes")
    agreed = agree(DeviceDouble(), "off", *others)
    assert agreed.terms == TransferTerms(False, STAGED_CHUNK_BYTES)
    assert agreed.lines == (
        "vectors travel from and to GPU memory on 2 ranks, the first is 1: it says yes",
        "vectors travel through host memory on rank 3: --gpu-direct off",
    )


def test_direct_ranks_send_long_messages(agree):
    agreed = agree(DeviceDouble(), "on", "host ")
    assert agreed.terms == TransferTerms(True, CHUNK_BYTES)


class OldWorld:
    def Get_info(self):
        raise NotImplementedError("MPI_Comm_get_info")


def test_detection_goes_on_without_what_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setattr(gpu_direct, "_MAPS", tmp_path / "none")
    monkeypatch.setattr(gpu_direct.MPI, "__file__", str(tmp_path / "none.so"))
    monkeypatch.setattr(gpu_direct.MPI, "COMM_WORLD", OldWorld())
    finding = gpu_direct.detect({})
    assert not finding.is_aware
    assert finding.reason
