"""``stsyn-mpi job``: what it writes, submits and refuses."""

import json
import re
import subprocess

import pytest

SMALL = ("--walltime", "02:00:00", "--gpus-per-node", 4)
PBS = ("pbs", "run.toml", *SMALL)


def directives(path):
    return [line for line in path.read_text().splitlines() if line.startswith("#PBS")]


def test_it_writes_a_script_and_says_how_to_submit_it(job, folder):
    code, out, err = job(*PBS, "--nodes", 4, "--site", "polaris", "--account", "abc")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "run.pbs: 4 nodes, 16 workers and the root, run file runs/run.h5",
        "look at its head, then: qsub run.pbs",
    ]
    assert directives(folder / "run.pbs") == [
        "#PBS -N run",
        "#PBS -A abc",
        "#PBS -q debug",
        "#PBS -l select=4:system=polaris",
        "#PBS -l walltime=02:00:00",
        "#PBS -l place=scatter",
        "#PBS -l filesystems=home:eagle",
        "#PBS -j oe",
    ]


@pytest.mark.parametrize(
    ("scheduler", "line"), [("pbs", "#PBS -r n"), ("slurm", "#SBATCH --no-requeue")]
)
def test_a_job_of_a_chain_is_not_begun_again_by_the_scheduler(
    job, folder, scheduler, line
):
    """It would submit a second next job, and both would write the run file."""
    for options, is_there in (((), False), (("--chain", "--force"), True)):
        assert job(scheduler, "run.toml", *SMALL, "--out", "script", *options)[0] == 0
        assert (line in (folder / "script").read_text().splitlines()) == is_there


@pytest.mark.parametrize("account", ["PROJECT42", "MYPROJECT"])
def test_a_project_of_any_name_is_asked_for(job, folder, account):
    assert job(*PBS, "--site", "gadi", "--account", account)[0] == 0
    lines = directives(folder / "run.pbs")
    assert f"#PBS -P {account}" in lines
    assert f"#PBS -l storage=scratch/{account}" in lines


@pytest.mark.parametrize("wrong", ["{nodes[0]}", "{colour}", "{}", "{nodes.real.x}"])
def test_a_placeholder_that_there_is_not_is_one_line(job, folder, wrong):
    site = f'[a]\nlike = "generic-pbs"\nrequest = ["-l x={wrong}"]\n'
    (folder / "sites.toml").write_text(site)
    code, _, err = job(*PBS, "--sites", "sites.toml", "--site", "a")
    assert (code, err.count("\n")) == (2, 1)
    assert "placeholders are {nodes}" in err
    assert not (folder / "run.pbs").exists()


@pytest.mark.parametrize(
    ("options", "select"),
    [
        (("--nodes", 1), "1:ncpus=17:mpiprocs=5:ngpus=4"),
        (
            ("--nodes", 4),
            "1:ncpus=17:mpiprocs=5:ngpus=4+3:ncpus=16:mpiprocs=4:ngpus=4",
        ),
        (
            ("--nodes", 4, "--root-on", "own"),
            "1:ncpus=1:mpiprocs=1+4:ncpus=16:mpiprocs=4:ngpus=4",
        ),
        (
            ("--nodes", 2, "--workers-per-node", 2, "--cores-per-worker", 6),
            "1:ncpus=13:mpiprocs=3:ngpus=4+1:ncpus=12:mpiprocs=2:ngpus=4",
        ),
    ],
)
def test_the_root_gets_a_rank_and_a_core_but_no_gpu(job, folder, options, select):
    assert job(*PBS, *options)[0] == 0
    assert f"#PBS -l select={select}" in directives(folder / "run.pbs")


def test_a_site_without_select_gets_totals(job, folder):
    job(*PBS, "--nodes", 2, "--site", "gadi", "--account", "xy12")
    assert directives(folder / "run.pbs")[1:7] == [
        "#PBS -P xy12",
        "#PBS -q gpuvolta",
        "#PBS -l ncpus=96",
        "#PBS -l mem=380GB",
        "#PBS -l ngpus=8",
        "#PBS -l walltime=02:00:00",
    ]


def test_on_cores(job, folder):
    options = ("--workers-per-node", 8, "--cores-per-worker", 2, "--walltime", "90m")
    code, out, _ = job("slurm", "run.toml", "--nodes", 2, *options)
    assert code == 0
    assert "2 nodes, 16 workers and the root" in out
    assert "no --account was given" in out
    text = (folder / "run.sbatch").read_text()
    assert "#SBATCH --ntasks-per-node=9\n#SBATCH --cpus-per-task=2\n" in text
    assert "#SBATCH --time=01:30:00\n#SBATCH --signal=B:USR1@120\n" in text
    assert "gres" not in text
    assert "options=(--device cpu --blas-threads 2)" in text


def test_json_says_the_same(job, folder):
    code, out, _ = job(
        *PBS, "--nodes", 2, "--root-on", "own", "--json", "--out", "a.sh"
    )
    assert code == 0
    assert json.loads(out) == {
        "script": "a.sh",
        "scheduler": "pbs",
        "site": "generic-pbs",
        "nodes": 3,
        "workers": 8,
        "ranks": 9,
        "gpus_per_node": 4,
        "walltime_s": 7200,
        "run_file": "runs/run.h5",
        "job": None,
    }
    assert (folder / "a.sh").stat().st_mode & 0o100


def test_everything_is_quoted(job, folder):
    """Names that a shell would take for commands arrive as they are."""
    evil = "a b$(touch hacked)'`touch hacked`;touch hacked #.toml"
    options = (folder / "run.toml").read_text()
    (folder / evil).write_text(f'{options}out = "runs/$(touch hacked) x.h5"\n')
    code, _, err = job("pbs", evil, *SMALL, "--out", f"{evil}.pbs", "--venv", "/v $(x)")
    assert code == 0, err
    script = (folder / f"{evil}.pbs").read_text()
    head = re.search(r"^script=.*?^prepare\(\) {\n.*?\n}", script, re.M | re.S)[0]
    show = '\nprintf "%s\\n" "$script" "$config" "$run_file"; prepare; echo "$PATH"'
    said = subprocess.run(
        ["bash", "-c", head + show], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert said[:3] == [f"{evil}.pbs", evil, "runs/$(touch hacked) x.h5"]
    assert said[3].startswith("/v $(x)/bin:")
    assert "#PBS -N a-b-touch-hacke\n" in script
    assert not (folder / "hacked").exists()


@pytest.fixture
def scheduler(folder, monkeypatch):
    """Put a command on PATH that stands for qsub or sbatch."""
    monkeypatch.setenv("PATH", f"{folder}/bin:/usr/bin:/bin")

    def add(name, says, code=0):
        (folder / "bin").mkdir(exist_ok=True)
        path = folder / "bin" / name
        path.write_text(f'#!/bin/sh\necho "$@" >>{folder}/asked\n{says}\nexit {code}\n')
        path.chmod(0o755)

    return add


def test_submit_prints_the_number_of_the_job(job, folder, scheduler):
    scheduler("qsub", "echo 123.server")
    scheduler("sbatch", "echo '77;cluster'")
    assert job(*PBS, "--submit")[1].splitlines()[-1] == "submitted as 123.server"
    code, out, _ = job("slurm", "run.toml", *SMALL, "--submit", "--json")
    assert code == 0
    assert json.loads(out)["job"] == "77"
    assert (folder / "asked").read_text() == "run.pbs\n--parsable run.sbatch\n"


def test_what_the_scheduler_refuses_is_told(job, folder, scheduler):
    scheduler("qsub", "echo 'qsub: Unknown queue' >&2", code=170)
    code, _, err = job(*PBS, "--submit")
    assert code == 1
    assert "qsub did not take 'run.pbs', which was written: qsub: Unknown queue" in err
    assert (folder / "run.pbs").exists()


def test_without_a_scheduler_nothing_is_written(job, folder, monkeypatch):
    monkeypatch.setenv("PATH", str(folder))
    code, _, err = job(*PBS, "--submit")
    assert code == 2
    assert "--submit: no qsub on PATH; submit the script on a login node" in err
    assert not (folder / "run.pbs").exists()


def test_a_script_is_overwritten_by_force_alone(job, folder):
    (folder / "run.pbs").write_text("mine")
    code, _, err = job(*PBS)
    assert code == 2
    assert "--out 'run.pbs' exists; --force overwrites it" in err
    assert (folder / "run.pbs").read_text() == "mine"
    assert job(*PBS, "--force")[0] == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--site", "polarsi"), "unknown site 'polarsi'"),
        (("--site", "polarsi"), "did you mean 'polaris'?"),
        (("--site", "generic-slurm"), "is a site of slurm: say stsyn-mpi job slurm"),
        (("--sites", "none.toml"), "configuration 'none.toml': No such file"),
        (("--walltime", "2x"), "--walltime must be hours, minutes and seconds"),
        (("--walltime", "120"), "--walltime must be"),
        (("--walltime", "30s"), "at least a minute"),
        (("--walltime", "1:2:3:4"), "--walltime must be"),
        (("--walltime", "25:61:00"), "got '25:61:00'"),
        (("--walltime", "24:00:60"), "got '24:00:60'"),
        (("--nodes", 0), "--nodes must be at least 1, got 0"),
        (("--gpus-per-node", -1), "--gpus-per-node must be at least 0"),
        (("--gpus-per-node", 0), "say --workers-per-node"),
        (("--workers-per-node", 5), "more workers than the 4 GPUs of a node"),
        (("--site", "polaris", "--gpus-per-node", 8), "a node of polaris has 4"),
        (("--site", "polaris", "--cores-per-worker", 9), "which has 32"),
        (("--root-on", "second"), "unknown --root-on 'second': allowed are first, own"),
        (("--account", "a b"), "--account must be a name"),
        (("--queue", "q\n#PBS -q r"), "--queue must be a name"),
        (("--venv", "a\nrm -r b"), "cannot stand in a script"),
        (("--out", "."), "--out '.' is a folder"),
        (("--out", "no/such/x.pbs"), "--out 'no/such/x.pbs': No such file"),
    ],
)
def test_bad_options_are_one_line(job, folder, options, said):
    code, out, err = job(*PBS, *options)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    assert sorted(path.name for path in folder.iterdir()) == ["run.toml"]


@pytest.mark.parametrize(
    ("added", "options", "said"),
    [
        ("workers = 3", (), "workers = 3 in 'run.toml' contradicts the job"),
        ("workers = 8", ("--nodes", 4), "which has 16 (4 on each of 4 nodes)"),
        ("wait-for = 5", (), "--wait-for"),
        ('device = "cpu"', (), "device = 'cpu' in 'run.toml', and the job takes GPUs"),
        ("force = true", (), "a job goes on in its run file by itself; leave it out"),
        ('time-limit = "5m"', ("--chain",), "ends each job of a --chain"),
        ("lr = -1", (), "--lr must be positive"),
        ("rouns = 3", (), "did you mean 'rounds'?"),
    ],
)
def test_a_contrary_configuration_is_one_line(job, folder, added, options, said):
    with (folder / "run.toml").open("a") as file:
        file.write(f"{added}\n")
    code, out, err = job(*PBS, *options)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    assert not (folder / "run.pbs").exists()


def test_a_missing_configuration_or_data_file_is_found_before_the_queue(job, folder):
    code, _, err = job("pbs", "none.toml", *SMALL)
    assert code == 2
    assert "configuration 'none.toml': No such file" in err
    options = (folder / "run.toml").read_text().replace("digits", "none.h5")
    (folder / "run.toml").write_text(options)
    code, _, err = job(*PBS)
    assert code == 2
    assert "none.h5" in err


def test_neither_gpus_nor_workers(job):
    code, _, err = job("pbs", "run.toml", "--walltime", "1h")
    assert code == 2
    assert "as in --gpus-per-node 4, or, to compute on cores" in err
