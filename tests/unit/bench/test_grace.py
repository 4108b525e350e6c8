"""The study of the learned time limits: it marks and measures what it says."""

import pytest

from stsyn_mpi.bench import grace
from stsyn_mpi.bench.grace import LAWS, Rehearsal

HUNG_S = 10 * grace.ALIVE_S


def test_healthy_workers_are_never_called_late_by_a_narrow_law():
    assert grace.false_marks(LAWS["exponential"], n_rounds=100) == 0


def test_rare_answers_beyond_the_limit_are_called_late():
    """Two in a hundred take 10 medians; the limit is 6: a spread of half a median."""
    marks = grace.false_marks(LAWS["2 % of answers 10 times as long"], n_rounds=200)
    assert 100 < marks < 300


@pytest.mark.parametrize(("wait_for", "limit_s"), [(10, 0.6), (20, HUNG_S)])
def test_a_hung_rank_costs_one_limit(wait_for, limit_s):
    law = LAWS["uniform, 0.8 to 1.2 of the median"]
    cost_s = grace.cost_of_hanging(law, wait_for, n_hangs=3)
    assert 0.5 * limit_s < cost_s < limit_s


@pytest.mark.parametrize("name", LAWS)
def test_payloads_that_become_slower_are_used_again(name):
    """However slow they are: a limit that nobody meets would end all learning."""
    kept = Rehearsal(LAWS["uniform, 1 to 2 ms"], 20, 1, payload_law=LAWS[name]).run(60)
    assert all(record.n_uploads for record in kept)
    slower = Rehearsal(
        LAWS["uniform, 1 to 2 ms"],
        20,
        seed=1,
        payload_law=lambda r, w, j: LAWS[name](r, w, j) * (20 if j >= 30 else 1),
    )
    used = [record.n_uploads for record in slower.run(60)]
    assert sum(n == 0 for n in used) <= 3
    assert sum(used[50:]) > 10 * 16


def test_the_rank_that_hangs_is_missed_from_then_on():
    rehearsal = Rehearsal(LAWS["exponential"], 20, seed=3, hangs_in=8)
    records = rehearsal.run(12)
    assert [record.n_hung for record in records] == [0] * 8 + [1] * 4
    assert [record.wait_for for record in records] == [20] * 8 + [19] * 4


def test_the_tables_have_a_row_for_each_law(monkeypatch, capsys):
    monkeypatch.setattr(grace, "false_marks", lambda law: 0.0)
    monkeypatch.setattr(grace, "cost_of_hanging", lambda law, wait_for: 0.0)
    monkeypatch.setattr(grace, "late_payloads", lambda law: (0.0, 0))
    grace.print_tables()
    answers, payloads = capsys.readouterr().out.split("\n\n")
    assert len(answers.splitlines()) == 2 + len(LAWS)
    assert {line.count("|") for line in answers.splitlines()} == {5}
    assert len(payloads.splitlines()) == 2 + len(LAWS) - 1
    assert {line.count("|") for line in payloads.splitlines()} == {4}
