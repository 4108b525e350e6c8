"""Every script that is shipped or written: shellcheck, directives, and a run of it.

The run has the variables of the scheduler and no others, and in the place of the site's
launcher, which cannot be had here, a stand-in that records how it is called.
"""

import re
import shlex
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from batch_directives import complaints
from batch_scripts import Machine
from killed_runs import write_killed
from synthetic_run import write_run

from stsyn_mpi.api import simulate
from stsyn_mpi.cluster.sites import load_sites

JOBS = Path(__file__).parents[3] / "jobs"
SHIPPED = sorted([*JOBS.glob("*.pbs"), *JOBS.glob("*.sbatch"), *JOBS.glob("*.sh")])
KINDS = {
    "gpu": ("--gpus-per-node", 1),
    "cpu": ("--workers-per-node", 3),
    "own-chain": ("--gpus-per-node", 1, "--root-on", "own", "--chain"),
}
PROJECT = ("--account", "xy12", "--walltime", "01:00:00", "--venv", "stand-ins/..")
SUFFIX = {"pbs": ".pbs", "slurm": ".sbatch"}


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A run file whose run is done."""
    path = tmp_path_factory.mktemp("finished") / "run.h5"
    delay = "exponential:mean=1s"
    options = {"workers": 2, "rounds": 2, "model": "softmax", "delay": delay}
    return simulate(**options, out=str(path))


@pytest.fixture
def machine(folder, finished):
    return Machine(folder, finished)


@pytest.fixture(params=[(n, k) for n in load_sites() for k in KINDS], ids="-".join)
def written(request, job, folder):
    """A script that the command writes: site, kind and path."""
    name, kind = request.param
    scheduler = load_sites()[name].scheduler
    script = folder / f"job{SUFFIX[scheduler]}"
    options = (*KINDS[kind], *PROJECT, "--site", name, "--nodes", 3, "--out", script)
    code, _, err = job(scheduler, "run.toml", *options)
    assert code == 0, err
    return name, kind, script


def check_text(script):
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    if script.suffix != ".sh":
        assert complaints(script.read_text()) == []
    if shutil.which("shellcheck") is None:
        pytest.skip("no shellcheck (Debian package shellcheck)")
    checked = subprocess.run(
        ["shellcheck", script], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout


def test_texts_that_are_written(written):
    check_text(written[2])


@pytest.mark.parametrize("script", SHIPPED, ids=lambda path: path.name)
def test_texts_that_are_shipped(script):
    check_text(script)
    assert f" {script.relative_to(JOBS.parent)}" in script.read_text().split("\n\n")[0]


def test_scripts_that_are_written_run(written, machine):
    name, kind, script = written
    n_hosts, n_workers = (
        (4, 1) if kind == "own-chain" else (3, 3 if kind == "cpu" else 1)
    )
    found = machine.run(script, n_hosts)
    assert found.code == 0, found.output
    assert "runs/run.h5: done" in found.output
    check_places(found.places, n_hosts, n_workers, own=kind == "own-chain")
    check_started(found.started, load_sites()[name].launch, 3 * n_workers + 1)
    words = " ".join(found.started)
    assert f" train run.toml --device {'cpu' if kind == 'cpu' else 'gpu'} " in words
    assert (" --time-limit " in words) == (script.suffix == ".pbs")
    assert ("CUDA_VISIBLE_DEVICES" in words) == (name == "polaris" and kind != "cpu")
    assert (
        found.asked == asked_by_a_chain(script)
        if kind == "own-chain"
        else not found.asked
    )


def check_places(places, n_hosts, n_workers, own):
    hosts = [f"n{i + 1}.site.example" for i in range(n_hosts)]
    # Ranks in blocks: the root's host first, then the workers node by node.
    workers = [host for host in hosts[own:] for _ in range(n_workers)]
    assert places == [hosts[0], *workers]


def check_started(started, launch, n_ranks):
    """The launcher is that of the site, with as many ranks."""
    launcher = re.sub(r"^env( -u \w+)?( \w+=\S+)? ", "", launch)
    assert started[0] == launcher.split()[0]
    assert str(n_ranks) in started or f"--ntasks={n_ranks}" in started


def asked_by_a_chain(script):
    if script.suffix == ".pbs":
        before = "qsub -W depend=afterany:17.server -v STSYN_MPI_LINK=2"
        return [f"{before} {script}", "qdel 42"]
    before = "sbatch --parsable --dependency=afterany:17 --export=ALL,STSYN_MPI_LINK=2"
    return [f"{before} {script}", "scancel 42"]


@pytest.fixture
def shipped(folder, machine):
    """Put the folder of shipped scripts where a login node would have it."""
    shutil.copytree(JOBS, folder / "jobs")
    return machine


def made_by(script):
    """Return the arguments by which a shipped script was made; none by hand."""
    (line,) = [
        line
        for line in script.read_text().splitlines()
        if line.startswith("# Made by: ")
    ] or [""]
    return shlex.split(line.removeprefix("# Made by: stsyn-mpi job "))


@pytest.mark.parametrize(
    "script", [path for path in SHIPPED if made_by(path)], ids=lambda path: path.name
)
def test_shipped_scripts_are_what_the_command_writes(script, job, shipped, folder):
    copy = folder / "jobs" / script.name
    code, _, err = job(*made_by(script), "--force")
    assert code == 0, err
    assert copy.read_text() == script.read_text()


@pytest.mark.parametrize(
    "script", [path for path in SHIPPED if made_by(path)], ids=lambda path: path.name
)
def test_shipped_scripts_run(script, shipped, folder):
    arguments = made_by(script)
    n_nodes = int(arguments[arguments.index("--nodes") + 1])
    found = shipped.run(folder / "jobs" / script.name, n_nodes)
    assert found.code == 0, found.output
    # A host more often than the others: the root's.
    counts = Counter(found.places)
    assert len(counts) == n_nodes
    assert sorted(counts.values())[-1] == min(counts.values()) + 1
    assert found.places[0] == counts.most_common(1)[0][0]


@pytest.mark.parametrize("name", ["chain.pbs", "polaris.pbs", "cpu.sbatch"])
def test_the_doctor_goes_where_the_ranks_go(shipped, folder, name):
    found = shipped.run(folder / "jobs" / name, 2, STSYN_MPI_JOB="doctor")
    assert found.code == 0, found.output
    assert found.started[found.started.index("doctor") + 1] == "--device"
    # It looks at the folder of this run.
    assert found.started[-2:] == ["--out", "runs"]
    assert (len(set(found.places)), found.asked) == (2, [])


@pytest.mark.parametrize(
    ("launcher", "variables"),
    [
        ("PALS", {"PALS_RANKID": 2, "PALS_LOCAL_RANKID": 2}),
        ("mpirun", {"OMPI_COMM_WORLD_RANK": 2, "OMPI_COMM_WORLD_LOCAL_RANK": 2}),
        ("Hydra", {"PMI_RANK": 2, "MPI_LOCALRANKID": 2}),
        ("srun --mpi=pmi2", {"PMI_RANK": 2, "SLURM_LOCALID": 2}),
        ("srun --mpi=pmix", {"SLURM_PROCID": 2, "SLURM_LOCALID": 2}),
    ],
)
def test_ranks_of_every_launcher_are_bound(launcher, variables):
    binding = re.search(
        r"<<'END'\n(.*?)END\n", (JOBS / "polaris.pbs").read_text(), re.S
    )
    known = {"PATH": "/usr/bin:/bin", "root_host": "another", "gpus_per_node": "4"}
    known |= {"cores_per_worker": "8", "gpu_order": "reversed"}
    if launcher == "mpirun":
        known |= {"SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
    bound = subprocess.run(
        ["bash", "-c", binding[1], "binding", "printenv", "CUDA_VISIBLE_DEVICES"],
        env=known | {name: str(value) for name, value in variables.items()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (bound.stdout, bound.returncode) == ("1\n", 0), bound.stderr


def test_a_next_job_of_one_of_several_clusters_is_taken_back(shipped, folder):
    shipped.add("sbatch", "#!/bin/sh\necho '42;west'\n")
    found = shipped.run(folder / "jobs" / "chain.sbatch", 2)
    assert (found.code, found.asked) == (0, ["scancel 42"])


def test_a_job_with_other_nodes_than_it_says_starts_nothing(shipped, folder):
    found = shipped.run(folder / "jobs" / "gpu.pbs", 1)
    assert found.code == 2
    assert found.output.startswith("gpu.pbs: the job has 1 nodes, and n_nodes is 2")
    assert found.started == []


def test_a_run_that_is_done_is_left_alone(shipped, folder, finished):
    (folder / "runs").mkdir()
    shutil.copy(finished, folder / "runs" / "cluster.h5")
    found = shipped.run(folder / "jobs" / "chain.pbs", 2)
    assert (found.code, found.started, found.asked) == (0, [], [])
    assert found.output == "chain.pbs: runs/cluster.h5 is done\n"


def test_a_later_job_of_a_chain_resumes_and_a_failed_one_ends_it(shipped, folder):
    (folder / "runs").mkdir()
    (folder / "runs" / "cluster.h5").write_text("no run file")
    shipped.add("mpirun", f'#!/bin/sh\necho "$@" >{folder}/started\nexit 2\n')
    found = shipped.run(folder / "jobs" / "chain.pbs", 2, STSYN_MPI_LINK="50")
    # The last link submits no other; what is no run file is left to the command.
    assert (found.code, found.asked) == (2, [])
    found = shipped.run(folder / "jobs" / "chain.pbs", 2, STSYN_MPI_LINK="3")
    assert found.code == 2
    assert [line.split()[0] for line in found.asked] == ["qsub", "qdel"]


@pytest.mark.parametrize("name", ["chain.pbs", "chain.sbatch"])
@pytest.mark.parametrize(("code", "n_asked"), [(0, 1), (137, 2)])
def test_a_chain_ends_where_jobs_fail_before_the_first_round(
    shipped, folder, name, code, n_asked
):
    (folder / "runs").mkdir()
    write_killed(folder / "runs" / "cluster.h5", 6)
    for launcher in ("mpirun", "srun"):
        shipped.add(launcher, f"#!/bin/sh\nexit {code}\n")
    found = shipped.run(folder / "jobs" / name, 2)
    assert (found.code, len(found.asked)) == (code, n_asked), found.output
    ends = "no round was made, the chain ends" if code else "goes on in 42"
    assert f"{name}: {ends}\n" in found.output


@pytest.fixture
def by_hand(shipped, folder):
    """Scripts that start `stsyn-mpi train -M` themselves; it is what is recorded."""
    launcher = (shipped.bin / "mpirun").read_text()
    python = (shipped.bin / "stsyn-mpi").read_text().splitlines()[1]
    watching = f"#!/bin/bash\nif [[ $1 == watch ]]; then\n{python}\nfi\n"
    shipped.add("stsyn-mpi", watching + launcher)
    return shipped


@pytest.mark.parametrize("name", ["sweep.pbs", "sweep.sbatch"])
def test_sweeps_have_a_job_for_each_combination(by_hand, folder, name):
    script, seen = folder / "jobs" / name, set()
    array = re.search(r"(?:-J |--array=)0-(\d+)", script.read_text())
    n_jobs = int(array[1]) + 1
    for index in range(n_jobs):
        found = by_hand.run(script, 1, **array_index(script, index))
        assert found.code == 0, found.output
        words = found.started
        k, u, seed = (words[words.index(flag) + 1] for flag in ("-K", "-U", "--seed"))
        assert words[words.index("--out") + 1] == f"runs/sweep-K{k}-U{u}-seed{seed}.h5"
        assert f"runs/sweep-K{k}-U{u}-seed{seed}.h5: done" in found.output
        seen.add((k, u, seed))
    assert len(seen) == n_jobs
    (folder / "started").unlink()
    done = by_hand.run(script, 1, **array_index(script, 0))
    assert (done.code, done.started) == (0, [])
    beyond = by_hand.run(script, 1, **array_index(script, n_jobs))
    assert (beyond.code, beyond.started) == (2, [])
    assert "is too long" in beyond.output


def array_index(script, index):
    name = "PBS_ARRAY_INDEX" if script.suffix == ".pbs" else "SLURM_ARRAY_TASK_ID"
    return {name: str(index)}


def test_the_local_script_begins_goes_on_and_leaves_a_finished_run(by_hand, folder):
    script, run_file = folder / "jobs" / "local.sh", folder / "runs" / "local.h5"
    # It finds what it needs from the folder it is started in.
    found = by_hand.run(script, 1, cwd=folder)
    assert (found.code, found.started[-2:]) == (0, ["--out", "runs/local.h5"])
    run_file.unlink()
    write_killed(run_file, 6)
    found = by_hand.run(script, 1, cwd=folder)
    assert (found.code, found.started[-2:]) == (0, ["--resume", "runs/local.h5"])
    (folder / "started").unlink()
    run_file.unlink()
    write_run(run_file, 3)
    found = by_hand.run(script, 1, cwd=folder)
    assert (found.code, found.started) == (0, [])
    assert found.output == "local: runs/local.h5 is done\n"
