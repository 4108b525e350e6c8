"""What a run shows and predictions made of it do not have."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from stsyn_mpi.analysis.fitting.evidence import ViolationTest
from stsyn_mpi.analysis.fitting.fitted_law import duration_text
from stsyn_mpi.analysis.fitting.run_fit import RunFit
from stsyn_mpi.analysis.fitting.unmodelled import unmodelled
from stsyn_mpi.analysis.fitting.violation_words import is_weak
from stsyn_mpi.analysis.fitting.violations import find_violations
from stsyn_mpi.analysis.stuck import stuck_words
from stsyn_mpi.analysis.theory.run_overrun import overrun_words
from stsyn_mpi.analysis.theory.run_replay import AT_PACE, replay_of
from stsyn_mpi.runfile.reader import Run

_LEFT_OUT = {
    "speeds": "The law takes them as equally fast, for no factors were fitted.",
    "round": (
        "Rounds that wait for many workers really take longer than is predicted, "
        "perhaps several times as long: the law takes updates as independent."
    ),
    "shared": (
        "The law takes workers as independent: rounds vary more than is predicted, and "
        "a small K saves less."
    ),
    "drift": "The law is the mean of what changed.",
}
"""What it means for predictions that a test speaks and the law knows nothing of it."""
_WEAK = (
    "Rounds that wait for many workers may take a little longer than is predicted: the "
    "law takes updates as independent."
)
_IN_A_REPLAY = ("round",)


@dataclass(frozen=True)
class Predicted:
    """What is predicted beside the law of the update times.

    Attributes
    ----------
    wait_for, target_updates : int
        K and U.
    comm : str
        What communication costs, as for ``--comm``.
    grid : sequence of str
        As for ``--grid``.
    """

    wait_for: int
    target_updates: int
    comm: str
    grid: Sequence[str]


def run_warnings(run: Run, fit: RunFit, predicted: Predicted) -> tuple[str, ...]:
    """Return what the run shows and the law does not have, a few sentences each.

    Parameters
    ----------
    run : Run
        An open run.
    fit : RunFit
        The law of its update times.
    predicted : Predicted
        What is predicted by it.

    Raises
    ------
    InputError
        If the file is damaged where the round table is read.
    """
    found = [
        f"{test.words} {_left_out(test)}{_remedy(run, fit, predicted, test)}"
        for test in unmodelled(fit, find_violations(run))
    ]
    found += [stuck_words(run), overrun_words(run, fit.update_laws)]
    return tuple(f"Warning: {words}" for words in found if words)


def _left_out(test: ViolationTest) -> str:
    return _WEAK if is_weak(test) else _LEFT_OUT[test.name]


def _remedy(run: Run, fit: RunFit, predicted: Predicted, test: ViolationTest) -> str:
    """Return the command that predicts the same of the run's own updates.

    Empty where they cannot be replayed.
    """
    law = replay_of(run) if test.name in _IN_A_REPLAY else None
    if law is None:
        return ""
    words = ["-M", str(run.n_workers), "-K", str(predicted.wait_for)]
    words += ["-U", str(predicted.target_updates), "--comm", predicted.comm]
    if fit.between_s:
        words += ["--compute", duration_text(fit.between_s)]
    words += [word for values in predicted.grid for word in ("--grid", values)]
    return (
        " Replayed, the run's own updates keep the pace of a worker in a round: "
        f"stsyn-mpi predict {shlex.join(words)} --delay {shlex.quote(law + AT_PACE)}"
    )
