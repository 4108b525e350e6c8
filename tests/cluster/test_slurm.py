"""Scripts for Slurm, under a real one: submitted, run, bound, ended and resumed."""

import json
import re

import pytest
from real_jobs import rounds_of, wait_until

from stsyn_mpi.runfile.reader import open_run

pytestmark = [pytest.mark.mpi, pytest.mark.once]

SLOW = ('delay = "constant:mean=20ms"', "checkpoint-every = 1.0")
ENDLESS = 1_000_000


def texts(folder):
    return {path.name: path.read_text() for path in folder.glob("*.log")}


def test_the_shipped_script_gives_each_worker_a_gpu(
    slurm, folder, options, stand_in, devices
):
    options("rounds = 10")
    job = slurm.submit(folder, "sbatch", "jobs/gpu.sbatch", **stand_in(4))
    assert slurm.wait(job) == "COMPLETED", texts(folder)
    with open_run(folder / "runs" / "cluster.h5") as run:
        assert run.state == "done"
        gpus = [f"gpu {i}" for i in range(4)]
        assert devices(run) == ["cpu", *gpus, *gpus]
        hosts = json.loads(run.attributes["hosts"])
    # The ranks of a node follow one another, and the root is on the first.
    assert hosts == [hosts[0]] * 5 + [hosts[-1]] * 4


def test_the_doctor_sees_the_nodes_of_the_job(slurm, folder, stand_in):
    variables = stand_in(4) | {"STSYN_MPI_JOB": "doctor"}
    job = slurm.submit(folder, "sbatch", "jobs/gpu.sbatch", **variables)
    slurm.wait(job)
    (text,) = texts(folder).values()
    assert re.search(r"world: 9 ranks on 2 hosts, started by srun", text), text
    assert len(re.findall(r"host n?[12]?.*: rank \d .*gpu 3", text)) == 2, text


@pytest.mark.parametrize("site", ["generic-slurm", "slurm-mpirun"])
def test_a_root_of_its_own_node(slurm, folder, options, job, site):
    options("rounds = 10")
    options_of_job = ("--workers-per-node", 3, "--root-on", "own", "--walltime", "5m")
    job("slurm", "jobs/cluster.toml", *options_of_job, "--site", site, "--out", "x")
    number = slurm.submit(folder, "sbatch", "x")
    assert slurm.wait(number) == "COMPLETED", texts(folder)
    with open_run(folder / "runs" / "cluster.h5") as run:
        assert run.state == "done"
        hosts = json.loads(run.attributes["hosts"])
    assert hosts[1:] == [hosts[1]] * 3
    nodes = slurm.ask("scontrol", "--oneliner", "show", "job", number)
    assert " NumNodes=2 " in nodes


@pytest.mark.timeout(400)
def test_a_chain_goes_on_after_its_walltime_and_after_a_kill(
    slurm, folder, options, stand_in
):
    options(*SLOW, f"rounds = {ENDLESS}")
    path = folder / "runs" / "cluster.h5"
    first = slurm.submit(folder, "sbatch", "jobs/chain.sbatch", **stand_in(4))
    wait_until(lambda: rounds_of(path) > 5, "the first job")
    # Its walltime is near now, and so is the warning before it.
    slurm.ask("scontrol", "update", f"JobId={first}", "TimeLimit=2")
    assert slurm.wait(first) == "COMPLETED", texts(folder)
    second, text = next_of(folder, first)
    assert f"runs/cluster.h5: stopped\nchain.sbatch: goes on in {second}\n" in text
    stopped_at = rounds_of(path)
    wait_until(lambda: rounds_of(path) > stopped_at + 10, "the second job")
    # The third job has less to do: how many rounds a run has may change.
    n_rounds = rounds_of(path) + 50
    options(*SLOW, f"rounds = {n_rounds}")
    slurm.kill_script(second, "n1")
    assert slurm.wait(second) == "FAILED"
    third, text = next_of(folder, second)
    assert "runs/cluster.h5: " not in text
    assert slurm.wait(third) == "COMPLETED", texts(folder)
    fourth, text = next_of(folder, third)
    assert re.search(r"round [1-9]\d* begins", text), text
    assert text.endswith("chain.sbatch: runs/cluster.h5: done\n")
    assert slurm.wait(fourth) == "CANCELLED"
    with open_run(path) as run:
        assert (run.state, run.n_rounds) == ("done", n_rounds)


def next_of(folder, job):
    """Return the job that follows one in the chain, and what that one said."""
    text = texts(folder)[f"cluster.{job}.log"]
    return re.search(r"link \d of at most 50; next: (\d+)", text)[1], text


def test_an_array_makes_its_combinations(slurm, folder, options):
    options("rounds = 5")
    job = slurm.submit(folder, "sbatch", "--array=0,11", "jobs/sweep.sbatch")
    assert slurm.wait(job) == "COMPLETED", texts(folder)
    runs = sorted((folder / "runs").glob("*.h5"))
    assert [path.name for path in runs] == [
        "sweep-K1-U5-seed1.h5",
        "sweep-K8-U10-seed2.h5",
    ]
    found = []
    for path in runs:
        with open_run(path) as run:
            config = json.loads(run.attributes["config"])
            found.append((run.state, config["wait_for"], config["seed"]))
    assert found == [("done", 1, 1), ("done", 8, 2)]


def test_slurm_takes_the_directives_of_every_shipped_script(slurm, folder):
    for script in sorted((folder / "jobs").glob("*.sbatch")):
        slurm.ask("sbatch", "--test-only", script)
