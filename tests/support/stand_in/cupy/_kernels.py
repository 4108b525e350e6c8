"""Kernels: compiled by the C++ compiler, launched like all other work."""

import importlib.util
import sys
from pathlib import Path

from cupy._array import ndarray
from cupy._operations import launch


def _load_shim():
    """It lies beside the stand-in's folder, which may be all that is on the path."""
    if "cuda_shim" not in sys.modules:
        path = Path(__file__).parents[2] / "cuda_shim.py"
        spec = importlib.util.spec_from_file_location("cuda_shim", path)
        module = importlib.util.module_from_spec(spec)
        sys.modules["cuda_shim"] = module
        spec.loader.exec_module(module)
    return sys.modules["cuda_shim"]


_shim = _load_shim()


class RawModule:
    """The kernels of a source."""

    def __init__(self, code=None, *, path=None, options=(), backend="nvrtc"):
        if not isinstance(code, str) or path is not None:
            raise NotImplementedError("the stand-in compiles source")
        if not (
            isinstance(options, tuple) and all(isinstance(o, str) for o in options)
        ):
            raise TypeError("options are a tuple of str")
        self.code = code

    def get_function(self, name):
        return RawKernel(self.code, name)


class RawKernel:
    """One kernel; arguments have exactly the types of its parameters."""

    def __init__(self, code, name):
        self.name = name
        self._library = _shim.library(code)
        self._library.compile()
        if name not in self._library.kernels:
            raise RuntimeError("CUDA_ERROR_NOT_FOUND: named symbol not found")

    def __call__(self, grid, block, args, *, shared_mem=0):
        if not (isinstance(grid, tuple) and isinstance(block, tuple)):
            raise TypeError("grid and block are tuples")
        if max(*grid[1:], *block[1:], shared_mem, 1) > 1:
            raise NotImplementedError(
                "the stand-in has one dimension and no shared memory"
            )
        shape = max(1, grid[0]), max(1, block[0])
        _shim.check_shape(*shape)
        parameters = self._library.kernels[self.name]
        _shim.check_count(self.name, parameters, args)
        values = [_value_of(p, a) for p, a in zip(parameters, args, strict=True)]
        arrays = [a for a in args if isinstance(a, ndarray)]
        memory = [a._host for a in arrays]

        def work(memory=memory):
            self._library.launch_at(self.name, *shape, values)

        launch("launch", self.name, arrays, work)


def _value_of(parameter, argument):
    if not isinstance(argument, ndarray):
        return parameter.number(argument)
    parameter.check_array(argument.dtype, argument.flags.c_contiguous)
    return argument.data.ptr
