"""Scenarios as text: an event a line, its commands indented below it.

A scenario begins with comments (``#``) and one line that names scheme and terms. An
event line is ``<t> <what> <operands>``; several workers at one instant may share a
line (``w0,w2``), and their commands follow in that order.
"""

from math import inf, isnan, nan

from stsyn_mpi.protocol import commands as do
from stsyn_mpi.protocol import events as ev
from stsyn_mpi.protocol.coordinator import Coordinator, RunTerms
from stsyn_mpi.protocol.validation import validate
from stsyn_mpi.schemes import build_strategy, parse_scheme
from stsyn_mpi.strategies import SchemeTerms

INDENT = "    "
_COUNTS = {
    "late": "n_late",
    "hung": "n_hung",
    "lost": "n_lost",
    "stale": "n_stale",
    "refused": "uploads_refused",
}


class Operands:
    """The words of an event line after its time."""

    def __init__(self, words):
        pairs = dict(word.split("=") for word in words if "=" in word)
        self.numbers = {key: float(value) for key, value in pairs.items()}
        self.flags = {word for word in words if "=" not in word}
        rounds = [word[1:] for word in words if word[0] == "r" and word[1:].isdigit()]
        self.round = int(rounds[0]) if rounds else -1
        lists = [word for word in words if word[0] == "w" and word[1:2].isdigit()]
        names = lists[0].split(",") if lists else ["w-1"]
        self.workers = [int(name[1:]) for name in names]

    def count(self, name):
        return int(self.numbers.get(name, 0))


def _answer(t, w, o):
    n = o.count("n")
    return ev.UploadAnnounced(
        t=t,
        worker=w,
        round=o.round,
        n_updates=n,
        n_cancelled=o.count("cancelled"),
        has_payload="payload" in o.flags,
        answers_halt="halted" in o.flags,
        loss_sum=o.numbers.get("loss", 0.5 * n),
        target_s=o.numbers.get("target", nan),
    )


_EVENTS = {
    "start": lambda t, w, o: ev.RunStarted(t),
    "report": lambda t, w, o: ev.ProgressReported(t, w, o.round, o.count("n")),
    "answer": _answer,
    "payload": lambda t, w, o: ev.UploadReceived(t, w, o.round, "nan" not in o.flags),
    "model-sent": lambda t, w, o: ev.ModelDelivered(t, w),
    "halt-sent": lambda t, w, o: ev.ControlDelivered(t, w),
    "alive": lambda t, w, o: ev.AliveReported(t, w),
    "lost": lambda t, w, o: ev.WorkerLost(t, w),
    "deadline": lambda t, w, o: ev.DeadlinePassed(t),
    "evaluated": lambda t, w, o: ev.EvaluationFinished(
        t, o.round, o.numbers["accuracy"]
    ),
    "step": lambda t, w, o: ev.StepMeasured(t, o.round, o.numbers["norm"]),
    "stop": lambda t, w, o: ev.StopRequested(t, "asked"),
}


def parse_events(line):
    """Return the events of one line."""
    time, what, *words = line.split()
    operands = Operands(words)
    make = _EVENTS[what]
    return [make(float(time), worker, operands) for worker in operands.workers]


def names(workers):
    return ",".join(f"w{worker}" for worker in workers) or "nobody"


def seconds(value):
    return "-" if isnan(value) else "never" if value == inf else f"{value:.6g}"


def _send(c):
    at = c.at_target.name.lower().replace("_", "-")
    every = f" every={c.report_every}" if c.report_every else ""
    payload = c.payload.name.lower().replace("_", "-")
    return f"send w{c.worker} r{c.round} U={c.target_updates} {at} {payload}{every}"


def _halt(c):
    upload = "upload" if c.wants_upload else "no upload"
    return f"halt {names(c.workers)} r{c.round} ({upload})"


def _record(c):
    r = c.record
    counts = [f"{k}={getattr(r, f)}" for k, f in _COUNTS.items() if getattr(r, f)]
    head = (
        f"record r{r.round} K={r.wait_for} U={r.target_updates} "
        f"kth={seconds(r.kth_arrival_t)} closed={seconds(r.closed_t)} "
        f"collected={seconds(r.collected_t)} grace={seconds(r.grace_s)}"
    )
    uploads = f"uploaders={r.n_uploaders} uploads={r.n_uploads}"
    updates = (
        f"done={r.updates_done} used={r.updates_used} dropped={r.updates_dropped} "
        f"cancelled={r.updates_cancelled}"
    )
    models = f"up={r.models_up} down={r.models_down} loss={seconds(r.train_loss)}"
    workers = zip(r.worker_status, r.worker_updates, r.worker_staleness, strict=True)
    table = ", ".join(
        f"w{i} {status.name.lower()} {n}" + (f" stale={stale}" if stale else "")
        for i, (status, n, stale) in enumerate(workers)
    )
    account = " ".join([uploads, updates, models, *counts])
    return f"{head}\n{INDENT}  {account}\n{INDENT}  {table}"


def _end(c):
    return f"end {names(c.workers)}" + (" finalize" if c.finalize else "")


def _finish(c):
    reason = f'"{c.reason}"'
    return (
        f"finish {c.outcome} {reason} unreachable={names(c.unreachable)} "
        f"cut={c.updates_cut}"
    )


_COMMANDS = {
    do.SendModel: _send,
    do.HaltWorkers: _halt,
    do.ReceiveUpload: lambda c: f"receive w{c.worker} r{c.round}",
    do.Aggregate: lambda c: f"add {c.weight:.6g} * w{c.worker} r{c.round}",
    do.DropUpload: lambda c: f"drop w{c.worker} r{c.round}",
    do.UpdateModel: lambda c: (
        f"update r{c.round} scale={c.scale:.6g}" + " measured" * c.measures_step
    ),
    do.EvaluateModel: lambda c: (
        f"evaluate r{c.round}" + (" final" if c.is_final else "")
    ),
    do.SetDeadline: lambda c: f"deadline {seconds(c.t)}",
    do.RecordRound: _record,
    do.RecordChange: lambda c: (
        f"change after r{c.change.round} K={c.change.wait_for} "
        f"U={c.change.target_updates}"
    ),
    do.ReportAbsence: lambda c: f"{c.status.name.lower()} w{c.worker} K={c.wait_for}",
    do.EndWorkers: _end,
    do.Finish: _finish,
}


def command_text(command):
    return INDENT + _COMMANDS[type(command)](command)


def parse_terms(line):
    """Return the coordinator of a line such as ``stsyn M=3 K=2 U=2 rounds=1``.

    A scheme may have parameters (``flanp:first=1``), and ``weights=`` of its own.
    """
    name, *words = line.split()
    values = dict(word.split("=", 1) for word in words)
    n_workers = int(values.pop("M"))
    wait_for, target = int(values.pop("K", n_workers)), int(values.pop("U", 1))
    samples = values.pop("samples", "").split(",")
    k, u = parse_scheme(name).sizes(wait_for, target, n_workers)
    scheme = SchemeTerms(
        n_workers,
        k,
        u,
        seed=int(values.pop("seed", 0)),
        n_samples=tuple(int(number) for number in samples if number),
    )
    strategy = build_strategy(name, values.pop("weights", "auto"), scheme)
    terms = RunTerms(
        n_workers=n_workers,
        n_rounds=int(values.pop("rounds")) if "rounds" in values else None,
        time_limit_s=float(values.pop("limit")) if "limit" in values else None,
        target_accuracy=float(values.pop("target")) if "target" in values else None,
        eval_every=int(values.pop("evaluate", 0)),
        alive_interval_s=float(values.pop("alive")) if "alive" in values else None,
        is_deterministic=bool(int(values.pop("deterministic", 0))),
        min_workers=int(values.pop("least", 1)),
        first_round=int(values.pop("first", 0)),
    )
    assert not values, f"unknown terms: {values}"
    return Coordinator(strategy, terms)


def run_scenario(text):
    """Return the scenario with the commands that its events cause now."""
    coordinator, lines = None, []
    for line in text.splitlines():
        if line.startswith(" "):
            continue
        lines.append(line)
        if not line or line.startswith("#"):
            continue
        if coordinator is None:
            coordinator = parse_terms(line)
            continue
        for event in parse_events(line):
            lines += [command_text(c) for c in coordinator.handle(event)]
            validate(coordinator)
    return "\n".join(lines) + "\n"
