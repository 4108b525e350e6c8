"""Advice on terminals of any width."""

import io

import pytest
from rich.console import Console

from stsyn_mpi.tuning.grid import read_wishes
from stsyn_mpi.tuning.request import Request
from stsyn_mpi.tuning.table import print_advice
from stsyn_mpi.tuning.tune import tune

pytestmark = pytest.mark.timeout(120)


def test_ratios_stand_beside_their_schemes_at_any_width(costly, quiet):
    wishes = read_wishes("stsyn,k-sync:K=4", "4", "10,20")
    request = Request(
        costly, noise=float("inf"), wishes=wishes, n_seeds=2, model="softmax"
    )
    advice = tune(request, quiet)
    shown = []
    for width in (30, 56, 64, 80, 200):
        file = io.StringIO()
        print_advice(advice, Console(file=file, width=width))
        text = file.getvalue()
        assert "…" not in text
        rows = [line.split() for line in text.splitlines() if "  " in line.strip()]
        shown.append(
            [row for row in rows if row[0] in {it.label for it in advice.ranked}]
        )
    assert len(shown[0]) == len(advice.ranked)
    assert all(rows == shown[0] for rows in shown)
    assert all(len(row) >= 4 for row in shown[0])
