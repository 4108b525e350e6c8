"""The trace law: the update times of a run file, replayed.

Update i of round j on worker m takes what its i-th completed update of round j took.
What the record does not hold is drawn from what it holds:

- Rounds beyond the last begin again with the first.
- An update beyond those that the worker completed in that round is the empirical
  quantile, among all its completed updates, of a uniform of the same key as those of
  other laws, but another draw.
- The update that was in flight when the round closed is known to have lasted longer
  than it had by then: it is drawn among the completed ones that did. If none did, it
  takes the time it had lasted and a draw.

So a worker that was slow in a round is slow for as long as the record goes. Asked for
``beyond=pace``, what is not there goes on at the worker's pace in that round, see
`stsyn_mpi.simulation.paces`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from stsyn_mpi.errors import InputError
from stsyn_mpi.rng import Purpose
from stsyn_mpi.simulation.keys import KeyedLaw, Keys
from stsyn_mpi.simulation.paces import Paces, Updates
from stsyn_mpi.simulation.parameters import OneOf, RunFileName
from stsyn_mpi.simulation.recorded import Pools, Record, Spans, read_record
from stsyn_mpi.spec import Spec

FILE = RunFileName("file")
PART = OneOf("part", default="total", allowed=("total", "injected", "work"))
BEYOND = OneOf("beyond", default="worker", allowed=("worker", "pace"))
PARAMETERS = (FILE, PART, BEYOND)


class TraceDelay(KeyedLaw):
    """Update times of a record.

    Parameters
    ----------
    keys : Keys
        Key of the draws beyond the record, and factors.
    record : Record
        Every worker of it has completed an update.
    part : str
        ``total``, ``injected`` or ``work``: which of the recorded times.
    paces : Paces or None
        Where what the record does not hold comes from; None draws it from all
        completed updates of a worker.

    Attributes
    ----------
    mean, variance : float
        Of the completed updates, s and s^2.
    timeless_workers : tuple of int
        Those who completed every update in no time.
    """

    def __init__(
        self, keys: Keys, record: Record, part: str, paces: Paces | None = None
    ) -> None:
        super().__init__(keys)
        self._paces = paces
        self._scaled = (-1, 0, 0, 0), np.empty((0, 0))
        seconds = _seconds(record, part)
        key = record.worker * record.n_rounds + record.round
        done, cut = record.is_completed, ~record.is_completed
        self._n_rounds = record.n_rounds
        self._done_s, self._done = seconds[done], Spans(key[done])
        self._pools = Pools(record.worker[done], self._done_s)
        self._cut_s, self._cut = seconds[cut], Spans(key[cut])
        self._n_shorter = self._pools.n_up_to(record.worker[cut], self._cut_s)
        # A delay that was over when its update was cancelled is known in full.
        self._is_known = (record.work_s[cut] > 0) & (part == "injected")
        self.mean = float(self._done_s.mean())
        self.variance = float(self._done_s.var())
        longest_s = np.zeros(record.n_workers)
        np.maximum.at(longest_s, record.worker[done], self._done_s)
        self.timeless_workers = tuple(np.flatnonzero(longest_s == 0.0).tolist())

    def delays_of(
        self,
        uniforms: np.ndarray,
        first_round: int,
        first_worker: int,
        first_update: int,
    ) -> np.ndarray:
        """Return what is recorded, and quantiles of it elsewhere."""
        n_rounds, n_workers, n_updates = uniforms.shape
        worker = first_worker + np.arange(n_workers)
        rounds = (first_round + np.arange(n_rounds)) % self._n_rounds
        key = worker * self._n_rounds + rounds[:, np.newaxis]
        scale = self._scale(first_round, n_rounds, worker)
        if self._paces is None:
            none = np.zeros_like(worker)[:, np.newaxis]
            delays = self._pools.quantile(uniforms, worker[:, np.newaxis], none)
        else:
            delays = scale[:, :, np.newaxis] * self._paces.quantile(uniforms)
        first, count = self._done.find(key)
        update = first_update + np.arange(n_updates)
        is_recorded = update < count[:, :, np.newaxis]
        row = first[:, :, np.newaxis] + update
        delays[is_recorded] = self._done_s[row[is_recorded]]
        self._outlast(delays, uniforms, worker, scale, key, count - first_update)
        return delays

    def _scale(self, first_round: int, n_rounds: int, worker: np.ndarray) -> np.ndarray:
        """Return the mean time of workers in rounds, s, (n_rounds, n_workers).

        Of no use, and zero, where workers have no pace. Updates are drawn for one after
        the other, so the last answer is kept.
        """
        if self._paces is None:
            return np.zeros((n_rounds, len(worker)))
        key = (first_round, n_rounds, int(worker[0]), len(worker))
        if key != self._scaled[0]:
            rounds = first_round + np.arange(n_rounds)
            pace = self._paces.drawn(self.keys.uniforms, rounds, worker)
            self._scaled = key, self._paces.mean_s[worker] / pace
        return self._scaled[1]

    def _outlast(
        self,
        delays: np.ndarray,
        uniforms: np.ndarray,
        worker: np.ndarray,
        scale: np.ndarray,
        key: np.ndarray,
        place: np.ndarray,
    ) -> None:
        """Set the delays of the updates that were cancelled, at ``place`` each."""
        row, n_cut = self._cut.find(key)
        j, m = np.nonzero((n_cut > 0) & (place >= 0) & (place < delays.shape[2]))
        at = (j, m, place[j, m])
        row, worker = row[j, m], worker[m]
        lasted = self._cut_s[row]
        if self._paces is None:
            drawn = self._longer(uniforms[at], worker, row)
        else:
            drawn = scale[j, m] * self._paces.longer(uniforms[at], lasted / scale[j, m])
        delays[at] = np.where(self._is_known[row], lasted, drawn)

    def _longer(
        self, uniform: np.ndarray, worker: np.ndarray, row: np.ndarray
    ) -> np.ndarray:
        """Return draws of what took longer than the cancelled updates had, s."""
        n_shorter, lasted = self._n_shorter[row], self._cut_s[row]
        is_longest = n_shorter == self._pools.n[worker]
        n_shorter = np.where(is_longest, 0, n_shorter)
        drawn = self._pools.quantile(uniform, worker, n_shorter)
        return np.where(is_longest, lasted + drawn, drawn)


def _seconds(record: Record, part: str) -> np.ndarray:
    if part == "injected":
        return record.injected_s
    return record.work_s if part == "work" else record.injected_s + record.work_s


def make_trace(spec: Spec, keys: Keys) -> TraceDelay:
    """Make the law from its parameters.

    Raises
    ------
    InputError
        Naming the parameter, or what the file lacks.
    """
    path, part = FILE.read(spec), PART.read(spec)
    record = read_record(path)
    n_workers = keys.n_workers or record.n_workers
    if n_workers > record.n_workers:
        raise InputError(
            f"trace {path} has {record.n_workers} workers, the run has {n_workers}"
        )
    record = record.first_workers(n_workers)
    n_done = np.bincount(record.worker[record.is_completed], minlength=n_workers)
    if not n_done.all():
        idle = int(np.argmin(n_done))
        raise InputError(f"trace {path}: worker {idle} completed no update")
    paces = paces_of(record, part) if BEYOND.read(spec) == "pace" else None
    # Under the seed of the record its own uniforms would tell what was cancelled.
    keys = replace(keys, purpose=Purpose.REPLAY)
    return TraceDelay(keys, record, part, paces)


@lru_cache(maxsize=1)
def paces_of(record: Record, part: str) -> Paces:
    """Return how fast the workers of a record were in its rounds.

    Parameters
    ----------
    record : Record
        Every worker of it has completed an update.
    part : str
        As for `TraceDelay`. A delay that was over when its update was cancelled is
        known in full.
    """
    is_known = record.is_completed | ((part == "injected") & (record.work_s > 0))
    return Paces(
        Updates(
            record.n_workers,
            record.n_rounds,
            record.worker,
            record.round,
            _seconds(record, part),
            is_known,
        )
    )
