"""Who was slow, as the terminal and ``--json`` show it."""

import dataclasses
import io
import json

import pytest
from rich.console import Console

from stsyn_mpi.analysis.straggler_table import cost_sentence, straggler_tables
from stsyn_mpi.analysis.stragglers import HostPace, StragglerReport, WorkerPace
from stsyn_mpi.cli.main import run as run_command


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")


def worker(m, speed=1.0, pattern="", host="node", **more):
    figures = {
        "n_updates": 1_234_567,
        "update_s": 0.02,
        "share_straggled": 0.999,
        "waited_local_sgd_s": 12_345.678,
        "waited_here_s": 1_234.567,
        "p_value": 1e-9,
    }
    return WorkerPace(
        worker=m,
        host=host,
        speed=speed,
        pattern=pattern,
        is_flagged=bool(pattern),
        **figures | more,
    )


def host(name, workers, pattern=""):
    return HostPace(name, workers, 0.5, 0.9, 8.0, 4.0, pattern, bool(pattern))


def report(workers, hosts=(), local_sgd_s=30.0, here_s=10.0, note=""):
    return StragglerReport(
        tuple(workers), tuple(hosts), local_sgd_s, here_s, note, n_rounds=20
    )


def printed(found):
    stream = io.StringIO()
    Console(file=stream, width=80).print(straggler_tables(found))
    return stream.getvalue()


def rows(text):
    """Return the first words of all rows of tables."""
    tables = [block.split("\n  ") for block in text.split("─ \n")[1:]]
    words = [line.split() for table in tables for line in table]
    return [row[0] for row in words if row and row[0].isdigit() and row[1] == "node"]


def test_flagged_workers_come_first_then_the_slowest():
    found = report(
        (
            worker(0, 0.8),
            worker(1),
            worker(2, 0.95, "sporadic"),
            worker(3, None),
            worker(4, 0.3, "persistent"),
        )
    )
    text = printed(found)
    assert rows(text) == ["4", "2", "0", "1", "3"]
    assert "who was slow: worker 2, 4" in text
    assert text.count("persistent") == text.count("sporadic") == 1


def test_at_most_16_workers_are_shown():
    flagged = [worker(m, 0.5, "persistent") for m in range(100, 120)]
    text = printed(report([*(worker(m) for m in range(100)), *flagged]))
    assert len(rows(text)) == 16
    assert "104 more workers not shown" in text


def test_hosts_are_shown_where_there_are_several():
    workers = [worker(m, host="node") for m in range(4)]
    one = report(workers, [host("n0", (0, 1, 2, 3))])
    assert len(rows(printed(one))) == 4
    several = report(workers, [host("n0", (0, 1)), host("n1", (2, 3), "persistent")])
    text = printed(several)
    assert "persistent" in text
    assert text.rindex("n1") < text.rindex("n0")


def test_wide_figures_fit_80_columns():
    name = "a-very-long-host-name.of.some.cluster.example.org"
    workers = [
        dataclasses.replace(worker(m, 0.01, "persistent"), host=name)
        for m in range(99_990, 99_995)
    ]
    hosts = [host(name, tuple(range(1000)), "persistent"), host("b", (1,))]
    text = printed(report(workers, hosts))
    assert max(map(len, text.splitlines())) <= 80
    assert "persistent" in text
    assert text.count("persistent") == 6
    assert text.count("a-very-") == 6
    assert "12,345.68" in text


def test_a_host_name_does_not_steer_the_terminal():
    text = printed(report([worker(0, host="\x1b[2J[red]x")]))
    assert "\x1b" not in text
    assert "[red]x" in text


def test_the_sentence_says_what_waiting_would_have_cost():
    sentence = cost_sentence(report([worker(0)]))
    assert "would have cost at least 20 s more" in sentence
    assert "1.5 s a round (local SGD) against 0.5 s" in sentence
    waited = cost_sentence(report([worker(0)], local_sgd_s=10.0))
    assert waited == "The rounds waited for all: 0.5 s a round, as in local SGD."


@pytest.mark.parametrize(("n_updates", "bound"), [(100, "at least"), (99, "about")])
def test_the_sentence_promises_a_bound_only_where_paces_are_known(n_updates, bound):
    sentence = cost_sentence(report([worker(0), worker(1, n_updates=n_updates)]))
    assert f"would have cost {bound} 20 s more" in sentence
    assert sentence.endswith("against 0.5 s.")


def test_the_sentence_names_who_completed_next_to_nothing():
    sentence = cost_sentence(report([worker(0), worker(1, n_updates=2)]))
    assert sentence.endswith(" Worker 1 completed 2 updates: its pace is hardly known.")


def test_what_nobody_can_tell_has_no_column_and_a_reason():
    blank = {
        "share_straggled": None,
        "waited_local_sgd_s": None,
        "waited_here_s": None,
        "p_value": None,
    }
    found = report([worker(0, **blank)], (), None, None, "Nobody waits here.")
    text = printed(found)
    assert "Nobody waits here." in text
    assert "who was slow: unknown" in text
    assert "speed" in text
    assert "cost" not in text
    assert "?" not in text


def test_nobody_is_slow_beyond_chance():
    assert "nobody, beyond chance" in printed(report([worker(0), worker(1)]))


def test_the_report_command_prints_it_and_json_has_it(capsys, run_path):
    assert run_command(["report", str(run_path)]) == 0
    text = capsys.readouterr().out
    assert "who was slow: worker 7" in text
    assert "would have cost at least" in text
    assert "n1" in text[text.index("who was slow") :]
    assert run_command(["report", str(run_path), "--json"]) == 0
    (summary,) = json.loads(capsys.readouterr().out)
    found = summary["stragglers"]
    assert found["local_sgd_s"] > found["here_s"] > 0
    assert len(found["workers"]) == 8
    assert found["workers"][7]["pattern"] == "persistent"
    assert [h["workers"] for h in found["hosts"]] == [[0, 1, 2, 3], [4, 5, 6, 7]]
