"""Stragglers by name: who was slow, for how long, and what it cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from stsyn_mpi.analysis.arrivals import RoundKind, arrival_times, round_kind
from stsyn_mpi.analysis.judging import Comparison, Second, team_medians
from stsyn_mpi.analysis.paces import (
    PaceSums,
    add_all,
    add_until_target,
    relative_speed,
)
from stsyn_mpi.analysis.teams import Teams
from stsyn_mpi.analysis.waiting import WaitingCost
from stsyn_mpi.analysis.worker_rounds import (
    WorkerRounds,
    read_worker_rounds,
    worker_hosts,
)
from stsyn_mpi.runfile.reader import Run

ReadRounds = Callable[[], Iterable[WorkerRounds]]
"""Reads the rounds of a run from the first on, whenever it is called."""

_NO_TIMES = "The file has no times of workers."


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
    tally = _Tally(hosts, kind)
    # Who completed nothing has no pace, and a damaged file may hold any number.
    with np.errstate(all="ignore"):
        for rounds in read():
            tally.add(rounds)
        tally.begin_again()
        for rounds in read():
            tally.add_again(rounds)
        return tally.report()


class _Tally:
    """Running sums over the rounds, of workers and of hosts, in two passes."""

    def __init__(self, hosts: Sequence[str], kind: RoundKind) -> None:
        self._hosts, self._kind = hosts, kind
        n = len(hosts)
        self._teams = Teams.by_name(hosts)
        self._pace, self._pace_to_target = PaceSums(n), PaceSums(n)
        self._n_part, self._n_straggled = np.zeros((2, n))
        self._first = Comparison(self._teams, np.zeros(n, dtype=bool))
        self._second: Second
        self._cost = WaitingCost(self._teams)

    def add(self, rounds: WorkerRounds) -> None:
        """Add some rounds."""
        add_all(self._pace, rounds)
        add_until_target(self._pace_to_target, rounds)
        self._n_part += rounds.took_part.sum(axis=0)
        self._n_straggled += rounds.is_straggler.sum(axis=0)
        if self._kind.starts_together:
            self._first.add(rounds)

    def begin_again(self) -> None:
        """Take up the second pass, which knows paces and who stands out."""
        self._second = self._first.second(self._tested_speed())

    def add_again(self, rounds: WorkerRounds) -> None:
        """Add some rounds in the second pass."""
        if self._kind.waits_for_workers:
            arrivals = arrival_times(rounds, self._pace_to_target)
            self._cost.add(arrivals, rounds.wait_for)
        if self._second.is_needed:
            self._second.add(rounds)

    def report(self) -> StragglerReport:
        """Return what the sums say."""
        waits = self._kind.waits_for_workers and self._cost.n_rounds > 0
        note = self._kind.note or ("" if waits else _NO_TIMES)
        return StragglerReport(
            tuple(self._worker_paces(waits)),
            tuple(self._host_paces(waits)) if all(self._hosts) else (),
            _known(self._cost.local_sgd_s, waits),
            _known(self._cost.here_s, waits),
            note,
            self._cost.n_rounds,
        )

    def _worker_paces(self, waits: bool) -> Iterable[WorkerPace]:
        cost, pace, tested = self._cost, self._pace, self._tested_speed()
        update_s, speed = pace.update_s, relative_speed(pace)
        verdicts = self._second.workers_by_both(self._first, tested)
        for m, verdict in enumerate(verdicts):
            yield WorkerPace(
                m,
                self._hosts[m],
                int(pace.n_updates[m]),
                _known(update_s[m]),
                _known(speed[m]),
                _share(self._n_straggled[m], self._n_part[m], waits),
                _known(cost.worker_local_sgd_s[m], waits),
                _known(cost.worker_here_s[m], waits),
                verdict.pattern,
                verdict.is_flagged,
                verdict.p_value,
            )

    def _host_paces(self, waits: bool) -> Iterable[HostPace]:
        teams, tested = self._teams.members, self._tested_speed()
        speed = team_medians(self._teams, relative_speed(self._pace))
        verdicts = self._second.hosts_by_both(self._first, tested)
        is_told = waits and len(teams) > 1
        for g, (team, verdict) in enumerate(zip(teams, verdicts, strict=True)):
            straggled, part = self._n_straggled[team].sum(), self._n_part[team].sum()
            yield HostPace(
                self._hosts[team[0]],
                tuple(map(int, team)),
                _known(speed[g]),
                _share(straggled, part, waits),
                _known(self._cost.host_local_sgd_s[g], is_told),
                _known(self._cost.host_here_s[g], is_told),
                verdict.pattern,
                verdict.is_flagged,
            )

    def _tested_speed(self) -> np.ndarray:
        """Return the speed up to the U-th update of each round.

        Where a worker has one pace for all updates of a round, and goes on, few
        lucky rounds hold most of its updates and would decide.
        """
        return relative_speed(self._pace_to_target)


def _known(value: float, is_told: bool = True) -> float | None:
    return float(value) if is_told and math.isfinite(value) else None


def _share(part: float, whole: float, is_told: bool) -> float | None:
    return float(part / whole) if is_told and whole else None
