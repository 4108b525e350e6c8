"""Where the wall time of a round goes, and what runs beside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stsyn_mpi.analysis.bins import Bins, durations, round_times
from stsyn_mpi.runfile.reader import Run

_MOST_BINS = 100

ON_PATH = {
    "compute": "computing until the K-th arrival",
    "collect": "collecting",
    "aggregate": "aggregating after the last upload",
    "other": "other",
}
"""Parts that follow one another and add up to the round."""
BESIDE = {
    "broadcast": "broadcast, while workers compute",
    "adding": "adding uploads as they come",
    "evaluate": "evaluation, in a thread of its own",
}
"""Parts that run beside those, and delay no round by themselves."""


@dataclass(frozen=True)
class RoundAnatomy:
    """Parts of the rounds of a run, mean seconds a round.

    Attributes
    ----------
    bins : Bins
        Rounds of each entry.
    round_s : numpy.ndarray
        float64 (n_bins,): wall time of a round.
    on_path, beside : dict of str to numpy.ndarray
        float64 (n_bins,) for each name of `ON_PATH` and of `BESIDE`; the former add up
        to ``round_s``. NaN, beside the path, where nothing was recorded.
    mean_round_s, mean_on_path, mean_beside
        The same over all rounds.
    """

    bins: Bins
    round_s: np.ndarray
    on_path: dict[str, np.ndarray]
    beside: dict[str, np.ndarray]
    mean_round_s: float
    mean_on_path: dict[str, float]
    mean_beside: dict[str, float]


def round_anatomy(run: Run) -> RoundAnatomy:
    """Take the rounds of a run apart.

    A round begins when the model before it is complete, and ends with its own. On that
    path lie, one after the other, the time until the K-th worker has reported its
    target, the collecting of uploads and, of the aggregation, what is left to do when
    the last upload is there: uploads are added as they land. The rest of the round is
    "other". The parts are this project's derivation from the columns of the run file.

    Parameters
    ----------
    run : Run
        With at least one round.
    """
    on_path, beside = _parts(run)
    bins = Bins.at_most(_MOST_BINS, run.n_rounds)
    lengths = sum(on_path.values(), np.zeros(run.n_rounds))
    return RoundAnatomy(
        bins,
        bins.means(lengths),
        {name: bins.means(values) for name, values in on_path.items()},
        {name: bins.means(values) for name, values in beside.items()},
        float(lengths.mean()),
        {name: float(values.mean()) for name, values in on_path.items()},
        {name: _mean(values) for name, values in beside.items()},
    )


def _parts(run: Run) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the parts of each round, seconds, float64 (n_rounds,) each."""
    rest = round_times(run)
    columns = {"compute": "kth_arrival_s", "collect": "collect_s"}
    on_path = {}
    for name, column in columns.items():
        on_path[name], rest = _taken(run.column(column), rest)
    adding = durations(run.column("aggregate_s"))
    on_path["aggregate"], on_path["other"] = _taken(adding, rest)
    beside = {
        "broadcast": durations(run.column("broadcast_s")),
        "adding": adding - on_path["aggregate"],
        "evaluate": durations(run.column("eval_s")),
    }
    return on_path, beside


def _taken(part: np.ndarray, rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a part, no longer than the rest of the round, and what is left of it."""
    part = np.minimum(np.nan_to_num(durations(part)), rest)
    return part, rest - part


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
