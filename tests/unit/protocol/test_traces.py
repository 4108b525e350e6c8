"""Scenarios with the commands they must cause, each in a text file of its own.

``WRITE_TRACES=1 pytest tests/unit/protocol/test_traces.py`` writes the commands anew;
the difference is to be read against the rule before it is kept.
"""

import os
from pathlib import Path

import pytest
from trace_text import run_scenario

TRACES = sorted((Path(__file__).parent / "traces").glob("*.txt"))


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_trace(path):
    expected = path.read_text()
    actual = run_scenario(expected)
    if os.environ.get("WRITE_TRACES"):
        path.write_text(actual)
        expected = actual
    assert actual == expected


def test_there_are_traces():
    assert len(TRACES) >= 80
