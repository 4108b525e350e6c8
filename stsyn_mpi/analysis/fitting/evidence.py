"""What a test of the model says of a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ALPHA = 0.05
"""Probability with which chance alone may make any of the tests speak."""
N_TESTS = 4
LEVEL = ALPHA / N_TESTS
"""With which each of them may, one of several as it is (Bonferroni)."""
LEAST_ROWS = 8
LEAST_COMPLETED = 50


@dataclass(frozen=True)
class ViolationTest:
    """One test of the model that all update times are drawn from one law.

    Attributes
    ----------
    name : str
        ``speeds``: some workers are slower than others, in all rounds. ``round``:
        the updates of a worker in one round are alike. ``shared``: all workers are
        slow in the same rounds. ``drift``: times change over the run.
    statistic : float
        Standard deviations from what is expected; NaN where there is no test.
    p_value : float or None
        Probability that chance alone gives such a statistic; None where there are too
        few updates to tell, or nothing to compare.
    is_violated : bool
        Whether chance alone does not explain it, all tests taken together, and it is
        large enough to matter.
    effect : float
        How large it is. ``speeds`` and ``drift``: a ratio of times; ``round`` and
        ``shared``: a correlation. NaN where there is no test.
    words : str
        What that says, in a sentence.
    """

    name: str
    statistic: float
    p_value: float | None
    is_violated: bool
    effect: float
    words: str


def speaks(p_value: float, is_large: bool) -> bool:
    """Whether a test that is one of several finds the model violated."""
    return bool(p_value <= LEVEL and is_large)


def is_beyond_chance(test: ViolationTest) -> bool:
    """Whether chance does not explain what a test found, however small it is."""
    return test.p_value is not None and speaks(test.p_value, is_large=True)


def untold(name: str, why: str) -> ViolationTest:
    """Return a test that there was nothing for."""
    return ViolationTest(name, np.nan, None, False, np.nan, why)
