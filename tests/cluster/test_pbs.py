"""Scripts for PBS, submitted by qsub: that of Slurm, which knows no second chunk."""

import json
import re

import pytest

from stsyn_mpi.runfile.reader import open_run

pytestmark = [pytest.mark.mpi, pytest.mark.once]

# No scheduler of this kind deals out GPUs here; one chunk that all nodes have.
SITE = """
[two]
like = "generic-pbs"
chunk = "mpiprocs=3"
gpu-chunk = ""
request = []
cores-per-node = 2
gpu-order = "reversed"
"""


def texts(folder):
    return {path.name: path.read_text() for path in folder.glob("*.[oe][0-9]*")}


def test_a_job_of_one_node_runs_to_its_end(slurm, folder, options, job):
    options("rounds = 10")
    asked = ("--workers-per-node", 3, "--walltime", "5m", "--out", "one.pbs")
    job("pbs", "jobs/cluster.toml", *asked)
    number = slurm.submit(folder, "qsub", "one.pbs")
    assert slurm.wait(number) == "COMPLETED", texts(folder)
    assert texts(folder)[f"one.pbs.o{number}"] == "one.pbs: runs/cluster.h5: done\n"
    with open_run(folder / "runs" / "cluster.h5") as run:
        assert (run.state, run.n_workers) == ("done", 3)
        # A PBS job ends itself before the walltime.
        assert 200 < json.loads(run.attributes["config"])["time_limit"] <= 240


def test_the_script_binds_workers_to_gpus_in_reverse(
    slurm, folder, options, job, stand_in
):
    options("rounds = 10")
    (folder / "sites.toml").write_text(SITE)
    site = ("--sites", "sites.toml", "--site", "two")
    asked = ("--nodes", 2, "--gpus-per-node", 2, "--walltime", "5m", "--out", "two.pbs")
    job("pbs", "jobs/cluster.toml", *site, *asked)
    number = slurm.submit(folder, "qsub", "two.pbs", **stand_in(2))
    assert slurm.wait(number) == "COMPLETED", texts(folder)
    with open_run(folder / "runs" / "cluster.h5") as run:
        names = json.loads(run.attributes["devices"])
        places = [
            text.split()[0] for text in json.loads(run.attributes["device_ids"]) if text
        ]
    # Each worker sees one GPU, the last of the node first, and the root none.
    assert names[0].startswith("cpu")
    assert all(name.startswith("gpu 0") for name in names[1:])
    assert places == ["0000:02:00.0", "0000:01:00.0"] * 2


@pytest.mark.timeout(400)
def test_a_chain_goes_on_until_the_run_is_done(slurm, folder, options, job):
    # Rounds of 0.1 s: a single job of 12 s cannot make them all.
    options('delay = "constant:mean=20ms"', "rounds = 150")
    asked = ("--workers-per-node", 2, "--walltime", "5m", "--chain", "--out", "c.pbs")
    job("pbs", "jobs/cluster.toml", *asked)
    script = folder / "c.pbs"
    script.write_text(
        re.sub(r"^limit_s=\d+", "limit_s=12", script.read_text(), flags=re.M)
    )
    number, said = slurm.submit(folder, "qsub", "c.pbs"), []
    for _ in range(10):
        assert slurm.wait(number) == "COMPLETED", texts(folder)
        said.append(texts(folder)[f"c.pbs.o{number}"])
        if said[-1].endswith("c.pbs: runs/cluster.h5: done\n"):
            break
        number = re.search(r"goes on in (\d+)", said[-1])[1]
    assert len(said) > 1
    assert "link 2 of at most 50" in said[1]
    last = re.search(r"next: (\d+)", said[-1])[1]
    assert slurm.wait(last) == "CANCELLED"
    with open_run(folder / "runs" / "cluster.h5") as run:
        assert (run.state, run.n_rounds) == ("done", 150)
