import os
import re

from stsyn_mpi.runfile import default_run_path


def test_the_name_has_strategy_time_job_and_process(tmp_path):
    path = default_run_path("stsyn", {"PBS_JOBID": "4711.pbs01"}, tmp_path)
    assert path.parent == tmp_path
    pattern = rf"stsyn-\d{{8}}-\d{{6}}-job4711-{os.getpid()}\.h5"
    assert re.fullmatch(pattern, path.name)


def test_the_default_folder_and_no_job():
    path = default_run_path("local-sgd", {})
    assert re.fullmatch(r"runs/local-sgd-\d{8}-\d{6}-\d+\.h5", str(path))


def test_a_name_in_use_is_never_given_again(tmp_path, monkeypatch):
    monkeypatch.setattr("time.strftime", lambda form: "20261122-120000")
    given = []
    for _ in range(3):
        path = default_run_path("stsyn", {}, tmp_path)
        path.symlink_to(tmp_path / "gone")
        given.append(path)
    assert len(set(given)) == 3
    assert given[2].stem.endswith("-3")


def test_a_hostile_job_id_stays_a_file_name(tmp_path):
    path = default_run_path("stsyn", {"SLURM_JOB_ID": "../../etc/x"}, tmp_path)
    assert path.parent == tmp_path
    assert "/" not in path.name
