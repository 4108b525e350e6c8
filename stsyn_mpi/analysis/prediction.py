"""What theory expects of a recorded run, beside what was measured."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from stsyn_mpi.analysis.stuck import stuck_words
from stsyn_mpi.analysis.theory.expected_rounds import ExpectedRound, expect_round
from stsyn_mpi.analysis.theory.round_counts import Expectation
from stsyn_mpi.analysis.theory.rounds import crowd_of
from stsyn_mpi.analysis.theory.run_cost import goes_over
from stsyn_mpi.analysis.theory.run_laws import laws_of
from stsyn_mpi.analysis.theory.run_messages import Messages, messages_of
from stsyn_mpi.analysis.theory.run_rounds import (
    Measure,
    RegularRounds,
    configured_updates,
)
from stsyn_mpi.analysis.theory.scheme_theory import Terms
from stsyn_mpi.analysis.theory.schemes import UNKNOWN
from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile.reader import Run
from stsyn_mpi.schemes import parse_scheme
from stsyn_mpi.spec import parse_spec
from stsyn_mpi.strategies.base import Strategy
from stsyn_mpi.strategies.buffered import FedBuff

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
    ratio : float
        Measured over predicted; NaN where nothing is predicted.
    """

    name: str
    unit: str
    predicted: float
    predicted_sd: float | None
    measured: float
    measured_se: float
    is_expected: bool
    ratio: float = field(init=False)

    def __post_init__(self) -> None:
        ratio = self.measured / self.predicted if self.predicted else math.nan
        object.__setattr__(self, "ratio", ratio)


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
        Time of a round and, where messages take time, from the first model sent to the
        K-th arrival; updates done and uploaders of a round; or why there is none.
    """
    try:
        # Numbers of a damaged file may be as large as they like.
        with np.errstate(invalid="ignore", over="ignore"):
            return _predict(run)
    except InputError as error:
        return Prediction((), "", f"The run cannot be predicted: {error}.")


def _predict(run: Run) -> Prediction:
    scheme = parse_scheme(str(run.config.get("strategy", "")))
    name, kind = scheme.kind.name, scheme.kind
    if why := UNKNOWN.get(name):
        return Prediction((), "", f"No prediction is made for rounds of {name}: {why}.")
    laws = laws_of(run)
    go_over = goes_over(kind)
    rounds = RegularRounds(run, kind, go_over=go_over)
    messages = messages_of(run, rounds, kind)
    u = configured_updates(run, rounds, scheme)
    if u is None:
        raise InputError("it does not say around which U it draws")
    crowd = crowd_of(laws.laws)
    terms = Terms(name, scheme, crowd, rounds.wait_for, u, messages.cost)
    expected = expect_round(terms, messages.after_s, messages.late_from_s)
    if go_over and (why := _dependence(run, kind)):
        expected = replace(expected, time=None, uploaders=None, note=why)
    words = [laws.words, *rounds.words, messages.words]
    if expected.note:
        words.append(f"Time of a round: {expected.note}")
    if stuck := stuck_words(run):
        words.append(stuck.rstrip("."))
    quantities = _quantities(expected, rounds, messages)
    return Prediction(quantities, ". ".join(words) + ".", "")


def _dependence(run: Run, kind: type[Strategy]) -> str:
    """Return why cycles that go over the end of a round depend, or nothing."""
    delay = parse_spec(str(run.config.get("delay", "none")), "delay")
    if delay.name == "markov":
        return "not known: spells last for rounds, whenever a worker begins one"
    is_per_round = delay.parameters.get("scope") == "per-round"
    if is_per_round and issubclass(kind, FedBuff):
        return "not known: a worker may upload twice in a round, and draws once"
    return ""


def _quantities(
    expected: ExpectedRound, rounds: RegularRounds, messages: Messages
) -> tuple[PredictedQuantity, ...]:
    kth = None
    if expected.kth and not messages.is_free:
        kth = Expectation(expected.kth.mean + messages.before_s, expected.kth.sd)
    rows = (
        ("round time", "s", "", expected.time),
        ("time to the K-th arrival", "s", "kth_arrival_s", kth),
        ("updates done", "1", "updates_done", expected.updates),
        ("uploaders", "1", "n_uploaders", expected.uploaders),
    )
    found = []
    for name, unit, column, expectation in rows:
        if expectation is not None:
            measure = rounds.measure(column) if column else rounds.measure_time()
            lasting_sd = None if column else expected.lasting_sd_s
            sds = expectation.sd, lasting_sd
            allowed = _allowed(expectation, sds, measure, messages)
            found.append(_compare((name, unit), expectation, measure, allowed))
    return tuple(quantity for quantity in found if _is_finite(quantity))


def _is_finite(quantity: PredictedQuantity) -> bool:
    values = (quantity.predicted, quantity.measured, quantity.measured_se)
    return all(map(math.isfinite, values))


def _allowed(
    expected: Expectation,
    sds: tuple[float | None, ...],
    measure: Measure,
    messages: Messages,
) -> float:
    """Return how far the mean of a run may be from the expected one."""
    n = measure.n_rounds
    known = [sd for sd in sds if sd is not None]
    if math.inf in known:
        # As of Pareto times of shape 1.5: no deviation says how a mean varies.
        return float(expected.mean * n ** (-1 / 3)) + _STANDARD_ERRORS * measure.error
    error = max(measure.error, max(known, default=0.0) / math.sqrt(n))
    tolerance = messages.tolerance * expected.mean + expected.slack
    return _STANDARD_ERRORS * error + tolerance


def _compare(
    words: tuple[str, str],
    expected: Expectation,
    measure: Measure,
    allowed: float,
) -> PredictedQuantity:
    """Compare a measure, of a name and a unit, with an expectation."""
    sd = expected.sd
    if sd is not None and not math.isfinite(sd):
        sd = None
    is_expected = abs(measure.mean - expected.mean) <= allowed
    return PredictedQuantity(
        *words, expected.mean, sd, measure.mean, measure.error, is_expected
    )
