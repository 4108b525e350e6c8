from pathlib import Path

import pytest

from stsyn_mpi.errors import InputError
from stsyn_mpi.study.config import StudyConfig

ENOUGH = {"strategies": ["stsyn,local-sgd"], "workers": 4}


def test_flags_win_over_the_file(tmp_path):
    path = tmp_path / "paper.toml"
    path.write_text(
        'strategies = ["stsyn:K=1,U=2", "async"]\ntarget = 0.7\nseeds = 2\n'
        'workers = 8\nwait-for = 3\nout = "runs/paper"\n'
    )
    study = StudyConfig.from_sources(path, {"target": 0.9, "wait_for": 4, "lr": None})
    assert study.strategies == ("stsyn:K=1,U=2", "async")
    assert (study.target, study.seeds, study.name) == (0.9, 2, "paper")
    assert (study.common.workers, study.common.wait_for) == (8, 4)
    assert study.folder == Path("runs/paper")


def test_what_is_not_given_has_a_default():
    study = StudyConfig.from_sources(None, ENOUGH).validate()
    assert (study.target, study.real, study.name) == (None, False, "")
    assert list(study.seed_values) == [0]
    assert study.folder == Path("runs/compare")
    assert not study.common.record_updates


def test_seeds_count_from_the_seed():
    study = StudyConfig.from_sources(None, ENOUGH | {"seeds": 3, "seed": 5})
    assert list(study.seed_values) == [5, 6, 7]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"strategies": []}, "--strategies is missing"),
        ({"workers": None}, "--workers is missing"),
        ({"seeds": 0}, "--seeds must be a whole number >= 1.*got 0"),
        ({"seeds": 2, "seed": 2**63 - 1}, "--seeds must be"),
        ({"seed": 2**64}, f"--seed must be below .*got {2**64}"),
        ({"target": 0.5, "eval_every": 0}, "^--target needs --eval-every"),
        ({"target": 1.5}, "--target must be a share.*got 1.5"),
        ({"target": 80.0}, "--target must be a share.*got 80.0"),
        ({"target": float("nan")}, "--target must be a share"),
        ({"target": 0.5, "timing_only": True}, "never reached with --timing-only"),
        ({"real": True, "timing_only": True}, "not for --real"),
        ({"real": True, "network": "constant:cost=1s"}, "is for simulated runs"),
    ],
)
def test_what_makes_no_comparison_is_refused(options, said):
    with pytest.raises(InputError, match=said):
        StudyConfig.from_sources(None, ENOUGH | options).validate()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"strategy": "stsyn"}, "--strategy: a comparison takes strategies"),
        ({"target_accuracy": 0.5}, "a comparison takes target$"),
        (
            {"stratgies": "stsyn"},
            "unknown option 'stratgies'.*mean 'strategies'",
        ),
        ({"log_dir": "x"}, "--log-dir: a comparison keeps the log"),
        ({"sedes": 2}, "did you mean 'seed"),
        ({"seeds": "two"}, "--seeds must be a whole number"),
        ({"target": "0.8"}, "--target must be a number"),
    ],
)
def test_wrong_keys_and_types_are_named(options, said):
    with pytest.raises(InputError, match=said):
        StudyConfig.from_sources(None, ENOUGH | options)


def test_the_command_that_lists_the_keys_is_named(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text("zzzz = 1")
    with pytest.raises(InputError, match="see stsyn-mpi compare --help"):
        StudyConfig.from_sources(path, ENOUGH)


def test_a_file_with_a_wrong_key_is_named(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text('strategy = "stsyn"\n')
    with pytest.raises(InputError, match=r"strategy in configuration '.*study.toml'"):
        StudyConfig.from_sources(path, {})
