"""The update times that a run recorded, part by part, and which of them were cut."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile.reader import Run
from stsyn_mpi.runfile.update_search import UpdateSearch
from stsyn_mpi.schemes import parse_scheme
from stsyn_mpi.strategies.buffered import FedBuff

PARTS = ("together", "injected", "computed")
"""Whole updates, their injected delays, and their own work."""
_MOST_ROWS = 1 << 21
"""Of more updates a sample is taken: a law needs no more, and memory is bounded."""
_LONGEST_S = 1e12
"""Nothing took longer."""
_OF_OPEN_RUNS: WeakKeyDictionary[Run, UpdateTimes] = WeakKeyDictionary()
"""A report asks several times, and a long run takes a second to read."""


SHORTEST_S = 1e-12
"""No clock tells a shorter time from none."""


def without_rounding(seconds: np.ndarray) -> np.ndarray:
    """Return times as float32 has them, s, float64 of the same shape.

    Sums of times differ by rounding where the times are equal: here they do not.
    """
    return np.asarray(seconds.astype(np.float32).astype(np.float64))


class NoUpdatesError(InputError):
    """A run holds no update whose times are sound."""


@dataclass(frozen=True, eq=False)
class UpdateTimes:
    """Local updates of a run, sorted by worker, round and start.

    An update that was cancelled lasted at least as long as its row says. If it was
    cut within its delay, the row holds the delay as far as it was waited, and no work;
    if it was cut at work, the row holds the delay as drawn.

    Attributes
    ----------
    worker, round : numpy.ndarray
        Whose update it is, and of which round, int64 (n,).
    start_s, injected_s, work_s : numpy.ndarray
        As the run file has them, s, float64 (n,), finite.
    is_completed : numpy.ndarray
        False where the update was cancelled, bool (n,).
    until_next_s : numpy.ndarray
        From its start to that of the next update of its worker and round, s, float64
        (n,); NaN where there is none, or none that is sound, or where it may be with
        another model.
    n_workers : int
        M.
    n_recorded : int
        Updates of the run: more than there are here where a sample was taken, or some
        were not sound.
    """

    worker: np.ndarray
    round: np.ndarray
    start_s: np.ndarray
    injected_s: np.ndarray
    work_s: np.ndarray
    is_completed: np.ndarray
    until_next_s: np.ndarray
    n_workers: int
    n_recorded: int = 0

    def seconds(self, part: str) -> np.ndarray:
        """Return the times of a part, s, float64 (n,).

        Parameters
        ----------
        part : str
            ``together``, ``injected`` or ``computed``.
        """
        if part == "injected":
            return self.injected_s
        return self.work_s if part == "computed" else self.injected_s + self.work_s

    def censored(self, part: str) -> np.ndarray:
        """Return where `seconds` is but a lower bound, bool (n,).

        The delay of an update that was cut at work is known in full.
        """
        is_cut = ~self.is_completed
        return is_cut & (self.work_s <= 0) if part == "injected" else is_cut


def update_times(run: Run) -> UpdateTimes:
    """Read the updates of a run; of more than 2^21 stretches all over it.

    Parameters
    ----------
    run : Run
        An open run.

    Returns
    -------
    UpdateTimes
        Without the rows whose times are not finite or absurd, or whose worker there
        is not.

    Raises
    ------
    NoUpdatesError
        If no update was recorded, or none that is sound.
    InputError
        If the file is damaged there.
    """
    if run not in _OF_OPEN_RUNS:
        _OF_OPEN_RUNS[run] = _read(run)
    return _OF_OPEN_RUNS[run]


def _read(run: Run) -> UpdateTimes:
    search = UpdateSearch(run)
    rows = search.sample(_MOST_ROWS)
    if not len(rows["round"]):
        raise NoUpdatesError(
            f"{run.path} holds no recorded update (option record_updates)"
        )
    is_sound = _is_sound(rows, run.n_workers)
    if not is_sound.any():
        raise NoUpdatesError(f"{run.path} holds no update with sound times")
    order = _sorted(rows)
    # One column after the other: a sample of a long run is large.
    for name in rows:
        rows[name] = rows[name][order]
    is_sound = is_sound[order]
    rows["until_next_s"] = _until_next_s(rows, is_sound)
    rows["until_next_s"][~_is_of_one_model(run, rows)] = np.nan
    if not is_sound.all():
        rows = {name: values[is_sound] for name, values in rows.items()}
    return UpdateTimes(
        rows["worker"].astype(np.int64),
        rows["round"].astype(np.int64),
        rows["start_s"],
        rows["injected_s"],
        rows["work_s"],
        rows["completed"] == 1,
        rows["until_next_s"],
        run.n_workers,
        search.n_rows,
    )


def _sorted(rows: dict[str, np.ndarray]) -> np.ndarray:
    """Return the order by worker, round and start.

    Rows of a worker and round nearly always stand in the order of their starts, and a
    sort by two keys takes half as long.
    """
    order = np.lexsort((rows["round"], rows["worker"]))
    worker, at, start_s = (rows[name][order] for name in ("worker", "round", "start_s"))
    falls = (worker[1:] == worker[:-1]) & (at[1:] == at[:-1])
    falls &= ~(start_s[1:] >= start_s[:-1])
    if falls.any():
        order = np.lexsort((rows["start_s"], rows["round"], rows["worker"]))
    return order


def _is_sound(rows: dict[str, np.ndarray], n_workers: int) -> np.ndarray:
    is_sound = (rows["worker"] >= 0) & (rows["worker"] < n_workers)
    for name in ("start_s", "injected_s", "work_s"):
        is_sound &= np.abs(rows[name]) < _LONGEST_S
    return is_sound


def _until_next_s(rows: dict[str, np.ndarray], is_sound: np.ndarray) -> np.ndarray:
    """Return the time to the next start, of rows that are sorted."""
    until_next_s = np.full(len(is_sound), np.nan)
    follows = (np.diff(rows["worker"]) == 0) & (np.diff(rows["round"]) == 0)
    follows &= is_sound[:-1] & is_sound[1:]
    with np.errstate(invalid="ignore"):
        steps = np.diff(rows["start_s"])
    until_next_s[:-1][follows] = steps[follows]
    return until_next_s


def _is_of_one_model(run: Run, rows: dict[str, np.ndarray]) -> np.ndarray:
    """Return which rows are of rounds in which their worker had one model, bool.

    Who may have several has no more than U updates with each; those of two models stand
    in the order of their starts, each from its own model, mixed.
    """
    n_rows = len(rows["round"])
    if not _may_have_several(run):
        return np.ones(n_rows, dtype=bool)
    is_first = np.ones(n_rows, dtype=bool)
    is_first[1:] = (np.diff(rows["worker"]) != 0) | (np.diff(rows["round"]) != 0)
    first = np.flatnonzero(is_first)
    n = np.diff(np.append(first, n_rows))
    # A damaged file may have rounds below 0.
    at, targets = rows["round"][first], np.append(run["target_updates"], 0)
    return np.repeat(n <= targets[np.maximum(at, -1)], n)


def _may_have_several(run: Run) -> bool:
    """Return whether a worker may have several models in a round."""
    try:
        scheme = parse_scheme(str(run.config.get("strategy", "")))
        return issubclass(scheme.kind, FedBuff)
    except InputError:
        return False
