"""Workers and hosts compared with each other, twice.

Where a worker is much faster than the others, these are last more often than if all
were alike: it is left out of a second comparison, which judges the rest. Where nobody
is, those that are slow in all rounds are left out: they take the last places from
others that are slow at times.
"""

from __future__ import annotations

import numpy as np

from stsyn_mpi.analysis.straggler_tests import score_rounds
from stsyn_mpi.analysis.teams import Teams
from stsyn_mpi.analysis.verdicts import Evidence, Verdict
from stsyn_mpi.analysis.worker_rounds import WorkerRounds


class Comparison:
    """One comparison of all workers but some, and of their hosts.

    Parameters
    ----------
    hosts : Teams
        The workers by host.
    left_out : numpy.ndarray
        bool (M,): workers that have no place in it.
    """

    def __init__(self, hosts: Teams, left_out: np.ndarray) -> None:
        self._hosts, self.left_out = hosts, left_out
        self._by_worker = Evidence(Teams.of_each(len(left_out)))
        self._by_host = Evidence(hosts) if len(hosts) > 1 else None

    def add(self, rounds: WorkerRounds) -> None:
        """Add some rounds."""
        scores = score_rounds(rounds, self.left_out)
        self._by_worker.add(scores)
        if self._by_host is not None:
            self._by_host.add(scores)

    def of_workers(self, speed: np.ndarray) -> list[Verdict]:
        """Judge each worker; its speed, float64 (M,), is relative to the median's."""
        return self._by_worker.verdicts(speed, self._by_worker.far_share)

    def of_hosts(self, speed: np.ndarray) -> list[Verdict]:
        """Judge each host by its median worker."""
        if self._by_host is None:
            return [Verdict("", None)] * len(self._hosts)
        far = team_medians(self._hosts, self._by_worker.far_share)
        return self._by_host.verdicts(team_medians(self._hosts, speed), far)

    def second(self, speed: np.ndarray) -> Second:
        """Begin a second comparison, without less than half of the workers."""
        is_fast = self._by_worker.is_fast(speed)
        if 0 < 2 * is_fast.sum() < len(is_fast):
            return Second(self._hosts, is_fast, keeps_flags=False)
        patterns = [verdict.pattern for verdict in self.of_workers(speed)]
        is_slow = np.array([pattern == "persistent" for pattern in patterns])
        if 2 * is_slow.sum() >= len(is_slow):
            is_slow[:] = False
        return Second(self._hosts, is_slow, keeps_flags=True)


class Second(Comparison):
    """A second comparison: of all but those who stand out.

    Parameters
    ----------
    hosts, left_out
        As in `Comparison`.
    keeps_flags : bool
        Whether who was flagged by the first remains so.
    """

    def __init__(
        self, hosts: Teams, left_out: np.ndarray, *, keeps_flags: bool
    ) -> None:
        super().__init__(hosts, left_out)
        self.is_needed = bool(left_out.any())
        self._keeps_flags = keeps_flags

    def workers_by_both(self, first: Comparison, speed: np.ndarray) -> list[Verdict]:
        """Judge each worker by this comparison, or the first where it was left out."""
        verdicts = first.of_workers(speed)
        if not self.is_needed:
            return verdicts
        return self._both(verdicts, self.of_workers(speed), self.left_out)

    def hosts_by_both(self, first: Comparison, speed: np.ndarray) -> list[Verdict]:
        """Judge each host likewise; it was left out if all of its workers were."""
        verdicts = first.of_hosts(speed)
        if not self.is_needed:
            return verdicts
        is_out = [self.left_out[team].all() for team in self._hosts.members]
        return self._both(verdicts, self.of_hosts(speed), np.array(is_out))

    def _both(
        self, first: list[Verdict], second: list[Verdict], is_out: np.ndarray
    ) -> list[Verdict]:
        keeps = self._keeps_flags
        return [
            a if out or (keeps and a.is_flagged) else b
            for a, b, out in zip(first, second, is_out, strict=True)
        ]


def team_medians(teams: Teams, values: np.ndarray) -> np.ndarray:
    """Return the median of the known values of each team, (n_teams,); NaN if none."""
    known = (values[team][np.isfinite(values[team])] for team in teams.members)
    return np.array([np.median(v) if len(v) else np.nan for v in known])
