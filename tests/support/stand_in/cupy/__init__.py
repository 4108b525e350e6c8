"""A stand-in for CuPy on the CPU, for tests of what runs on a GPU.

Put the folder above on PYTHONPATH, and ``import cupy`` finds this one. It has what the
project uses, and is strict where a GPU is treacherous: launched work is not done before
somebody waits for it (see ``_work``), a thread chooses its device and its stream
(``_context``), no value reaches the host unasked (``_array``), memory is limited and
handed out again (``cuda.memory``), and kernels take arguments of their exact types.

Environment: STAND_IN_DEVICES (1), STAND_IN_MEMORY_BYTES of each (1 GiB), STAND_IN_LOG
(a folder, see ``stand_in``).
"""

# ruff: noqa: F401
from numpy import (
    bool_,
    dtype,
    float32,
    float64,
    inf,
    int8,
    int32,
    int64,
    nan,
    newaxis,
    uint8,
    uint32,
    uint64,
)

from cupy import cuda, stand_in
from cupy._array import ndarray
from cupy._functions import (
    abs,
    absolute,
    add,
    all,
    any,
    arange,
    argmax,
    array,
    asarray,
    ascontiguousarray,
    asnumpy,
    astype,
    concat,
    concatenate,
    copyto,
    count_nonzero,
    divide,
    empty,
    empty_like,
    equal,
    exp,
    full,
    full_like,
    get_default_memory_pool,
    greater,
    greater_equal,
    isfinite,
    isnan,
    less,
    less_equal,
    log,
    logical_and,
    logical_not,
    logical_or,
    matmul,
    max,
    maximum,
    mean,
    min,
    minimum,
    multiply,
    negative,
    not_equal,
    ones,
    power,
    reshape,
    sign,
    sqrt,
    square,
    stack,
    subtract,
    sum,
    take,
    tanh,
    where,
    zeros,
    zeros_like,
)
from cupy._kernels import RawKernel, RawModule

__version__ = "14.2.0"
