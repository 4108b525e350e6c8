"""What the doctor makes of a folder, tried on real ones."""

import os
from pathlib import Path

import pytest

from stsyn_mpi.doctor import folder as folder_module
from stsyn_mpi.doctor.folder import file_system_of, judge_folder
from stsyn_mpi.doctor.verdicts import Level


def levels(verdicts):
    return {verdict.item: verdict.level for verdict in verdicts}


def test_a_sound_folder_is_made_and_left_empty(tmp_path):
    verdicts = judge_folder(tmp_path / "new")
    assert levels(verdicts) == {
        "run files": Level.OK,
        "locks": Level.OK,
        "live reading": Level.OK,
    }
    assert not list((tmp_path / "new").iterdir())


def test_a_reader_that_sees_nothing_is_a_warning(tmp_path, monkeypatch):
    blind = folder_module._READER.replace("n_rounds == 1", "n_rounds == 2")
    monkeypatch.setattr(folder_module, "_READER", blind)
    verdict = judge_folder(tmp_path)[-1]
    assert verdict.level is Level.WARNING
    assert "--no-swmr" in verdict.remedy


def test_network_file_systems_are_known_by_their_mounts(tmp_path, monkeypatch):
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"/dev/x / ext4 rw 0 0\nserver:/a {tmp_path}/with\\040blank nfs4 rw 0 0\n"
    )
    monkeypatch.setattr(folder_module, "_MOUNTS", mounts)
    assert file_system_of(tmp_path) == "ext4"
    assert file_system_of(tmp_path / "with blank" / "runs") == "nfs4"
    verdict = judge_folder(tmp_path / "with blank")[-1]
    assert verdict.level is Level.WARNING
    assert "does not promise it to other nodes" in verdict.found


def test_what_cannot_be_written_is_a_failure(tmp_path):
    (tmp_path / "file").write_text("")
    (verdict,) = judge_folder(tmp_path / "file" / "runs")
    assert verdict.level is Level.FAILURE
    assert "Not a directory" in verdict.found


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only_is_a_failure(tmp_path):
    (tmp_path / "shut").mkdir(mode=0o500)
    (verdict,) = judge_folder(tmp_path / "shut")
    assert verdict.level is Level.FAILURE


def test_little_room_is_a_warning(tmp_path, monkeypatch):
    usage = folder_module.shutil.disk_usage(tmp_path)._replace(free=10**6)
    monkeypatch.setattr(folder_module.shutil, "disk_usage", lambda folder: usage)
    assert judge_folder(Path(tmp_path))[0].level is Level.WARNING
