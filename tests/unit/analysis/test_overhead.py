"""The ideal round time is the K-th smallest of the first U updates."""

import numpy as np
import pytest

from stsyn_mpi.analysis.overhead import round_times
from stsyn_mpi.runfile.reader import open_run
from stsyn_mpi.runfile.writer import RunWriter

# Round 1, U=2: worker 0 needs 3 + 1, worker 1 needs 2 + 4 (its third update and its
# cancelled one do not count), worker 2 has one update only.
UPDATES = [
    (0, 0, 0.0, 1.0, 0.0, 1),
    (1, 0, 0.0, 2.0, 1.0, 1),
    (1, 0, 3.0, 0.5, 0.5, 1),
    (1, 1, 0.0, 1.0, 1.0, 1),
    (1, 1, 2.0, 3.0, 1.0, 1),
    (1, 1, 6.0, 0.1, 0.1, 1),
    (1, 1, 7.0, 0.1, 0.1, 0),
    (1, 2, 0.0, 9.0, 0.0, 1),
]


@pytest.mark.parametrize(("wait_for", "ideal"), [(1, 4.0), (2, 6.0), (3, np.inf)])
def test_ideal_is_the_kth_smallest(tmp_path, wait_for, ideal):
    path = tmp_path / "run.h5"
    with RunWriter.create(path, 3, "{}", {}) as writer:
        writer.append_updates(np.array(UPDATES))
        for j, wall in enumerate((2.0, 12.0)):
            row = {"round": j, "wall_s": wall, "target_updates": 2}
            writer.commit_round(row | {"wait_for": wait_for})
    with open_run(path) as run:
        times = round_times(run)
    np.testing.assert_allclose(times.measured, [10.0])
    np.testing.assert_allclose(times.ideal, [ideal])
    np.testing.assert_allclose(times.overhead, [10.0 - ideal])
