import dataclasses
import re

import pytest
from compared_run import write_rows

from stsyn_mpi.config import TrainConfig
from stsyn_mpi.errors import InputError
from stsyn_mpi.simulate_config import SimulateConfig
from stsyn_mpi.study.combinations import combinations
from stsyn_mpi.study.config import StudyConfig

DEFAULTS = {"workers": 4, "model": "softmax", "delay": "constant:mean=1s"}


@pytest.fixture
def plan(tmp_path):
    def make(strategies, **options):
        options = DEFAULTS | {"out": str(tmp_path)} | options
        study = StudyConfig.from_sources(None, {"strategies": strategies} | options)
        return combinations(study)

    return make


def test_each_scheme_runs_with_each_seed(plan):
    wanted = plan("stsyn:K=1,local-sgd", seeds=2, seed=7, target=0.8, rounds=5)
    assert [str(one) for one in wanted] == [
        "stsyn:K=1 seed 7",
        "local-sgd seed 7",
        "stsyn:K=1 seed 8",
        "local-sgd seed 8",
    ]
    first = wanted[0].config
    assert isinstance(first, SimulateConfig)
    assert (first.strategy, first.wait_for, first.seed) == ("stsyn", 1, 7)
    assert (first.target_accuracy, first.rounds) == (0.8, 5)
    assert wanted[1].config.wait_for == 4


def test_files_are_named_by_scheme_seed_and_key(plan, tmp_path):
    (one,) = plan("flanp:first=3,U=5")
    assert one.path.parent == tmp_path
    assert re.fullmatch(r"flanp-K4-U5-first3-seed0-[0-9a-f]{12}\.h5", one.path.name)
    assert one.config.out == str(one.path)


def test_the_same_run_has_the_same_file_however_it_is_asked_for(plan):
    (one,) = plan("stsyn:K=2,U=3")
    (same,) = plan("stsyn", wait_for=2, target_updates=3)
    (other,) = plan("stsyn:K=2", target_updates=4)
    assert one.path == same.path
    assert one.path != other.path


def test_a_real_run_is_another_run(plan):
    (one,), (real,) = plan("stsyn"), plan("stsyn", real=True)
    assert type(real.config) is TrainConfig
    assert re.match(r"stsyn-K2-U10-real-seed0-", real.path.name)
    assert one.path != real.path


@pytest.mark.parametrize(
    ("strategies", "options", "said"),
    [
        ("stsyn,stsyn", {}, "'stsyn' and 'stsyn' are the same scheme"),
        ("stsyn,stsyn:K=3", {"wait_for": 3}, "'stsyn:K=3' are the same"),
        ("stsyn:K=2,stsyn:K=02", {}, "are the same scheme"),
        ("stsyn,stsin", {}, "unknown --strategy 'stsin'.*did you mean 'stsyn'"),
        ("stsyn,flanp:fist=2", {}, "'flanp' has no parameter 'fist'.*'first'"),
        ("stsyn,stsyn:K=9", {}, "stsyn:K=9: .*K <= M = 4, got 9"),
        ("stsyn", {"lr": -1.0}, "^--lr must be positive"),
        ("stsyn", {"fault": ("sleep:worker=0,round=1,duration=1s",)}, "--fault"),
        ("stsyn", {"data": "nowhere.h5"}, "nowhere.h5"),
        ("stsyn", {"model": "cn"}, "did you mean 'cnn'"),
        ("stsyn", {"workers": 5000, "partition": "iid"}, "5000"),
        ("stsyn", {"delay": "none"}, "how long a local update takes"),
        ("stsyn", {"delay": "constant:mean=1s,factors=1/0/1/1"}, "factor"),
    ],
)
def test_what_no_run_would_take_is_refused_first(plan, strategies, options, said):
    with pytest.raises(InputError, match=said):
        plan(strategies, **options)


def test_timing_needs_no_sample_for_every_worker(plan):
    (one,) = plan("stsyn", workers=5000, timing_only=True)
    assert one.config.workers == 5000
    with pytest.raises(InputError, match="5000"):
        plan("stsyn,local-sgd", workers=5000, timing_only=True, weights="samples")


def test_real_workers_take_time_without_a_delay(plan):
    (one,) = plan("stsyn", real=True, delay="none")
    assert one.config.delay == "none"


ROWS = [{"wall_s": 1.0, "test_accuracy": 0.3}, {"wall_s": 2.0, "test_accuracy": 0.8}]


@pytest.mark.parametrize(
    ("target", "how", "kept"),
    [
        (0.9, {"state": "done"}, True),
        (0.8, {"state": "stopped", "reason": "target accuracy 0.8 reached"}, True),
        (0.9, {"state": "stopped", "reason": "time limit reached"}, True),
        (0.9, {"state": "stopped", "reason": "SIGTERM to the root"}, False),
        (None, {"state": "stopped", "reason": "SIGINT"}, False),
        (0.8, {"state": "running"}, False),
        (0.8, {"state": "failed", "reason": "every upload had NaN"}, False),
        (0.8, {"state": "lost"}, False),
        (0.8, {"state": "interrupted"}, False),
    ],
)
def test_only_a_run_that_ended_by_its_own_terms_is_kept(plan, target, how, kept):
    (one,) = plan("stsyn", target=target)
    assert not one.is_kept()
    write_rows(one.path, ROWS, **how)
    assert one.is_kept() is kept


def test_a_damaged_file_is_not_kept(plan):
    (one,) = plan("stsyn")
    write_rows(one.path, ROWS)
    assert one.is_kept()
    one.path.write_bytes(one.path.read_bytes()[:1000])
    assert not one.is_kept()


def test_the_key_is_that_of_the_resolved_options(plan):
    (one,) = plan("stsyn", rounds=100)
    (same,) = plan("stsyn")
    (other,) = plan("stsyn", rounds=101)
    assert one.path == same.path != other.path
    assert dataclasses.replace(one.config, rounds=101, out=None) == (
        dataclasses.replace(other.config, out=None)
    )
