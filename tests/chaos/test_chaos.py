"""Three plans of disorder: what was not killed is not lost. `make chaos` runs more."""

import pytest
from chaos import try_seed

from stsyn_mpi.mpi.launch import find_mpirun

pytestmark = pytest.mark.mpi

# Of stsyn with deaths and pauses, of an asynchronous scheme, of a job that is resumed.
SEEDS = (15, 3, 4)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_lost(tmp_path, seed):
    if not find_mpirun().has_ulfm:
        pytest.skip("this MPI does not survive the death of a rank")
    plan, wrong = try_seed(seed, tmp_path)
    print(plan)
    assert not wrong, "\n".join(map(str, [plan, *wrong]))
