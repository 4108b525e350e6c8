"""What STSyn's workers did in a run after the K-th was ready, and theory has not."""

from __future__ import annotations

import math
from collections.abc import Sequence

from stsyn_mpi.analysis.theory.run_messages import messages_of
from stsyn_mpi.analysis.theory.run_rounds import RegularRounds
from stsyn_mpi.analysis.theory.schemes import predict_scheme
from stsyn_mpi.analysis.theory.update_laws import UpdateLaw
from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile.reader import Run
from stsyn_mpi.schemes import parse_scheme
from stsyn_mpi.strategies.stsyn import STSyn

_LARGE = 0.25


def overrun_words(run: Run, laws: Sequence[UpdateLaw]) -> str:
    """Say that workers did more than theory has, by the time messages took.

    Parameters
    ----------
    run : Run
        An open run.
    laws : sequence of UpdateLaw
        Of each worker.

    Returns
    -------
    str
        A sentence; empty where the difference is small or has another cause, as in
        rounds of other schemes.
    """
    kind = parse_scheme(str(run.config.get("strategy", ""))).kind
    if kind is not STSyn:
        return ""
    try:
        rounds = RegularRounds(run, kind)
        after_s = messages_of(run, rounds, kind).after_s
        done = rounds.measure("updates_done").mean / run.n_workers
    except InputError:
        return ""
    if not after_s:
        return ""
    k, u = rounds.wait_for, rounds.target_updates
    predicted = predict_scheme(kind.name, laws, k, u).mean_updates
    mean_s = sum(law.mean for law in laws) / len(laws)
    if predicted is None or not math.isfinite(predicted):
        return ""
    if min(done - predicted, after_s / mean_s) <= _LARGE * predicted:
        return ""
    return (
        f"Workers did {done:.3g} updates in a round of the run, where predictions have "
        f"{predicted:.3g} for its K={k}, U={u}: they go on while messages are on their "
        "way, so a small U is better than it looks."
    )
