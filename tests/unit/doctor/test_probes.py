"""What the doctor makes of a vector that came."""

import numpy as np

from stsyn_mpi.mpi.probes import _checksum


def test_a_checksum_beyond_64_bits_wraps_around_in_silence():
    vector = np.arange(5 << 22, dtype=np.float32)
    there = _checksum(vector)
    vector[[0, -1]] = vector[[-1, 0]]
    assert _checksum(vector) != there
