"""A comparison of real jobs, one after the other."""

import json
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.mpi, pytest.mark.once]


def test_schemes_run_as_real_jobs(tmp_path):
    command = [sys.executable, "-m", "stsyn_mpi", "compare", "--real", "-M", "2"]
    command += ["--model", "softmax", "--rounds", "60", "-U", "3", "--target", "0.5"]
    command += ["--strategies", "stsyn:K=1,local-sgd", "--json"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert content["comparison"]["clock"] == "wall"
    assert content["comparison"]["communication"] == "real communication"
    assert [entry["label"] for entry in content["entries"]] == [
        "stsyn:K=1",
        "local-sgd",
    ]
    for entry in content["entries"]:
        assert entry["reached"] == 1
        assert entry["figures"]["time_s"]["median"] > 0
    local = content["entries"][1]["figures"]
    assert local["models_up"]["median"] == 2 * local["rounds"]["median"]
    assert len(content["figures"]) == 2
