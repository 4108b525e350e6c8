"""What tests found in a run that the law fitted to it does not have."""

from __future__ import annotations

from stsyn_mpi.analysis.fitting.evidence import ViolationTest
from stsyn_mpi.analysis.fitting.run_fit import PER_ROUND, RunFit
from stsyn_mpi.analysis.fitting.violations import Violations


def unmodelled(fit: RunFit, found: Violations) -> tuple[ViolationTest, ...]:
    """Return the violated tests whose finding is not part of a law.

    Factors hold that workers differ, and a scope of ``per-round`` that the updates of
    a worker are alike; whichever of them was fitted. Nothing holds what workers share,
    nor what changes.

    Parameters
    ----------
    fit : RunFit
        The law.
    found : Violations
        What the tests say of the same run.
    """
    is_in_law = {
        "speeds": len(set(fit.worker_factors)) > 1,
        "round": fit.scope == PER_ROUND,
    }
    return tuple(
        test
        for test in found.tests
        if test.is_violated and not is_in_law.get(test.name, False)
    )
