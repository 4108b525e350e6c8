"""Runs CUDA kernels on the CPU: g++ compiles their source, one call runs a launch.

The threads of a launch run one after the other, forwards or backwards: a kernel whose
results depend on their order, or on the launch's shape, gives itself away. Arguments
are checked more strictly than by a GPU, which would read whatever it finds.
"""

import ctypes
import fcntl
import functools
import hashlib
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

COMPILER = (os.environ.get("CXX", "g++"), "-x", "c++", "-std=c++17", "-shared", "-fPIC")
# As written: without fused multiply-adds, as NumPy computes. Kernels are hidden, so
# that no other library's function of the same name is called instead.
FLAGS = ("-O2", "-ffp-contract=off", "-fno-strict-aliasing", "-fvisibility=hidden")
MOST_THREADS = 1024
MOST_BLOCKS = 2**31 - 1

PRELUDE = """
#include <cmath>
#define __global__
#define __device__
struct Place { unsigned int x, y, z; };
static thread_local Place threadIdx, blockIdx, blockDim, gridDim;
struct alignas(16) float4 { float x, y, z, w; };
static int atomicAdd(int* place, int value) {
    return __atomic_fetch_add(place, value, __ATOMIC_RELAXED);
}
"""

LAUNCHER = """
extern "C" __attribute__((visibility("default"))) void launch_{name}(
    long long grid, long long block, int backwards, {parameters}) {{
    gridDim = {{(unsigned int)grid, 1, 1}};
    blockDim = {{(unsigned int)block, 1, 1}};
    for (long long k = 0, last = grid * block - 1; k <= last; ++k) {{
        long long thread = backwards ? last - k : k;
        blockIdx.x = thread / block;
        threadIdx.x = thread % block;
        {name}({arguments});
    }}
}}
"""

ELEMENTS = {
    "float": np.float32,
    "double": np.float64,
    "int": np.int32,
    "long long": np.int64,
    "unsigned char": np.uint8,
}
# Kernels that copy elements of any type declare them as unsigned integers.
SIZES = {"unsigned int": 4, "unsigned long long": 8}
NUMBERS = {
    "float": (np.float32,),
    "int": (np.int32,),
    "long long": (int, np.int64),
}
C_NUMBERS = {
    "float": ctypes.c_float,
    "int": ctypes.c_int,
    "long long": ctypes.c_longlong,
}


class Parameter(NamedTuple):
    """One parameter of a kernel."""

    name: str
    element: str
    is_pointer: bool
    is_const: bool

    @classmethod
    def parse(cls, text):
        words = text.replace("*", " * ").replace("__restrict__", "").split()
        kept = [word for word in words[:-1] if word not in ("*", "const")]
        return cls(words[-1], " ".join(kept), "*" in words, "const" in words)

    @property
    def c_type(self):
        return ctypes.c_void_p if self.is_pointer else C_NUMBERS[self.element]

    def check_array(self, dtype, is_contiguous):
        """Raise TypeError unless such an array may be passed."""
        if not self.is_pointer:
            raise TypeError(f"{self.name}: {self.element} wanted, not an array")
        size, element = SIZES.get(self.element), ELEMENTS.get(self.element)
        if dtype.itemsize != size if size else dtype != element:
            raise TypeError(f"{self.name}: array of {self.element} wanted, not {dtype}")
        if not is_contiguous:
            raise TypeError(f"{self.name}: the array is not contiguous")

    def number(self, value):
        """Return a Python number; TypeError unless it has the parameter's very type."""
        if self.is_pointer or type(value) not in NUMBERS[self.element]:
            wanted = self.element + "*" * self.is_pointer
            raise TypeError(f"{self.name}: {wanted} wanted, not {type(value)}")
        return value if isinstance(value, int) else value.item()


class Library:
    """The kernels of one source, compiled when the first is launched."""

    def __init__(self, source):
        self.source = source
        self._entries = {}
        code = re.sub(r"//.*", "", source)
        pattern = r"__global__\s+void\s+(\w+)\s*\(([^)]*)\)\s*\{"
        self.kernels = {
            name: tuple(map(Parameter.parse, parameters.split(",")))
            for name, parameters in re.findall(pattern, code)
        }

    def compile(self):
        """Compile now what the first launch would compile."""
        return self._compiled

    def launch(self, name, grid, block, arguments, *, backwards=False):
        """Run one launch on NumPy arrays and scalars of the exact types."""
        parameters = self.kernels[name]
        check_count(name, parameters, arguments)
        values = map(_value_of, parameters, arguments)
        self.launch_at(name, grid, block, list(values), backwards=backwards)

    def launch_at(self, name, grid, block, values, *, backwards=False):
        """Run one launch on addresses and numbers, unchecked but for its shape."""
        check_shape(grid, block)
        self._entry(name)(grid, block, backwards, *values)

    def _entry(self, name):
        if name not in self._entries:
            entry = getattr(self._compiled, f"launch_{name}")
            shape = (ctypes.c_longlong, ctypes.c_longlong, ctypes.c_int)
            entry.argtypes = (*shape, *(p.c_type for p in self.kernels[name]))
            entry.restype = None
            self._entries[name] = entry
        return self._entries[name]

    @functools.cached_property
    def _compiled(self):
        launchers = [
            LAUNCHER.format(
                name=name,
                parameters=", ".join(_declaration(p) for p in parameters),
                arguments=", ".join(p.name for p in parameters),
            )
            for name, parameters in self.kernels.items()
        ]
        return ctypes.CDLL(compile_once("".join((PRELUDE, self.source, *launchers))))


def check_count(name, parameters, arguments):
    if len(arguments) != len(parameters):
        raise TypeError(
            f"{name} has {len(parameters)} parameters, got {len(arguments)} arguments"
        )


def check_shape(grid, block):
    if not (0 < grid <= MOST_BLOCKS and 0 < block <= MOST_THREADS):
        raise ValueError(f"no launch has {grid} blocks of {block} threads")


def _value_of(parameter, argument):
    if not isinstance(argument, np.ndarray):
        return parameter.number(argument)
    parameter.check_array(argument.dtype, argument.flags.c_contiguous)
    if not (parameter.is_const or argument.flags.writeable):
        raise TypeError(f"{parameter.name}: the array is read-only")
    return argument.ctypes.data


def _declaration(parameter):
    return f"{parameter.element}{'*' * parameter.is_pointer} {parameter.name}"


def compile_once(code):
    """Return the path of the compiled ``code``; one of many processes compiles it."""
    key = hashlib.sha256("\0".join((code, *COMPILER, *FLAGS)).encode()).hexdigest()
    folder = Path(tempfile.gettempdir()) / f"stsyn-mpi-kernels-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{key[:32]}.so"
    with (folder / f"{key[:32]}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            half = path.with_suffix(f".{os.getpid()}")
            command = (*COMPILER, *FLAGS, "-o", str(half), "-")
            subprocess.run(command, input=code, text=True, check=True)
            half.replace(path)
    return path


@functools.cache
def library(source):
    """Return the kernels of ``source``, compiled once in a process."""
    return Library(source)


def project_library():
    """Return the project's kernels."""
    from stsyn_mpi.arrays.kernels import SOURCE

    return library(SOURCE)


def launch(name, grid, block, arguments, *, backwards=False):
    """Run a launch of one of the project's kernels, see `Library.launch`."""
    project_library().launch(name, grid, block, arguments, backwards=backwards)
