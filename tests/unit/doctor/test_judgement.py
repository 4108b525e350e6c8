"""What the doctor makes of what ranks have found."""

import json
from dataclasses import dataclass, replace

import pytest

from stsyn_mpi.doctor import judgement
from stsyn_mpi.doctor.facts import RankFacts, numbers_in, ranges
from stsyn_mpi.doctor.lines import judge_lines
from stsyn_mpi.doctor.verdicts import (
    Level,
    Verdict,
    exit_code,
    failure,
    ok,
    verdicts_json,
    warning,
)

RANK = RankFacts(
    host="n1",
    pid=1,
    cores="0-7",
    blas_threads=1,
    device="cpu",
    device_id="",
    n_gpus=0,
    gpu_aware=False,
    gpu_reason="",
    software="NumPy 2.0",
    thread_level=1,
)


def ranks(*changes):
    return [replace(RANK, **change) for change in changes]


def test_facts_travel_in_one_line():
    facts = replace(RANK, host="x" * 64, device="GPU é", blas_threads=None)
    text = facts.to_text()
    assert RankFacts.from_text(text) == facts
    assert text.isascii()
    assert "\n" not in text


@pytest.mark.parametrize(
    ("numbers", "text"),
    [([], ""), ([3], "3"), ([0, 1, 2, 8], "0-2,8"), ([1, 3, 5], "1,3,5")],
)
def test_ranges_of_numbers(numbers, text):
    assert ranges(numbers) == text
    assert numbers_in(text) == set(numbers)


def test_other_software_on_one_rank_is_a_failure():
    verdict = judgement.judge_software(ranks({}, {}, {"software": "NumPy 1.26"}))
    assert verdict.level is Level.FAILURE
    assert "rank 2 have NumPy 1.26, rank 0 has NumPy 2.0" in verdict.found
    assert judgement.judge_software(ranks({}, {})).level is Level.OK


def test_more_workers_than_cores_is_a_warning():
    crowd = ranks(*[{"cores": "0-3"}] * 6)
    assert judgement.judge_cores(crowd).found == "n1: 5 threads compute on 4 cores"
    # The root hardly computes, and who has a GPU needs no core.
    assert judgement.judge_cores(crowd[:5]).level is Level.OK
    on_gpus = [replace(rank, device_id="GPU-1") for rank in crowd]
    assert judgement.judge_cores(on_gpus).level is Level.OK


def test_threads_of_blas_count_as_workers_do():
    busy = ranks({}, *[{"blas_threads": 4, "cores": "0-7"}] * 3)
    assert "12 threads compute on 8 cores" in judgement.judge_cores(busy).found


def test_ranks_bound_to_one_core_are_named():
    bound = ranks({}, {"cores": "2"}, {"cores": "3"}, {"cores": "2"})
    verdict = judgement.judge_cores(bound)
    assert verdict.level is Level.WARNING
    assert "ranks 1,3 of n1 are all bound to core 2" in verdict.found
    apart = ranks({}, {"cores": "2"}, {"cores": "2", "host": "n2"})
    assert judgement.judge_cores(apart).level is Level.OK


def test_blas_with_other_threads_than_asked_for():
    many = judgement.judge_blas(ranks({}, {"blas_threads": 16}), 1)
    assert (many.level, many.found) == (Level.WARNING, "rank 1 run 16, not 1")
    assert "OPENBLAS_NUM_THREADS" in many.remedy
    assert judgement.judge_blas(ranks({}, {}), 1).level is Level.OK
    untold = judgement.judge_blas(ranks(*[{"blas_threads": None}] * 2), 1)
    assert "does not tell" in untold.found


def test_blas_runs_no_more_threads_than_there_are_cores():
    two = {"cores": "0,4", "blas_threads": 2}
    capped = judgement.judge_blas(ranks(two, two), 8)
    assert (capped.level, capped.found) == (
        Level.WARNING,
        "ranks 0-1 run 2, not 8, as many as they have cores",
    )
    assert capped.remedy == (
        "ask for more cores for each rank, or say --blas-threads 2"
    )
    # More than they were told is no cap, nor is it where one rank has more cores.
    for changes, wanted in (([two, two], 1), ([two, {"blas_threads": 2}], 8)):
        other = judgement.judge_blas(ranks(*changes), wanted)
        assert "OPENBLAS_NUM_THREADS" in other.remedy


def gpus(*ids, n_gpus=2):
    return ranks({"n_gpus": n_gpus}, *({"device_id": i, "n_gpus": n_gpus} for i in ids))


def test_gpus_shared_missing_and_well_dealt():
    shared = judgement.judge_gpus(gpus("A", "B", "A"))
    assert "ranks 1,3 of n1 share one GPU" in shared.found
    assert "rank 2 have none" in judgement.judge_gpus(gpus("A", "")).found
    on_cores = judgement.judge_gpus(gpus("", ""), "cpu")
    assert (on_cores.level, on_cores.found[:17]) == (Level.OK, "none is asked for")
    good = judgement.judge_gpus(gpus("A", "B"))
    assert (good.level, good.found) == (Level.OK, "2 in use, none shared")
    # The same number on another host is another GPU.
    two_hosts = gpus("A", "A")
    two_hosts[2] = replace(two_hosts[2], host="n2")
    assert judgement.judge_gpus(two_hosts).level is Level.OK


def test_gpu_memory_that_mpi_damages_is_a_failure():
    whole = judgement.judge_transfers((), (), "it says so", is_root_on_gpu=False)
    assert whole == ok(
        "GPU memory",
        "MPI takes it, checked by transfers of workers' vectors both ways: it says so",
    )
    damaged = judgement.judge_transfers((2,), (0, 1, 3), "x", is_root_on_gpu=True)
    assert damaged == failure(
        "GPU memory",
        "MPI damages uploads of worker 2 and models to workers 0-1,3: x",
        "train --gpu-direct off",
    )


def test_threads_and_deaths():
    poor = judgement.judge_threads(ranks({}, {"thread_level": 0}), 1)
    assert poor.level is Level.FAILURE
    deaf = judgement.judge_deaths("Open MPI v5.0.11", survives=False)
    assert "--with-ft ulfm" in deaf.remedy
    assert judgement.judge_deaths("MPICH 5.0", survives=False).level is Level.OK
    assert judgement.judge_deaths("Open MPI v5", survives=True).level is Level.OK


@dataclass
class Way:
    latency_s: float = 1e-6
    bandwidth: float = 1e10
    clock_offset_s: float = 0.0


def test_a_way_that_is_far_slower_than_the_others_is_named():
    ways = [Way(), Way(latency_s=9e-6, bandwidth=1e9, clock_offset_s=-7.0), Way()]
    latency, bandwidth, clocks = judge_lines(ways, ["a", "b", "c"], "r")
    for verdict in (latency, bandwidth, clocks):
        assert verdict.level is Level.WARNING
        assert "worker 1 on b" in verdict.found
    assert "7000.0 ms" in clocks.found
    assert {v.level for v in judge_lines([Way()] * 3, "abc", "a")} == {Level.OK}


def test_a_network_is_slower_than_memory_and_no_fault():
    remote = Way(latency_s=4e-5, bandwidth=1e9)
    ways, hosts = [Way(), Way(), Way(), remote, remote], "aaabb"
    assert {v.level for v in judge_lines(ways, hosts, "a")} == {Level.OK}
    bad = Way(latency_s=4e-5, bandwidth=1e8)
    found = judge_lines([*ways, bad], [*hosts, "c"], "a")[1].found
    assert found.endswith("far behind: worker 5 on c")


@pytest.mark.parametrize(
    ("verdicts", "code", "strict_code"),
    [
        ([], 0, 0),
        ([ok("a", "b")], 0, 0),
        ([ok("a", "b"), warning("a", "b", "c")], 0, 1),
        ([failure("a", "b", "c"), ok("a", "b")], 1, 1),
    ],
)
def test_exit_code_by_the_worst(verdicts, code, strict_code):
    assert exit_code(verdicts, strict=False) == code
    assert exit_code(verdicts, strict=True) == strict_code


def test_json_has_all_verdicts_and_the_worst():
    found = json.loads(verdicts_json([ok("a", "b"), warning("c", "d", "e")]))
    assert found["worst"] == "warning"
    assert found["verdicts"][1] == {
        "item": "c",
        "level": "warning",
        "found": "d",
        "remedy": "e",
    }


def test_a_line_steers_no_terminal():
    line = Verdict("host \x1b[2J", Level.OK, "two\nlines").line()
    assert line == "OK      host ?[2J: two?lines"
