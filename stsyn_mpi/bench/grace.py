"""How good the learned time limits are: who is called late, what a hung rank costs.

The coordinator of a run is driven under a virtual clock by workers that answer a halt
after times drawn from a law and give their signs of life in between, as real ones do.

    python -m stsyn_mpi.bench.grace

prints the tables of docs/failures.md.
"""

from __future__ import annotations

import heapq
import itertools
import statistics
from collections.abc import Callable
from math import inf, log
from typing import Any

import numpy as np

from stsyn_mpi.protocol import commands as do
from stsyn_mpi.protocol import events as ev
from stsyn_mpi.protocol.coordinator import Coordinator, RunTerms
from stsyn_mpi.protocol.records import RoundRecord
from stsyn_mpi.schemes import build_strategy
from stsyn_mpi.strategies import SchemeTerms

N_WORKERS = 20
WORK_S = 0.2
MEDIAN_S = 0.1
ALIVE_S = 0.25
N_ROUNDS = 1000
N_HANGS = 20
HANG_ROUND = 30
LOG_2 = log(2)

Law = Callable[[np.random.Generator, int, int], float]
"""From a generator, a worker and a round to an answer time, in seconds."""


def _share(longer: float, share: float) -> Law:
    def draw(rng: np.random.Generator, worker: int, round_index: int) -> float:
        return MEDIAN_S * (longer if rng.random() < share else 1.0)

    return draw


def _drift(rng: np.random.Generator, worker: int, round_index: int) -> float:
    return MEDIAN_S * (1 + 9 * round_index / N_ROUNDS) * rng.exponential() / LOG_2


def _jump(rng: np.random.Generator, worker: int, round_index: int) -> float:
    longer = 10.0 if round_index >= N_ROUNDS // 2 else 1.0
    return MEDIAN_S * longer * float(rng.uniform(0.8, 1.2))


LAWS: dict[str, Law] = {
    "uniform, 1 to 2 ms": lambda r, w, j: r.uniform(1e-3, 2e-3),
    "uniform, 0.8 to 1.2 of the median": lambda r, w, j: MEDIAN_S * r.uniform(0.8, 1.2),
    "exponential": lambda r, w, j: MEDIAN_S * r.exponential() / LOG_2,
    "lognormal, sigma 0.5": lambda r, w, j: MEDIAN_S * r.lognormal(0.0, 0.5),
    "lognormal, sigma 1": lambda r, w, j: MEDIAN_S * r.lognormal(0.0, 1.0),
    "Pareto, alpha 2.5": lambda r, w, j: MEDIAN_S * (1 + r.pareto(2.5)) / 2**0.4,
    "Pareto, alpha 1.2": lambda r, w, j: (
        MEDIAN_S * (1 + r.pareto(1.2)) / 2 ** (1 / 1.2)
    ),
    "exponential, slowly 10 times as long": _drift,
    "uniform, 10 times as long at once": _jump,
    "two workers 5 times as slow": lambda r, w, j: MEDIAN_S * (5.0 if w < 2 else 1.0),
    "two workers 10 times as slow": lambda r, w, j: MEDIAN_S * (10.0 if w < 2 else 1.0),
    "15 % of answers 10 times as long": _share(10.0, 0.15),
    "2 % of answers 10 times as long": _share(10.0, 0.02),
}
"""Answer times; but for the first, with a median of `MEDIAN_S` at the beginning."""


class Rehearsal:
    """A coordinator (stsyn, M = 20, U = 1) among workers that answer as a law says.

    Parameters
    ----------
    law
        Of the answers.
    wait_for
        K.
    seed
        Of all draws.
    hangs_in
        Round in which worker 0 falls silent for good, while it works; None for none.
    payload_law
        Of the time from an answer to the end of its payload; it takes none by default.
    """

    def __init__(
        self,
        law: Law,
        wait_for: int,
        seed: int,
        hangs_in: int | None = None,
        payload_law: Law | None = None,
    ) -> None:
        scheme = SchemeTerms(N_WORKERS, wait_for, target_updates=1)
        strategy = build_strategy("stsyn", "auto", scheme)
        terms = RunTerms(N_WORKERS, alive_interval_s=ALIVE_S, eval_every=0)
        self._coordinator = Coordinator(strategy, terms)
        self._law, self._rng = law, np.random.default_rng(seed)
        self._payload_law = payload_law
        self._hangs_in, self._has_hung = hangs_in, False
        self._agenda: list[tuple[float, int, ev.Event]] = []
        self._order = itertools.count()
        self._deadline_t = inf
        self.records: list[RoundRecord] = []
        self.n_answers = 0

    def run(self, n_rounds: int) -> list[RoundRecord]:
        """Return the records of the first ``n_rounds`` rounds."""
        self._feed(ev.RunStarted(0.0))
        for worker in range(N_WORKERS):
            self._plan(self._rng.uniform(0.0, ALIVE_S), ev.AliveReported, worker)
        while len(self.records) < n_rounds:
            if self._deadline_t < self._agenda[0][0]:
                t, self._deadline_t = self._deadline_t, inf
                self._feed(ev.DeadlinePassed(t))
            else:
                self._live(heapq.heappop(self._agenda)[2])
        return self.records

    def _plan(self, t: float, kind: Callable[..., ev.Event], *details: Any) -> None:
        heapq.heappush(self._agenda, (t, next(self._order), kind(t, *details)))

    def _live(self, event: ev.Event) -> None:
        if self._has_hung and getattr(event, "worker", None) == 0:
            return
        if isinstance(event, ev.AliveReported):
            self._plan(event.t + ALIVE_S, ev.AliveReported, event.worker)
        self.n_answers += isinstance(event, ev.UploadAnnounced)
        self._feed(event)

    def _feed(self, event: ev.Event) -> None:
        for command in self._coordinator.handle(event):
            if isinstance(command, do.SendModel):
                self._send(command, event.t)
            elif isinstance(command, do.HaltWorkers):
                for worker in command.workers:
                    self._halt(worker, command.round, event.t)
            elif isinstance(command, do.SetDeadline):
                self._deadline_t = command.t
            elif isinstance(command, do.RecordRound):
                self.records.append(command.record)

    def _send(self, command: do.SendModel, t: float) -> None:
        worker, index = command.worker, command.round
        if worker == 0 and index == self._hangs_in:
            self._has_hung = True
        self._plan(t, ev.ModelDelivered, worker)
        work_s = WORK_S * self._rng.uniform(0.8, 1.2)
        self._plan(t + work_s, ev.ProgressReported, worker, index, 1)

    def _halt(self, worker: int, index: int, t: float) -> None:
        self._plan(t, ev.ControlDelivered, worker)
        t += self._law(self._rng, worker, index)
        answer = (1, 0, True, True, 0.0, 0.0)
        self._plan(t, ev.UploadAnnounced, worker, index, *answer)
        if self._payload_law is not None:
            t += self._payload_law(self._rng, worker, index)
        self._plan(t, ev.UploadReceived, worker, index, True)


def false_marks(law: Law, n_rounds: int = N_ROUNDS) -> float:
    """Return how many of 10,000 answers of healthy workers miss the grace time."""
    rehearsal = Rehearsal(law, N_WORKERS // 2, seed=1)
    n_late = sum(record.n_late for record in rehearsal.run(n_rounds))
    return 1e4 * n_late / rehearsal.n_answers


def late_payloads(law: Law, n_rounds: int = N_ROUNDS) -> tuple[float, int]:
    """Return how many of 10,000 payloads come too late, and rounds without any upload.

    Workers answer within 1 to 2 ms, and all of them are waited for.
    """
    answers = next(iter(LAWS.values()))
    records = Rehearsal(answers, N_WORKERS, 1, payload_law=law).run(n_rounds)
    n_late = sum(record.n_late for record in records)
    n_empty = sum(not record.n_uploads for record in records)
    return 1e4 * n_late / (N_WORKERS * n_rounds), n_empty


def cost_of_hanging(law: Law, wait_for: int, n_hangs: int = N_HANGS) -> float:
    """Return by how many seconds a hung rank prolongs the round it hangs in, median."""
    costs = []
    for seed in range(n_hangs):
        rehearsal = Rehearsal(law, wait_for, seed, hangs_in=HANG_ROUND)
        ends = [record.collected_t for record in rehearsal.run(HANG_ROUND + 1)]
        lasted = np.diff(ends)
        costs.append(float(lasted[-1] - np.median(lasted[:-1])))
    return statistics.median(costs)


def print_tables() -> None:
    """Print a row for each law, in Markdown, of answers and of payloads."""
    some, everybody = N_WORKERS // 2, N_WORKERS
    costs_of = f"a hung rank costs (s), K = {some} | K = {everybody}"
    print(f"| answer times, median {MEDIAN_S:g} s | late of 10,000 | {costs_of} |")
    print("|---|---|---|---|")
    for name, law in LAWS.items():
        costs = [cost_of_hanging(law, wait_for) for wait_for in (some, everybody)]
        print(f"| {name} | {false_marks(law):.1f} | {costs[0]:.2f} | {costs[1]:.2f} |")
    columns = "late of 10,000 | rounds of 1,000 without an upload"
    print(f"\n| payload times, median {MEDIAN_S:g} s | {columns} |")
    print("|---|---|---|")
    for name, law in list(LAWS.items())[1:]:
        n_late, n_empty = late_payloads(law)
        print(f"| {name} | {n_late:.1f} | {n_empty} |")


if __name__ == "__main__":
    print_tables()
