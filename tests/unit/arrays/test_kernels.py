"""What holds for all kernels, and how strict their launches on the CPU are."""

import os
import re
import subprocess
import sys
from pathlib import Path

import cuda_shim
import numpy as np
import pytest

from stsyn_mpi.arrays.kernels import SOURCE

FLOATS, DOUBLES = np.ones(6, np.float32), np.ones(6)


def test_no_kernel_is_without_a_test():
    names = re.findall(r"__global__\s+void\s+(\w+)", SOURCE)
    assert len(names) == len(set(names)) == 24
    assert names == list(cuda_shim.project_library().kernels)
    files = Path(__file__).parent.glob("test_*_kernels.py")
    tests = "".join(path.read_text() for path in files)
    assert [name for name in names if f'"{name}"' not in tests] == []


def test_source_needs_no_header_and_no_cooperation_of_threads():
    words = set(re.findall(r"[#\w]+", re.sub(r"//.*", "", SOURCE)))
    assert "atomicAdd" in words
    assert not words & {"#include", "__shared__", "__syncthreads", "asm"}
    assert not [
        word for word in words if re.match(r"(__shfl|__sync|atomic(?!Add))", word)
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        (FLOATS, np.float32(2)),
        (FLOATS, np.float32(2), 6, 6),
        (DOUBLES, np.float32(2), 6),
        (FLOATS[::2], np.float32(2), 3),
        (FLOATS.tolist(), np.float32(2), 6),
        (FLOATS, 2.0, 6),
        (FLOATS, np.float64(2), 6),
        (FLOATS, 2, 6),
        (FLOATS, FLOATS, 6),
        (FLOATS, np.float32(2), np.int32(6)),
        (FLOATS, np.float32(2), 6.0),
        (FLOATS, np.float32(2), True),
        (np.broadcast_to(FLOATS, (6,)), np.float32(2), 6),
    ],
    ids=str,
)
def test_arguments_of_other_types_are_refused(arguments):
    before = FLOATS.copy()
    with pytest.raises(TypeError):
        cuda_shim.launch("scale", 1, 1, arguments)
    np.testing.assert_array_equal(FLOATS, before)


@pytest.mark.parametrize("shape", [(0, 1), (1, 0), (1, 1025), (2**31, 1), (-1, 1)])
def test_shapes_that_no_device_takes_are_refused(shape):
    with pytest.raises(ValueError, match="blocks of"):
        cuda_shim.launch("scale", *shape, (FLOATS, np.float32(2), 6))


def test_processes_that_compile_at_once_get_one_library(tmp_path):
    source = 'extern "C" __global__ void answer(int* out) { *out = 42; }'
    code = (
        "import cuda_shim, numpy; out = numpy.zeros(1, numpy.int32);"
        f"cuda_shim.library({source!r}).launch('answer', 1, 1, [out]); print(*out)"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(cuda_shim.__file__).parent,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
        for _ in range(3)
    ]
    assert [process.communicate(timeout=60)[0] for process in running] == 3 * ["42\n"]
    (folder,) = tmp_path.iterdir()
    assert sorted(path.suffix for path in folder.iterdir()) == [".lock", ".so"]
