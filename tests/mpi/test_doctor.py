"""``stsyn-mpi doctor`` under a real mpirun, and where launcher and MPI do not fit."""

import json
import os
import subprocess
import sys

import pytest
from real_jobs import WAIT_S, Job

from stsyn_mpi.arrays import count_gpus
from stsyn_mpi.mpi.launch import find_mpirun, mpirun_command, rank_argv

pytestmark = pytest.mark.mpi

ITEMS = [
    *("MPI library", "world", "software", "threads", "dead ranks"),
    *("cores", "BLAS threads", "GPUs", "single copy", "latency", "bandwidth"),
    *("clocks", "GPU memory", "above 2 GiB", "run files", "locks", "live reading"),
]


def doctor(folder, *options, **variables):
    """Run ``stsyn-mpi doctor`` as a user does, outside of a launcher."""
    command = [sys.executable, "-P", "-m", "stsyn_mpi", "doctor", *map(str, options)]
    return subprocess.run(
        command,
        env={**os.environ, **variables},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )


def test_it_starts_ranks_and_says_one_line_a_thing(tmp_path):
    done = doctor(tmp_path, "-M", 2)
    assert done.returncode == 0, done.stderr
    items = [line[8:].partition(": ")[0] for line in done.stdout.splitlines()]
    assert [item for item in items if not item.startswith("host ")] == ITEMS
    assert "world: 3 ranks on 1 host, started by " in done.stdout
    assert "BLAS threads: 1 in each rank" in done.stdout
    assert list((tmp_path / "runs").iterdir()) == []


@pytest.mark.once
def test_json_is_all_that_stands_on_standard_output(tmp_path):
    command, environment = mpirun_command(
        find_mpirun(), 4, rank_argv(["doctor", "--json", "--blas-threads", "1"])
    )
    job = Job(command, environment, tmp_path)
    try:
        assert job.wait() == 0, job.errors
    finally:
        job.end()
    verdicts = json.loads(job.output)["verdicts"]
    found = {verdict["item"]: verdict["found"] for verdict in verdicts}
    assert "rank 3 cores" in found[next(i for i in found if i.startswith("host "))]
    assert found["latency"].endswith(" us")


@pytest.mark.once
def test_more_workers_than_cores_are_told_and_strict_fails(tmp_path):
    n_workers = len(os.sched_getaffinity(0)) + 1
    done = doctor(tmp_path, "-M", n_workers, "--strict")
    assert f"{n_workers} threads compute on {n_workers - 1} cores" in done.stdout
    assert done.returncode == 1


@pytest.mark.once
@pytest.mark.skipif(count_gpus()[0] > 0, reason="there are GPUs")
@pytest.mark.parametrize(
    ("gpu_direct", "words"),
    [
        ("auto", "vectors travel through host memory: "),
        ("off", "vectors travel through host memory: --gpu-direct off"),
        ("on", "MPI takes it, checked by transfers of root's and workers' vectors"),
    ],
)
def test_gpus_are_mapped_and_their_memory_sent(
    tmp_path, stand_in_path, gpu_direct, words
):
    stand_in = {"PYTHONPATH": stand_in_path, "STAND_IN_DEVICES": "2"}
    options = ("-M", 3, "--device", "gpu", "--gpu-direct", gpu_direct)
    done = doctor(tmp_path, *options, "--root-device", "gpu", **stand_in)
    assert done.returncode == 0, done.stderr
    assert "ranks 0,2 of " in done.stdout
    assert "share one GPU" in done.stdout
    assert f"GPU memory: {words}" in done.stdout


def test_singletons_are_recognised_and_explained(tmp_path):
    """A launcher of another MPI leaves each rank alone, with variables of its own."""
    foreign = "PMI" if find_mpirun().flavour == "openmpi" else "OMPI_COMM_WORLD"
    answers = [
        doctor(tmp_path, **{f"{foreign}_SIZE": "3", f"{foreign}_RANK": str(rank)})
        for rank in (0, 1)
    ]
    (told, silent) = answers
    assert told.returncode == 1
    assert told.stdout.startswith("FAILURE world: 3 ranks were started, but each sees")
    assert told.stdout.count("\n") == 1
    assert silent.stdout == ""


@pytest.mark.once
def test_a_stray_module_of_the_folder_is_not_what_reads(tmp_path):
    (tmp_path / "h5py.py").write_text("raise SystemExit(5)")
    done = doctor(tmp_path, "-M", 1)
    assert "OK      live reading: a committed round is seen" in done.stdout


MANY_CORES = """import os
os.sched_getaffinity = lambda pid: set(range(0, 512, 2))
"""


@pytest.mark.once
def test_ranks_of_nodes_with_very_many_cores(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(MANY_CORES)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = doctor(tmp_path, "-M", 1, PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    assert "508,510 cpu" in done.stdout


FAILING_RANK = """import os
if os.environ.get("OMPI_COMM_WORLD_RANK", os.environ.get("PMI_RANK", "-")) == "{rank}":
    del os.sched_getaffinity
"""


@pytest.mark.parametrize("rank", ["0", "1", "2"])
def test_a_rank_that_fails_ends_the_others(tmp_path, rank):
    (tmp_path / "sitecustomize.py").write_text(FAILING_RANK.format(rank=rank))
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = doctor(tmp_path, "-M", 2, PYTHONPATH=path)
    assert done.returncode != 0
    assert f"rank {rank} on " in done.stderr
    assert "has no attribute 'sched_getaffinity'" in done.stderr


FAILING_RANKS = """import os
if "OMPI_COMM_WORLD_RANK" in os.environ or "PMI_RANK" in os.environ:
    del os.sched_getaffinity
"""


@pytest.mark.once
def test_ranks_that_all_fail_are_no_success(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(FAILING_RANKS)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = doctor(tmp_path, "-M", 2, PYTHONPATH=path)
    assert done.returncode == 1
    assert "has no attribute 'sched_getaffinity'" in done.stderr


POOR_RANK = """import os, resource
if "1" in (os.environ.get("OMPI_COMM_WORLD_RANK"), os.environ.get("PMI_RANK")):
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
"""


@pytest.mark.once
def test_too_little_memory_for_a_large_vector_is_a_warning(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(POOR_RANK)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = doctor(tmp_path, "-M", 2, "--large", PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    assert "WARNING above 2 GiB: rank 1 has no room for a vector" in done.stdout
    assert "OK      live reading: " in done.stdout


@pytest.mark.once
def test_what_cannot_be_had_is_one_line(tmp_path):
    for options in (["-M", 0], ["--device", "tpu"]):
        done = doctor(tmp_path, *options)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
