import pytest

from stsyn_mpi.arrays import select_backend


@pytest.fixture(params=["cpu"])
def backend(request):
    return select_backend(request.param)
