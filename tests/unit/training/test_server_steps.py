import numpy as np
import pytest

from stsyn_mpi.arrays import select_backend
from stsyn_mpi.errors import InputError
from stsyn_mpi.training.server_steps import build_server_step

BACKEND = select_backend("cpu")


def test_mean_step_is_the_mean_of_the_uploads():
    base, *uploads = np.random.default_rng(0).standard_normal((5, 30), dtype=np.float32)
    kept, total, out = base.copy(), BACKEND.zeros(30), BACKEND.empty(30)
    for upload in uploads:
        BACKEND.add_scaled_difference(total, 1.0, upload, base)
    step = build_server_step("mean", BACKEND, 30)
    step.apply(base, total, 1 / 4, out)
    np.testing.assert_allclose(out, np.mean(uploads, axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(base, kept)
    assert not step.state


def test_what_is_no_server_step_is_named():
    with pytest.raises(InputError, match=r"server step 'meen'.*did you mean 'mean'"):
        build_server_step("meen", BACKEND, 30)
    with pytest.raises(InputError, match=r"'mean' has no parameter 'lr'"):
        build_server_step("mean:lr=1", BACKEND, 30)
