"""Roles from the environment, launchers, command lines, exit codes."""

import os
import stat
import sys
from pathlib import Path

import pytest
from synthetic_run import write_run

from stsyn_mpi.errors import InputError
from stsyn_mpi.mpi import job, launch
from stsyn_mpi.mpi.launch import Mpirun, identify_mpirun, mpirun_command
from stsyn_mpi.mpi.supervisor import Ending


@pytest.mark.parametrize(
    ("environ", "launched", "size", "rank"),
    [
        ({}, False, None, None),
        ({"OMPI_COMM_WORLD_SIZE": "9", "OMPI_COMM_WORLD_RANK": "3"}, True, 9, 3),
        ({"PMI_SIZE": "4", "PMI_RANK": "0"}, True, 4, 0),
        ({"PMIX_RANK": "2", "SLURM_STEP_NUM_TASKS": "5"}, True, 5, 2),
        ({"PMIX_RANK": "2"}, True, None, 2),
        # A batch script is task 0 of Slurm, and no rank of anything.
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "9"}, False, None, None),
    ],
)
def test_roles_come_from_the_environment(environ, launched, size, rank):
    assert launch.launched_by_mpi(environ) is launched
    assert launch.expected_world_size(environ) == size
    assert launch.rank_in(environ) == rank


@pytest.mark.parametrize(
    ("environ", "size"),
    [
        ({}, None),
        ({"OMPI_COMM_WORLD_LOCAL_SIZE": "3", "OMPI_COMM_WORLD_SIZE": "9"}, 3),
        ({"MPI_LOCALNRANKS": "2"}, 2),
    ],
)
def test_launchers_say_how_many_ranks_a_node_has(environ, size):
    assert launch.local_size_in(environ) == size


def test_tasks_without_an_mpi_between_them_are_refused():
    launch.check_single_process({"SLURM_STEP_NUM_TASKS": "1"})
    launch.check_single_process({"SLURM_STEP_NUM_TASKS": "4", "PMI_RANK": "1"})
    with pytest.raises(InputError, match="srun started 4 tasks"):
        launch.check_single_process({"SLURM_STEP_NUM_TASKS": "4"})


@pytest.mark.parametrize("environ", [{"SLURM_STEP_NUM_TASKS": "4"}, {"PMI_RANK": "0"}])
def test_what_is_one_process_is_refused_in_several(environ):
    launch.check_outside_launcher({"SLURM_STEP_NUM_TASKS": "1"}, "this is one")
    with pytest.raises(InputError, match="this is one: start it without a launcher"):
        launch.check_outside_launcher(environ, "this is one")


def fake_mpirun(folder: Path, answer: str) -> Path:
    path = folder / "mpirun"
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.mark.parametrize(
    ("answer", "flavour", "version", "has_ulfm"),
    [
        ("mpirun (Open MPI) 5.0.11\n\nReport bugs", "openmpi", (5, 0, 11), True),
        ("mpirun (Open MPI) 4.1.4", "openmpi", (4, 1, 4), False),
        ("HYDRA build details:\n    Version:      5.0.2", "mpich", (5, 0, 2), False),
        (
            "Intel(R) MPI Library for Linux* OS, Version 2021.13 Build 2024",
            "intel",
            (2021, 13),
            False,
        ),
        ("aprun", "other", (), False),
    ],
)
def test_launchers_are_told_apart(tmp_path, answer, flavour, version, has_ulfm):
    mpirun = identify_mpirun(fake_mpirun(tmp_path, answer))
    assert (mpirun.flavour, mpirun.version, mpirun.has_ulfm) == (
        flavour,
        version,
        has_ulfm,
    )


def test_launcher_beside_python_comes_first(tmp_path, monkeypatch):
    for name, version in (("venv", "5.0.1"), ("site", "4.0.1")):
        (tmp_path / name).mkdir()
        fake_mpirun(tmp_path / name, f"mpirun (Open MPI) {version}")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv" / "python"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'site'}{os.pathsep}{os.environ['PATH']}")
    assert launch.find_mpirun().version == (5, 0, 1)
    (tmp_path / "venv" / "mpirun").unlink()
    assert launch.find_mpirun().version == (4, 0, 1)


def test_no_launcher_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"stsyn-mpi\[mpi\]"):
        launch.find_mpirun()


@pytest.mark.parametrize(
    ("version", "ulfm", "expected"),
    [((5, 0, 11), True, True), ((5, 0, 11), False, False), ((4, 1, 4), True, False)],
)
def test_open_mpi_command(monkeypatch, version, ulfm, expected):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    mpirun = Mpirun(Path("/x/mpirun"), "openmpi", version)
    command, environment = mpirun_command(
        mpirun, 9, ["prog", "-n"], ulfm, blas_threads=2, variables={"RUN": "a b"}
    )
    assert command[0] == "/x/mpirun"
    assert command[-2:] == ["prog", "-n"]
    assert command[command.index("-n") + 1] == "9"
    assert {"--oversubscribe", "--allow-run-as-root"} <= set(command)
    assert ("--with-ft" in command) is expected
    assert {"OMP_NUM_THREADS=2", "RUN=a b"} <= set(command)
    assert environment["OPENBLAS_NUM_THREADS"] == "2"
    assert environment["RUN"] == "a b"
    assert environment["PATH"] == os.environ["PATH"]


def test_root_is_allowed_only_where_it_is_root(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    command, _ = mpirun_command(Mpirun(Path("m"), "openmpi", (5,)), 2, ["p"])
    assert "--allow-run-as-root" not in command


def test_mpich_needs_no_flags():
    command, environment = mpirun_command(Mpirun(Path("m"), "mpich", (5,)), 2, ["p"])
    assert command == ["m", "-n", "2", "p"]
    assert environment["MKL_NUM_THREADS"] == "1"


def test_ranks_get_the_arguments_unchanged():
    arguments = ["train", "a b.toml", "--delay", "exponential:mean=20ms"]
    argv = launch.rank_argv(arguments)
    assert argv[0] == sys.executable
    assert argv[-len(arguments) - 2 :] == ["-m", "stsyn_mpi", *arguments]


@pytest.mark.parametrize(
    ("launcher_code", "state", "expected"),
    [
        (0, "done", 0),
        (1, "done", 0),
        (137, "stopped", 0),
        (1, "interrupted", 0),
        (0, "failed", 1),
        (0, "running", 1),
        (0, "lost", 3),
        (2, "running", 2),
        (0, InputError("unreadable"), 1),
    ],
)
def test_exit_code_is_the_state_of_the_run(monkeypatch, launcher_code, state, expected):
    from stsyn_mpi.runfile import reader

    def read_state(path):
        if isinstance(state, Exception):
            raise state
        return state

    monkeypatch.setattr(reader, "read_state", read_state)
    assert job.exit_code(launcher_code, Path("run.h5")) == expected


BROKEN = Ending(137, "the launcher ended with code 137 (SIGKILL)")
EARLY = Ending(1, "the launcher ended with code 1", had_begun=False)
FORCED = Ending(137, "not all ranks left when the run was over", was_forced=True)


@pytest.mark.parametrize(
    ("code", "ending", "state", "said"),
    [
        (0, BROKEN, "done", None),
        (2, BROKEN, None, None),
        (3, BROKEN, "lost", None),
        (1, BROKEN, "failed", None),
        *(
            (
                1,
                ending,
                "failed",
                f"the job broke off: {ending.cause}; 3 rounds are in run.h5; "
                "to go on: stsyn-mpi train --resume run.h5",
            )
            for ending in (EARLY, FORCED)
        ),
        (0, FORCED, "done", f"{FORCED.cause}: the job was ended"),
        (1, BROKEN, None, f"the job broke off: {BROKEN.cause}; it wrote no run file"),
        (
            1,
            BROKEN,
            "running",
            f"the job broke off: {BROKEN.cause}; 3 rounds are in run.h5; "
            "to go on: stsyn-mpi train --resume run.h5",
        ),
    ],
)
def test_the_last_line_is_of_a_job_that_broke_off(
    tmp_path, monkeypatch, code, ending, state, said
):
    monkeypatch.chdir(tmp_path)
    path = Path("run.h5")
    if state is not None:
        write_run(path, n_rounds=3, state=state)
    line = job.last_line(code, ending, path if state is not None else None)
    assert line == said


def test_the_last_line_names_a_file_that_cannot_be_read(tmp_path):
    path = tmp_path / "run.h5"
    path.write_bytes(b"torn")
    line = job.last_line(1, BROKEN, path)
    assert line.startswith(f"the job broke off: {BROKEN.cause}; {path} is no HDF5")


@pytest.mark.parametrize(
    ("code", "expected"), [(0, 1), (1, 1), (2, 2), (3, 3), (137, 1)]
)
def test_without_a_run_file_the_launcher_decides(code, expected):
    assert job.exit_code(code, None) == expected
