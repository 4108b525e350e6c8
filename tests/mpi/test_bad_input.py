"""Bad input under mpirun: one line from one rank, exit code 2, nothing written."""

import os
import re
import subprocess
import sys

import h5py
import numpy as np
import pytest
from synthetic_run import write_run

from stsyn_mpi.datasets.reader import BUNDLED
from stsyn_mpi.errors import EXIT_BAD_INPUT

pytestmark = pytest.mark.mpi


def refusal(job):
    """The one line of a refused job."""
    assert job.wait() == EXIT_BAD_INPUT, job.errors
    lines = re.findall(r"stsyn-mpi: error: (.*)", job.errors)
    assert len(lines) == 1, job.errors
    assert "Traceback" not in job.errors
    return lines[0]


@pytest.mark.once
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("-K", 3), "3"),
        (("-M", 5), "5"),
        (("--model", "cnn"), "8x8"),
        (("--data", "missing.h5"), "missing.h5"),
    ],
)
def test_options_that_do_not_fit(start, tmp_path, options, said):
    path = tmp_path / "run.h5"
    line = refusal(start(3, "--out", path, *options))
    assert said in line
    assert not path.exists()


def test_one_rank_is_too_few(start, tmp_path):
    assert "at least one worker" in refusal(start(1, "--out", tmp_path / "run.h5"))


@pytest.mark.once
def test_existing_output_stays(start, tmp_path):
    path = tmp_path / "run.h5"
    path.write_text("precious")
    assert str(path) in refusal(start(3, "--out", path, "--rounds", 1))
    assert path.read_text() == "precious"


@pytest.mark.once
def test_a_trace_stays(start, tmp_path):
    path = tmp_path / "run.h5"
    write_run(path, n_rounds=2, n_workers=2, wait_for=1)
    before = path.read_bytes()
    options = ("--out", path, "--force", "--delay", f"trace:file={path}")
    assert "is the trace that --delay replays" in refusal(start(3, *options))
    assert path.read_bytes() == before


def damaged_data(tmp_path, name, row, value):
    path = tmp_path / "data.h5"
    with h5py.File(BUNDLED["digits"]) as source, h5py.File(path, "w") as copy:
        for key, attribute in source.attrs.items():
            copy.attrs[key] = attribute
        for split in ("train", "test"):
            group = copy.create_group(split)
            for part in ("images", "labels"):
                values = source[split][part][:]
                if part == "images":
                    values = values.astype(np.float32)
                if f"{split}/{part}" == name:
                    values[row] = value
                group.create_dataset(part, data=values)
                for key, attribute in source[split][part].attrs.items():
                    group[part].attrs[key] = attribute
    return path


@pytest.mark.once
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [("train/images", np.nan, "nan"), ("train/labels", 77, "77")],
)
def test_bad_values_in_one_workers_part(start, tmp_path, name, value, said):
    data = damaged_data(tmp_path, name, 11, value)
    line = refusal(start(3, "--out", tmp_path / "run.h5", "--data", data))
    assert "row 11" in line
    assert said in line
    assert not (tmp_path / "run.h5").exists()


def test_ranks_that_differ_name_both_values(start, tmp_path):
    """One rank is started with another learning rate than the others."""
    script = tmp_path / "rank.py"
    script.write_text(
        "import os, sys\n"
        "from stsyn_mpi.cli.main import main\n"
        "from stsyn_mpi.mpi.launch import rank_in\n"
        "lr = '0.2' if rank_in(os.environ) == 2 else '0.1'\n"
        "main(['train', '--lr', lr, '--out', sys.argv[1]])\n"
    )
    line = refusal(start(3, tmp_path / "run.h5", script=script))
    assert "lr differs" in line
    assert "0.1" in line
    assert "0.2" in line


def test_singletons_are_explained(tmp_path):
    environment = {**os.environ, "PMI_SIZE": "3", "PMI_RANK": "0"}
    environment |= {"OMPI_COMM_WORLD_SIZE": "3"}
    command = [sys.executable, "-m", "stsyn_mpi", "train", "--out", "run.h5"]
    done = subprocess.run(
        command,
        env={k: v for k, v in environment.items() if k != "PMI_RANK"},
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == EXIT_BAD_INPUT, done.stderr
    assert "world of 1" in done.stderr
