import pytest

from stsyn_mpi.study.config import StudyConfig
from stsyn_mpi.study.header import Header


def header(**options):
    options = {"strategies": "stsyn", "workers": 4} | options
    return Header(StudyConfig.from_sources(None, options), "virtual")


@pytest.mark.parametrize(
    ("options", "rounds", "said"),
    [
        ({"target": 0.9}, 10_000, "at most 10,000 rounds"),
        ({}, 100, "at most 100 rounds"),
        ({"target": 0.9, "rounds": 7}, 7, "at most 7 rounds"),
        ({"target": 0.9, "time_limit": 90.0}, None, "at most 90 s"),
        ({"rounds": 7, "time_limit": "2m"}, 7, "at most 7 rounds or 120 s"),
    ],
)
def test_what_bounds_the_runs_is_said(options, rounds, said):
    head = header(**options)
    assert head.to_dict()["rounds"] == rounds
    assert head.lines()[-1].endswith(f"; {said}")
