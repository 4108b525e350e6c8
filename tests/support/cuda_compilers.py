"""Compiles CUDA source for a given architecture, without a driver or a device."""

import ctypes
import functools
import importlib.util
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple


class Compiled(NamedTuple):
    """What a compiler answers: 0 bytes where it refuses the source."""

    n_bytes: int
    log: str


class Nvrtc:
    """The compiler that CuPy uses, as NVIDIA's wheel brings it."""

    name = "NVRTC"

    def __init__(self, path):
        self._library = ctypes.CDLL(str(path))

    def compile(self, source, *options):
        """Compile in memory; options are those of nvcc."""
        program = ctypes.c_void_p()
        text = source.encode()
        self._call("CreateProgram", ctypes.byref(program), text, None, 0, None, None)
        given = (ctypes.c_char_p * len(options))(*(o.encode() for o in options))
        failed = self._library.nvrtcCompileProgram(program, len(options), given)
        log = ctypes.create_string_buffer(self._size("ProgramLog", program))
        self._call("GetProgramLog", program, log)
        n_bytes = 0 if failed else self._size("CUBIN", program)
        self._call("DestroyProgram", ctypes.byref(program))
        return Compiled(n_bytes, log.value.decode())

    def _size(self, what, program):
        size = ctypes.c_size_t()
        self._call(f"Get{what}Size", program, ctypes.byref(size))
        return size.value

    def _call(self, name, *arguments):
        error = getattr(self._library, f"nvrtc{name}")(*arguments)
        assert error == 0, f"nvrtc{name} fails with {error}"


class Nvcc:
    """The compiler of a CUDA toolkit."""

    name = "nvcc"

    def __init__(self, folder):
        self._folder = folder

    def compile(self, source, *options):
        """Compile through files."""
        binary, text = self._folder / "kernels.cubin", self._folder / "kernels.cu"
        binary.unlink(missing_ok=True)
        text.write_text(source)
        command = ("nvcc", "-cubin", *options, "-o", binary, text)
        done = subprocess.run(command, text=True, capture_output=True)
        n_bytes = binary.stat().st_size if done.returncode == 0 else 0
        return Compiled(n_bytes, done.stdout + done.stderr)


@functools.cache
def nvrtc_path():
    """Return where the wheel put NVRTC, or None."""
    spec = importlib.util.find_spec("nvidia")
    folders = map(Path, spec.submodule_search_locations if spec else ())
    paths = [path for f in folders for path in f.glob("*/lib/libnvrtc.so.*")]
    return max(paths, default=None)


def find_compiler(folder):
    """Return NVRTC, else nvcc (with ``folder`` for its files), else None."""
    if path := nvrtc_path():
        return Nvrtc(path)
    return Nvcc(folder) if shutil.which("nvcc") else None
