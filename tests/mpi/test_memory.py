"""How many parameter vectors root and workers hold (DESIGN: 3 + gradient, ...)."""

import json

import pytest

pytestmark = pytest.mark.mpi

N_WORKERS = 3
# Vectors are counted where they are made: every array of n_params elements.
RANK = """
import json, os, sys
from stsyn_mpi.arrays.numpy_backend import NumpyBackend
from stsyn_mpi.mpi.launch import rank_in
import stsyn_mpi

n_params = 64 * 10 + 10
made = {"vectors": 0}

def counted(method):
    def make(self, shape, dtype="float32"):
        made["vectors"] += shape in (n_params, (n_params,))
        return method(self, shape, dtype)
    return make

NumpyBackend.empty = counted(NumpyBackend.empty)
NumpyBackend.zeros = counted(NumpyBackend.zeros)
code = stsyn_mpi.train(
    "softmax", rounds=int(sys.argv[2]), target_updates=3, wait_for=2,
    momentum=float(sys.argv[3]), delay="exponential:mean=5ms", out=sys.argv[1],
    force=True,
)
with open(f"{sys.argv[1]}.{rank_in(os.environ)}.json", "w") as file:
    json.dump(made, file)
sys.exit(code)
"""


@pytest.mark.parametrize(("momentum", "n_state"), [(0.0, 0), (0.9, 2)])
def test_vectors_do_not_grow_with_rounds(start, tmp_path, momentum, n_state):
    script, path = tmp_path / "rank.py", tmp_path / "run.h5"
    script.write_text(RANK)
    for n_rounds in (5, 40):
        job = start(1 + N_WORKERS, path, n_rounds, momentum, script=script)
        assert job.wait() == 0, job.errors
        held = [
            json.loads((tmp_path / f"run.h5.{rank}.json").read_text())["vectors"]
            for rank in range(1 + N_WORKERS)
        ]
        # Three parameter vectors and the gradient, and two for each optimizer state.
        assert held[1:] == [4 + n_state] * N_WORKERS
        # A sum and two models, one more while it is evaluated and one while it is
        # sent, and an upload buffer for each worker at most.
        assert 3 <= held[0] <= 5 + N_WORKERS
