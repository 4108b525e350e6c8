"""SIGKILL while checkpoints are being saved, and disks that are full."""

import os
import random
import resource
import shutil
import subprocess

import pytest
from moments import kills, spin
from nursery import RUN_ID, Nursery, assert_same, checkpoint

from stsyn_mpi.errors import RunFailure
from stsyn_mpi.runfile import CheckpointWriter, load_checkpoint

SEED = int(os.environ.get("STSYN_KILL_SEED", "20261125"))
N_KILLS = 40
LONGEST_S = 0.03


def test_a_kill_leaves_the_newest_checkpoint_or_the_one_before(tmp_path):
    print(f"seed {SEED} (STSYN_KILL_SEED)")
    random_source = random.Random(SEED)
    path = tmp_path / "run.h5"
    path.write_bytes(b"")
    n_next, n_interrupted = 0, 0
    with Nursery() as nursery:
        for kill in kills(N_KILLS):
            child = nursery.start("save", path, n_next)
            lines = [child.readline()]
            spin(random_source.uniform(0, LONGEST_S))
            acknowledged = int([*lines, *child.kill()][-1])
            print(f"kill {kill}: checkpoint {acknowledged} was acknowledged")
            n_interrupted += any(tmp_path.glob("run.checkpoints/.*.partial"))
            found, warnings = load_checkpoint(path, RUN_ID)
            assert warnings == []
            assert found.n_rounds in (acknowledged, acknowledged + 1)
            assert_same(found, checkpoint(found.n_rounds))
            n_next = found.n_rounds + 1
    assert n_interrupted
    CheckpointWriter(path, RUN_ID).save(checkpoint(n_next))
    assert len(list(tmp_path.glob("run.checkpoints/*"))) == 2


def check_full_disk(path, fill, make_room):
    """Save until the disk is full, and go on when there is room again."""
    path.write_bytes(b"")
    writer = CheckpointWriter(path, RUN_ID)
    for n in (1, 2):
        writer.save(checkpoint(n))
    before = {p.name: p.read_bytes() for p in writer.folder.iterdir()}
    fill()
    with pytest.raises(RunFailure) as error:
        writer.save(checkpoint(3))
    message = str(error.value)
    assert "\n" not in message
    assert "round-00000003-01234567.h5" in message
    assert {p.name: p.read_bytes() for p in writer.folder.iterdir()} == before
    found, warnings = load_checkpoint(path, RUN_ID)
    assert_same(found, checkpoint(2))
    assert warnings == []
    make_room()
    writer.save(checkpoint(3))
    assert load_checkpoint(path, RUN_ID)[0].n_rounds == 3
    return message


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 8 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only who may mount a file system has a small disk")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("room", [0, 2_000, 300_000])
def test_a_full_disk_costs_no_checkpoint(small_disk, room):
    filler = small_disk / "filler"

    def fill():
        free = shutil.disk_usage(small_disk).free
        filler.write_bytes(bytes(free))
        os.truncate(filler, free - room)

    message = check_full_disk(small_disk / "run.h5", fill, filler.unlink)
    assert message.endswith("No space left on device")


def test_a_limit_on_file_sizes_costs_no_checkpoint(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = checkpoint(0).params.nbytes

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))

    def lift():
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    try:
        message = check_full_disk(tmp_path / "run.h5", limit, lift)
    finally:
        lift()
    assert message.endswith("File too large")
