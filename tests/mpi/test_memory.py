"""How many parameter vectors root and workers hold (DESIGN: 3 + gradient, ...)."""

import json

import pytest

pytestmark = [pytest.mark.mpi, pytest.mark.once]

N_WORKERS = 3
# Vectors are counted where they are made: every array of n_params elements.
RANK = """
import json, os, sys
from mpi4py import MPI  # who initialises MPI may train several times
from stsyn_mpi.arrays.numpy_backend import NumpyBackend
from stsyn_mpi.mpi.launch import rank_in
import stsyn_mpi

n_params = 64 * 10 + 10
made, held = {"vectors": 0}, []

def counted(method):
    def make(self, shape, dtype="float32"):
        made["vectors"] += shape in (n_params, (n_params,))
        return method(self, shape, dtype)
    return make

NumpyBackend.empty = counted(NumpyBackend.empty)
NumpyBackend.zeros = counted(NumpyBackend.zeros)
for n_rounds in (5, 40):
    made["vectors"] = 0
    code = stsyn_mpi.train(
        "softmax", rounds=n_rounds, target_updates=3, wait_for=3, out=sys.argv[1],
        force=True, delay="exponential:mean=5ms", **json.loads(sys.argv[2]),
    )
    if code != 0:
        sys.exit(code)
    held.append(made["vectors"])
with open(f"{sys.argv[1]}.{rank_in(os.environ)}.json", "w") as file:
    json.dump(held, file)
"""


@pytest.mark.parametrize(
    ("options", "n_of_worker", "n_of_server_step"),
    [
        # Three parameter vectors and the gradient, two for each optimizer state, and
        # one more where changes are uploaded.
        ({"momentum": 0.9}, 4 + 2, 0),
        ({"strategy": "rennala:K=5", "server_step": "adam"}, 4 + 1, 2),
        (
            {"strategy": "fedbuff", "momentum": 0.9, "server_step": "nesterov"},
            4 + 2 + 1,
            1,
        ),
    ],
)
def test_vectors_do_not_grow_with_rounds(
    start, tmp_path, options, n_of_worker, n_of_server_step
):
    script, path = tmp_path / "rank.py", tmp_path / "run.h5"
    script.write_text(RANK)
    job = start(1 + N_WORKERS, path, json.dumps(options), script=script)
    assert job.wait() == 0, job.errors
    held = [
        json.loads((tmp_path / f"run.h5.{rank}.json").read_text())
        for rank in range(1 + N_WORKERS)
    ]
    assert held[1:] == [[n_of_worker, n_of_worker]] * N_WORKERS
    # A sum and the first model, at most one more for each worker to which it is being
    # sent and one while it is evaluated, and an upload buffer for each at most.
    n_fixed = 2 + n_of_server_step
    for n_vectors in held[0]:
        assert n_fixed < n_vectors <= n_fixed + 2 + 2 * N_WORKERS
