"""Stragglers by name: who was slow, for how long, and what it cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from stsyn_mpi.analysis.arrivals import (
    PaceSums,
    RoundKind,
    add_all,
    add_until_target,
    arrival_times,
    relative_speed,
    round_kind,
)
from stsyn_mpi.analysis.straggler_tests import score_rounds
from stsyn_mpi.analysis.teams import Teams
from stsyn_mpi.analysis.verdicts import Evidence, Verdict
from stsyn_mpi.analysis.waiting import WaitingCost
from stsyn_mpi.analysis.worker_rounds import (
    WorkerRounds,
    read_worker_rounds,
    worker_hosts,
)
from stsyn_mpi.runfile.reader import Run

ReadRounds = Callable[[], Iterable[WorkerRounds]]
"""Reads the rounds of a run from the first on, whenever it is called."""


@dataclass(frozen=True)
class WorkerPace:
    """How fast a worker was; None where nobody can tell.

    Attributes
    ----------
    worker, host, n_updates
        Its index, its host ("" if unknown), its completed updates.
    update_s
        Seconds an update, injected delays and the time of cancelled ones included.
    speed
        Updates a second, relative to the median worker.
    share_straggled
        Share of the rounds it took part in that closed before it reached U.
    waited_local_sgd_s, waited_here_s
        Seconds that would have been saved under local SGD, and under this scheme, if
        it had always arrived with the median worker.
    pattern
        ``persistent``, ``sporadic`` or "".
    is_flagged
        Whether it is called a straggler.
    p_value
        Probability that chance alone makes it look so slow.
    """

    worker: int
    host: str
    n_updates: int
    update_s: float | None
    speed: float | None
    share_straggled: float | None
    waited_local_sgd_s: float | None
    waited_here_s: float | None
    pattern: str
    is_flagged: bool
    p_value: float | None


@dataclass(frozen=True)
class HostPace:
    """The same of a host: its speed is that of its median worker."""

    host: str
    workers: tuple[int, ...]
    speed: float | None
    share_straggled: float | None
    waited_local_sgd_s: float | None
    waited_here_s: float | None
    pattern: str
    is_flagged: bool


@dataclass(frozen=True)
class StragglerReport:
    """All workers and hosts, and what waiting came to.

    Attributes
    ----------
    workers, hosts
        In order of index, and of a host's first worker; no hosts where unknown.
    local_sgd_s, here_s
        Seconds that local SGD would have waited for arrivals, and that this run
        waited; None where the scheme waits for no workers.
    note
        One sentence that says what is None and why; empty where nothing is.
    n_rounds
        Rounds in these sums.
    """

    workers: tuple[WorkerPace, ...]
    hosts: tuple[HostPace, ...]
    local_sgd_s: float | None
    here_s: float | None
    note: str
    n_rounds: int = 0


def find_stragglers(run: Run) -> StragglerReport:
    """Find out who was slow in a run.

    Parameters
    ----------
    run : Run
        An open run. It is read in pieces, twice.

    Returns
    -------
    StragglerReport
        See docs/stragglers.md for the tests and how often they are wrong.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    hosts = worker_hosts(run)
    kind = round_kind(run.config)
    return analyse_rounds(lambda: read_worker_rounds(run), hosts, kind)


def analyse_rounds(
    read: ReadRounds, hosts: Sequence[str], kind: RoundKind
) -> StragglerReport:
    """Find out who was slow in rounds from anywhere.

    Parameters
    ----------
    read : callable
        Reads the rounds; it is called twice.
    hosts : sequence of str
        Host of each worker, "" if unknown.
    kind : RoundKind
        What the scheme allows to say.
    """
    tally = _Tally(hosts)
    # Who completed nothing has no pace, and a damaged file may hold any number.
    with np.errstate(all="ignore"):
        for rounds in read():
            tally.add(rounds, scores=kind.starts_together)
        if kind.waits_for_workers:
            for rounds in read():
                arrivals = arrival_times(rounds, tally.pace_to_target)
                tally.cost.add(arrivals, rounds.wait_for)
        return tally.report(kind)


class _Tally:
    """Running sums over the rounds, of workers and of hosts."""

    def __init__(self, hosts: Sequence[str]) -> None:
        self.hosts = hosts
        n = len(hosts)
        self.names = list(dict.fromkeys(hosts)) if all(hosts) else []
        teams = Teams.by_name(hosts)
        self.pace, self.pace_to_target = PaceSums(n), PaceSums(n)
        self.n_part, self.n_straggled = np.zeros((2, n))
        self.workers = Evidence(Teams.of_each(n))
        self.teams, self.team_evidence = teams, Evidence(teams)
        self.cost = WaitingCost(teams)

    def add(self, rounds: WorkerRounds, *, scores: bool) -> None:
        """Add some rounds, with the places of their workers if these compare."""
        add_all(self.pace, rounds)
        add_until_target(self.pace_to_target, rounds)
        self.n_part += rounds.took_part.sum(axis=0)
        self.n_straggled += rounds.is_straggler.sum(axis=0)
        if scores:
            scored = score_rounds(rounds)
            self.workers.add(scored)
            if len(self.names) > 1:
                self.team_evidence.add(scored)

    def report(self, kind: RoundKind) -> StragglerReport:
        """Return what the sums say."""
        waits = kind.waits_for_workers and self.cost.n_rounds > 0
        return StragglerReport(
            tuple(self._worker_paces(waits=waits)),
            tuple(self._host_paces(waits=waits)),
            _known(self.cost.local_sgd_s, waits),
            _known(self.cost.here_s, waits),
            self._note(kind, waits=waits),
            self.cost.n_rounds,
        )

    def _note(self, kind: RoundKind, *, waits: bool) -> str:
        if kind.note or waits:
            return kind.note
        return "The file has no times of workers."

    def _worker_paces(self, *, waits: bool) -> Iterable[WorkerPace]:
        cost, pace = self.cost, self.pace
        update_s, speed = pace.update_s, relative_speed(pace)
        verdicts = self.workers.verdicts(self._tested_speed(), self.workers.far_share)
        for m, verdict in enumerate(verdicts):
            yield WorkerPace(
                m,
                self.hosts[m],
                int(pace.n_updates[m]),
                _known(update_s[m]),
                _known(speed[m]),
                _share(self.n_straggled[m], self.n_part[m], waits),
                _known(cost.worker_local_sgd_s[m], waits),
                _known(cost.worker_here_s[m], waits),
                verdict.pattern,
                verdict.is_flagged,
                verdict.p_value,
            )

    def _host_paces(self, *, waits: bool) -> Iterable[HostPace]:
        teams = self.teams.members if self.names else []
        speeds, tested, far = (
            np.array([_median(values[team]) for team in teams])
            for values in (
                relative_speed(self.pace),
                self._tested_speed(),
                self.workers.far_share,
            )
        )
        verdicts = self._host_verdicts(tested, far)
        for g, team in enumerate(teams):
            straggled, part = self.n_straggled[team].sum(), self.n_part[team].sum()
            yield HostPace(
                self.names[g],
                tuple(map(int, team)),
                _known(speeds[g]),
                _share(straggled, part, waits),
                _known(self.cost.host_local_sgd_s[g], waits and len(teams) > 1),
                _known(self.cost.host_here_s[g], waits and len(teams) > 1),
                verdicts[g].pattern,
                verdicts[g].is_flagged,
            )

    def _tested_speed(self) -> np.ndarray:
        """Return the speed up to the U-th update of each round.

        Where a worker has one pace for all updates of a round, and goes on, few
        lucky rounds hold most of its updates and would decide.
        """
        return relative_speed(self.pace_to_target)

    def _host_verdicts(self, speed: np.ndarray, far: np.ndarray) -> list[Verdict]:
        if len(self.names) > 1:
            return self.team_evidence.verdicts(speed, far)
        return [Verdict("", None)] * len(self.names)


def _median(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else math.nan


def _known(value: float, is_told: bool = True) -> float | None:
    return float(value) if is_told and math.isfinite(value) else None


def _share(part: float, whole: float, is_told: bool) -> float | None:
    return float(part / whole) if is_told and whole else None
