"""The README's own model trains under a real mpirun."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from stsyn_mpi.mpi.launch import find_mpirun, mpirun_command
from stsyn_mpi.runfile.reader import open_run

README = Path(__file__).parents[2] / "README.md"

pytestmark = [pytest.mark.mpi, pytest.mark.once]


def test_own_model_learns(tmp_path):
    (example,) = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.M | re.S)
    (tmp_path / "own_model.py").write_text(example)
    command, environment = mpirun_command(
        find_mpirun(), 3, [sys.executable, "own_model.py"]
    )
    done = subprocess.run(
        command,
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with open_run(tmp_path / "runs" / "own.h5") as run:
        accuracy = run.column("test_accuracy")[-1]
    assert accuracy > 0.85
