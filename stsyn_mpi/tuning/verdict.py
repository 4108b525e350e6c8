"""The advice in sentences."""

from __future__ import annotations

import math

from stsyn_mpi.spec import parse_spec
from stsyn_mpi.tuning.advice import Advice
from stsyn_mpi.tuning.machine import STUCK
from stsyn_mpi.tuning.ranking import Ranked, Ratio

TRACE = "trace"
"""Law that is the same for every seed."""
_MOST_NAMES = 6
_SHOWN = {
    "speeds": "workers that differ in speed",
    "round": "slow updates of a worker that follow each other",
    "shared": "slowness that workers share",
    "drift": "times that change over the run",
    STUCK: "workers stuck in cancelled updates",
}
"""What the tests of assumptions find, by their names."""


def verdicts(advice: Advice) -> list[str]:
    """Return what is recommended, and how it compares: sentences."""
    return [
        _recommended(advice),
        *_beware(advice),
        *_equals(advice),
        _of_the_run(advice),
    ]


def _recommended(advice: Advice) -> str:
    best = advice.best
    rival = rival_of(advice)
    if best.is_paper:
        said = f"Use {best.label}{_before_others(rival)}{_but(advice, rival)}"
        is_compared = rival is not None and rival.to_best.is_known
        return f"{said}{_of_trace(advice) if is_compared else ''}."
    if rival is None:
        return f"Use {best.label}; no STSyn choice was tried."
    if not rival.has_arrived:
        return f"Use {best.label}: no STSyn choice always reached the target in time."
    said = (
        f"{best.label} takes {_share(rival.to_best.inverse)} of the time of the best "
        f"STSyn choice, {rival.label}{_interval(rival.to_best.inverse)}"
    )
    if rival.to_best.is_noise:
        return f"{said}: the difference is inside the noise, more --seeds may tell."
    if not rival.to_best.is_known:
        return f"{said}: whether that is chance, more --budget may tell."
    if but := _but(advice, rival):
        return f"{said}{but}."
    if chance := _of_trace(advice):
        return f"{said}{chance}."
    return f"{said}: use it."


def _of_trace(advice: Advice) -> str:
    is_trace = parse_spec(advice.machine.delay).name == TRACE
    return "; what chance there is in the trace is not in that" if is_trace else ""


def rival_of(advice: Advice) -> Ranked | None:
    """Return the best STSyn choice, or where that is the best of all the best other.

    One that was tried with one seed alone stands back behind others.
    """
    rivals = [it for it in advice.ranked if it.is_paper is not advice.best.is_paper]
    return next((it for it in rivals if it.to_best.is_known), next(iter(rivals), None))


def _but(advice: Advice, rival: Ranked | None) -> str:
    """Return who may be as good as the best, where the rival next to it is not.

    The chance of a rival that seems to take longer can be larger.
    """
    if rival is None or not rival.to_best.is_known or rival.to_best.is_noise:
        return ""
    for it in advice.ranked:
        if it.is_paper is rival.is_paper and it.to_best.is_noise:
            return (
                f", but {it.label} is inside the noise: it takes "
                f"{_share(it.to_best)} times as long as {advice.best.label}"
                f"{_interval(it.to_best)}"
            )
    return ""


def _before_others(rival: Ranked | None) -> str:
    if rival is None:
        return "; no other scheme was tried"
    if not rival.has_arrived:
        return ": no other scheme always reached the target in time"
    if rival.to_best.is_noise:
        return (
            f"; the best other scheme, {rival.label}, is inside the noise: it takes "
            f"{_share(rival.to_best)} times as long{_interval(rival.to_best)}"
        )
    return (
        f": the best other scheme, {rival.label}, takes {_share(rival.to_best)} times "
        f"as long{_interval(rival.to_best)}"
    )


def _beware(advice: Advice) -> list[str]:
    """Return what the run shows and no trial had, which may change who is best."""
    found = [_SHOWN[name] for name in advice.machine.unsimulated]
    if not found:
        return []
    more = f"{', '.join(found[:-1])} and " if found[1:] else ""
    return [
        f"Beware: the run shows {more}{found[-1]}, and the trials do not: ratios may "
        "be wrong, and another choice may be best."
    ]


def _equals(advice: Advice) -> list[str]:
    names = [it.label for it in advice.ranked[1:] if it.to_best.is_noise]
    if not names:
        return []
    more = len(names) - _MOST_NAMES
    listing = ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
    return [f"Inside the noise of {advice.best.label}: {listing}."]


def _of_the_run(advice: Advice) -> str:
    own = advice.find(advice.present)
    name = advice.present_words
    if own is None:
        return f"{name} was not tried: the budget ended before."
    if own is advice.best:
        return f"{name} is the best already."
    if not own.has_arrived:
        n, n_all = own.standing.n_reached, len(own.standing.trials)
        return f"{name} reached the target in time with {n} of {n_all} seeds."
    said = f"takes {_share(own.to_best)} times as long{_interval(own.to_best)}"
    if own.to_best.is_noise:
        return f"{name} {said}: inside the noise, no reason to change."
    return f"{name} {said}."


def _share(ratio: Ratio) -> str:
    return _number(ratio.middle)


def _interval(ratio: Ratio) -> str:
    if not ratio.is_known:
        return " (one seed, no interval)"
    return f" (95 % interval {_number(ratio.low)}-{_number(ratio.high)})"


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "-"
    return f"{value:.2f}" if value < 10 else f"{value:.3g}"
