"""Checkpoints: passed over with a line, or the run goes on from them."""

from fuzzing import Target
from fuzzing_hdf5 import in_oldest_format, mutate_hdf5
from nursery import RUN_ID, checkpoint

from stsyn_mpi.runfile import CheckpointWriter, load_checkpoint
from stsyn_mpi.runfile.checkpoint_file import read_checkpoint

N_PARAMS = 300


def seeds(folder):
    run_path = folder / "run"
    run_path.write_bytes(b"")
    sound = CheckpointWriter(run_path, RUN_ID).save(checkpoint(4, N_PARAMS))
    sound.rename(folder / sound.name)
    in_oldest_format(folder / sound.name, folder / "round-00000005-01234567.h5")


def mutate(random, folder, where):
    (where / "run.checkpoints").mkdir()
    return mutate_hdf5(random, folder, where / "run.checkpoints")


def load(path):
    try:
        read_checkpoint(path, RUN_ID)
    finally:
        load_checkpoint(path.parents[1] / "run.h5", RUN_ID)


TARGETS = {"checkpoint": Target(seeds, mutate, load)}


def test_checkpoints(feed):
    feed(__file__, "checkpoint", n_inputs=600)
