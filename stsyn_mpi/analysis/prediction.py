"""What theory expects of a recorded run, beside what was measured."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from stsyn_mpi.analysis.theory.rounds import Round, crowd_of
from stsyn_mpi.analysis.theory.run_laws import laws_of
from stsyn_mpi.analysis.theory.run_rounds import (
    Messages,
    RegularRounds,
    messages_of,
)
from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile.reader import Run
from stsyn_mpi.schemes import parse_scheme

PREDICTED = ("stsyn", "local-sgd", "sync-sgd", "k-fastest", "k-sync")
"""Schemes whose rounds are predicted."""
_STANDARD_ERRORS = 3.0


@dataclass(frozen=True)
class PredictedQuantity:
    """A quantity of a round as expected and as measured.

    Attributes
    ----------
    name, unit : str
        What it is, and ``s`` or ``1``.
    predicted : float
        Expectation of one round's value.
    predicted_sd : float or None
        Its standard deviation from round to round; None where that is not known.
    measured, measured_se : float
        Mean over the rounds, and the standard error of that.
    is_expected : bool
        Whether they differ by no more than 3 standard errors, the greater of the
        measured and the predicted one, and the tolerance that is stated.
    """

    name: str
    unit: str
    predicted: float
    predicted_sd: float | None
    measured: float
    measured_se: float
    is_expected: bool

    @property
    def ratio(self) -> float:
        """Measured over predicted."""
        return self.measured / self.predicted if self.predicted else math.nan


@dataclass(frozen=True)
class Prediction:
    """Predictions for a run.

    Attributes
    ----------
    quantities : tuple of PredictedQuantity
        Empty where there is no prediction.
    assumptions : str
        What is assumed, and what the tolerance is.
    reason_missing : str
        One sentence that says why there is none; empty where there is one.
    """

    quantities: tuple[PredictedQuantity, ...]
    assumptions: str
    reason_missing: str


def predict_run(run: Run) -> Prediction:
    """Predict the rounds of a run from its configuration and its update times.

    Parameters
    ----------
    run : Run
        An open run file.

    Returns
    -------
    Prediction
        Time from the first model sent to the K-th arrival, updates done and uploaders
        of a round; or why there is no prediction.
    """
    try:
        # Numbers of a damaged file may be as large as they like.
        with np.errstate(invalid="ignore", over="ignore"):
            return _predict(run)
    except InputError as error:
        return Prediction((), "", f"The run cannot be predicted: {error}.")


def _predict(run: Run) -> Prediction:
    scheme = parse_scheme(str(run.config.get("strategy", ""))).kind.name
    if scheme not in PREDICTED:
        return Prediction((), "", f"No prediction is made for rounds of {scheme}.")
    rounds, laws = RegularRounds(run), laws_of(run)
    messages = messages_of(run, rounds)
    expected = Round(
        crowd_of(laws.laws),
        rounds.wait_for,
        rounds.target_updates,
        goes_on=scheme == "stsyn",
    )
    quantities = (
        _time(expected, rounds, messages),
        _updates(expected, rounds, messages),
        _uploaders(expected, rounds, messages),
    )
    finite = tuple(q for q in quantities if _is_finite(q))
    words = [laws.words, *rounds.words, messages.words]
    return Prediction(finite, ". ".join(words) + ".", "")


def _is_finite(quantity: PredictedQuantity) -> bool:
    values = (quantity.predicted, quantity.measured, quantity.measured_se)
    return all(map(math.isfinite, values))


def _time(
    expected: Round, rounds: RegularRounds, messages: Messages
) -> PredictedQuantity:
    return _compare(
        ("time to the K-th arrival", "s", "kth_arrival_s"),
        (expected.time_s + messages.before_s, expected.time_sd_s),
        rounds,
        messages,
    )


def _updates(
    expected: Round, rounds: RegularRounds, messages: Messages
) -> PredictedQuantity:
    n = expected.crowd.n_workers
    # Whoever has not stopped at its target works on until it hears the halt.
    n_working = n if expected.goes_on else n - rounds.wait_for
    rate = expected.crowd.average(lambda law: 1 / law.mean)
    total = n * expected.mean_updates + messages.after_s * n_working * rate
    return _compare(
        ("updates done", "1", "updates_done"), (total, None), rounds, messages
    )


def _uploaders(
    expected: Round, rounds: RegularRounds, messages: Messages
) -> PredictedQuantity:
    # Whoever stops at its target uploads there; the others are halted without.
    n, sd = float(rounds.wait_for), 0.0
    if expected.goes_on:
        n, sd = expected.n_uploaders, expected.n_uploaders_sd
    return _compare(("uploaders", "1", "n_uploaders"), (n, sd), rounds, messages)


def _compare(
    words: tuple[str, str, str],
    predicted: tuple[float, float | None],
    rounds: RegularRounds,
    messages: Messages,
) -> PredictedQuantity:
    """Compare a name, a unit and a column with an expectation and its deviation."""
    name, unit, column = words
    mean, sd = predicted
    if sd is not None and not math.isfinite(sd):
        sd = None
    measure = rounds.measure(column)
    error = max(measure.error, (sd or 0.0) / math.sqrt(measure.n_rounds))
    allowed = _STANDARD_ERRORS * error + messages.tolerance * mean
    is_expected = abs(measure.mean - mean) <= allowed
    return PredictedQuantity(
        name, unit, mean, sd, measure.mean, measure.error, is_expected
    )
