"""Which device a rank takes, and how much of its memory."""

from types import SimpleNamespace

import pytest

from stsyn_mpi.config import TrainConfig
from stsyn_mpi.errors import InputError
from stsyn_mpi.mpi import startup
from stsyn_mpi.mpi.binding import take_seat
from stsyn_mpi.mpi.startup import Place


@pytest.fixture
def pool():
    import cupy

    pool = cupy.get_default_memory_pool()
    yield pool
    pool.set_limit(size=0)


@pytest.fixture
def seat(monkeypatch, pool):
    """Return the seat that a rank takes beside others on given devices."""

    def take(rank, n_workers, ids_of_others=(), **options):
        world = SimpleNamespace(
            rank=rank,
            local_place=(rank - 1) % (n_workers + 1),
            n_local_workers=n_workers,
        )

        def places(world, name, device_id):
            others = [Place("here", 0, "gpu", i or device_id) for i in ids_of_others]
            everyone = [*others[:rank], Place("here", 1, name, device_id)]
            return everyone + others[rank:]

        def agree(world, complaint):
            if complaint is not None:
                raise InputError(complaint)

        monkeypatch.setattr(startup, "places", places)
        monkeypatch.setattr(startup, "agree", agree)
        return take_seat(world, TrainConfig(**options))

    return take


def test_ranks_that_share_a_gpu_share_its_memory(seat, pool):
    import cupy

    # None stands for the device of the rank itself.
    assert seat(1, 3, ["another", None, None]).backend.name == "cupy"
    total = cupy.cuda.runtime.memGetInfo()[1]
    assert pool.get_limit() == int(0.9 / 3 * total)


def test_a_lower_limit_of_the_user_holds(seat, pool):
    pool.set_limit(size=1 << 20)
    seat(1, 3, ["another", None, None])
    assert pool.get_limit() == 1 << 20


def test_a_rank_alone_on_its_gpu_is_not_limited(seat, pool):
    assert seat(1, 1, ["another"]).backend.name == "cupy"
    assert pool.get_limit() == 0


@pytest.mark.parametrize(
    ("n_workers", "options", "name"),
    [
        (1, {}, "numpy"),
        (0, {}, "cupy"),
        (1, {"root_device": "gpu"}, "cupy"),
        (0, {"root_device": "cpu"}, "numpy"),
        (0, {"device": "cpu"}, "numpy"),
    ],
)
def test_root_takes_a_gpu_where_one_is_left_or_asked_for(
    seat, n_workers, options, name
):
    assert seat(0, n_workers, **options).backend.name == name
