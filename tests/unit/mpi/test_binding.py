"""Who shares a GPU with whom, and how the map of devices reads."""

from stsyn_mpi.mpi.binding import device_map, sharers, sharing_warnings
from stsyn_mpi.mpi.startup import Place

EVERYONE = [
    Place("a", 10, "cpu", ""),
    Place("a", 11, "gpu 0: V", "one"),
    Place("a", 12, "gpu 1: V", "two"),
    Place("a", 13, "gpu 0: V", "one"),
    # The same identity on another host is another device.
    Place("b", 14, "gpu 0: V", "one"),
    Place("b", 15, "cpu", ""),
]


def test_sharers_are_ranks_of_one_device_on_one_host():
    assert sharers(EVERYONE) == [[], [1, 3], [2], [1, 3], [4], []]


def test_one_warning_for_each_shared_device():
    assert sharing_warnings(EVERYONE) == [
        "ranks 1, 3 share gpu 0: V of a: each may use 45% of its memory"
    ]


def test_map_has_a_line_for_each_host():
    assert device_map(EVERYONE) == [
        "a: rank 0 cpu, rank 1 gpu 0: V, rank 2 gpu 1: V, rank 3 gpu 0: V",
        "b: rank 4 gpu 0: V, rank 5 cpu",
    ]
