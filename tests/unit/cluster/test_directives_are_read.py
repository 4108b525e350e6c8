"""The reader of directives sees what schedulers let pass."""

import pytest
from batch_directives import complaints

PBS = """#!/bin/bash
# A comment.
#PBS -N run
##PBS -A PROJECT
#PBS -l select=1:ncpus=9:mpiprocs=9:ngpus=4+3:ncpus=8:mpiprocs=8:ngpus=4
#PBS -l walltime=02:00:00
#PBS -l place=scatter
#PBS -j oe
cd "$PBS_O_WORKDIR"
"""
SLURM = """#!/bin/bash
#SBATCH --job-name=run
##SBATCH --account=PROJECT
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=5
#SBATCH --gres=gpu:4
#SBATCH --time=02:00:00
#SBATCH --signal=B:USR1@120
srun true
"""


def test_good_ones_pass():
    assert complaints(PBS) == []
    assert complaints(SLURM) == []
    totals = PBS.replace("select=1:ncpus=9:mpiprocs=9:ngpus=4+3:", "")
    assert complaints(totals.replace(":mpiprocs=8:ngpus=4", ",ngpus=4,mem=9GB")) == []


@pytest.mark.parametrize(
    ("text", "right", "wrong", "said"),
    [
        (PBS, "select", "selekt", "unknown: selekt"),
        (PBS, "walltime", "walltme", "unknown: walltme, meant walltime?"),
        (PBS, "ngpus=4+", "ngpu=4+", "unknown: ngpu, meant ngpus?"),
        (PBS, ":ngpus=4+3:", ":ngpus=four+3:", "ngpus cannot be 'four'"),
        (PBS, "+3:", "+x:", "a chunk begins with a number"),
        (PBS, "+3:ncpus=8:mpiprocs=8:ngpus=4", "+3", "a chunk without resources: 3"),
        (PBS, "02:00:00", "2h", "walltime cannot be '2h'"),
        (PBS, "scatter", "skatter", "place cannot be 'skatter'"),
        (PBS, "#PBS -l place", "#PSB -l place", "not read, misspelt: #PSB"),
        (PBS, "#PBS -l place=scatter", "#PBS -l ngpus=4", "beside select: ngpus"),
        (PBS, "#PBS -l walltime=02:00:00\n", "", "no walltime"),
        (PBS, "#PBS -j oe\n", "x=1\n#PBS -j oe\n", "a command stands before it"),
        (PBS, "-j oe", "-J 0-3%", "-J cannot be '0-3%'"),
        (PBS, "-j oe", "-z oe", "unknown: -z"),
        (SLURM, "--ntasks-per-node", "--ntask-per-node", "meant ntasks-per-node?"),
        (SLURM, "--gres=gpu:4", "--gres=gpus:4", "gres cannot be"),
        (SLURM, "B:USR1@120", "USR1@120", "signal cannot be"),
        (SLURM, "02:00:00", "120 m", "time cannot be"),
        (SLURM, "#SBATCH --nodes=2\n", "", "no nodes"),
        (SLURM, "--job-name=run", "-J run", "no long option"),
        (SLURM, "#SBATCH --time", "#SBTACH --time", "misspelt: #SBTACH"),
        (SLURM, "#SBATCH --nodes=2", "#PBS -l select=2:ncpus=1", "directives of"),
    ],
)
def test_bad_ones_are_named(text, right, wrong, said):
    assert right in text
    found = complaints(text.replace(right, wrong, 1))
    assert any(said in problem for problem in found), found
