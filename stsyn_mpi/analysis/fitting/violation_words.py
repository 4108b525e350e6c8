"""Say in words which assumption fails, and what follows."""

from __future__ import annotations

from collections.abc import Sequence

from stsyn_mpi.analysis.fitting.evidence import ViolationTest

FOLLOWS = {
    "speeds": (
        "One law for all is wrong: predict, fit and tune need the workers' factors."
    ),
    "round": (
        "A slow update is followed by slow ones: waiting for all workers costs more, "
        "and STSyn gains more, than predict says of independent updates. Fit and "
        "predict with scope=per-round, or replay the run as a trace "
        "with beyond=pace."
    ),
    "shared": (
        "What slows all at once, such as a file system or a network, no choice of K "
        "avoids: rounds vary more than predict says, and tune promises too much."
    ),
    "drift": (
        "A fit is the mean of what changed: fit and tune by a new run, or take a "
        "scheme that adapts."
    ),
}
_WEAK = 0.1
_SPELLS = " Slow spells of a worker last over several rounds."


def summary_words(tests: Sequence[ViolationTest], spells: float) -> str:
    """Return what all tests say together, in sentences."""
    failing = [test for test in tests if test.is_violated]
    untold = [test.words for test in tests if test.p_value is None]
    if failing:
        words = " ".join(f"{test.words} {FOLLOWS[test.name]}" for test in failing)
        return words + (_SPELLS if spells > 1 else "")
    if len(untold) == len(tests):
        return untold[0]
    known = "Update times look independent and from one law: no assumption fails."
    return " ".join(dict.fromkeys([known, *untold]))


def is_weak(test: ViolationTest) -> bool:
    """Whether updates of a worker hang together so little that it hardly matters."""
    return test.name == "round" and test.effect < _WEAK
