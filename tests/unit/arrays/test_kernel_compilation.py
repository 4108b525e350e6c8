"""The CUDA source passes the real compiler, for the devices of today's machines."""

import re

import pytest
from cuda_compilers import find_compiler

from stsyn_mpi.arrays.kernels import SOURCE

ARCHITECTURES = ["sm_80", "sm_90"]
VERBOSE = "--ptxas-options=-v"


@pytest.fixture
def compiler(tmp_path):
    found = find_compiler(tmp_path)
    if found is None:
        pytest.skip(
            "needs a CUDA compiler: pip install 'stsyn-mpi[gpu-check]', or nvcc"
        )
    return found


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_source_compiles_without_a_word(compiler, architecture):
    compiled = compiler.compile(SOURCE, f"--gpu-architecture={architecture}")
    assert compiled.log == ""
    assert compiled.n_bytes > 10_000


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_no_kernel_spills_registers_to_memory(compiler, architecture):
    log = compiler.compile(SOURCE, f"--gpu-architecture={architecture}", VERBOSE).log
    spills = re.findall(r"(\d+) bytes spill", log)
    frames = re.findall(r"(\d+) bytes stack frame", log)
    assert len(frames) >= 24
    assert {*frames, *spills} == {"0"}


def test_what_is_wrong_is_said(compiler):
    architecture = f"--gpu-architecture={ARCHITECTURES[0]}"
    wrong = compiler.compile("__global__ void f() { g(); }", architecture)
    assert wrong.n_bytes == 0
    assert '"g" is undefined' in wrong.log
    unused = compiler.compile("static __device__ void f() {}", architecture)
    assert "never referenced" in unused.log
