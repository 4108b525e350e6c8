"""The run itself as the law of its machine, where no law fitted to it will do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stsyn_mpi.analysis.fitting.evidence import ViolationTest
from stsyn_mpi.analysis.fitting.few_factors import few_factors
from stsyn_mpi.analysis.fitting.fit_words import USES_MEASURED
from stsyn_mpi.analysis.fitting.run_fit import PER_ROUND, RunFit
from stsyn_mpi.analysis.theory.pace_laws import pace_laws
from stsyn_mpi.analysis.theory.run_replay import AT_PACE, replay_of
from stsyn_mpi.analysis.theory.update_laws import UpdateLaw
from stsyn_mpi.analysis.words import abridged
from stsyn_mpi.runfile.reader import Run
from stsyn_mpi.simulation.recorded import read_record
from stsyn_mpi.simulation.trace import paces_of

_OF_PACES = ("round", "shared")
"""Tests whose finding is in a replay, and in no law of independent updates."""
_FAR = (
    "The run's own updates are replayed, as no law is near them: where rounds were cut "
    "short long ones are too rare"
)
_CORRELATED = (
    "So the run's own updates are replayed, and what a round does not hold of a worker "
    "goes on at its pace there"
)


@dataclass(frozen=True)
class SimulatedLaw:
    """A law of update times for trials.

    Attributes
    ----------
    delay : str
        As for ``--delay`` of a simulated run.
    laws : sequence of UpdateLaw
        The same for the theory, one of each worker.
    words : tuple of str
        Where it comes from, sentences without their full stop.
    holds : tuple of str
        Names of the tests whose finding it has beyond the law that was fitted.
    """

    delay: str
    laws: Sequence[UpdateLaw]
    words: tuple[str, ...]
    holds: tuple[str, ...] = ()


def replayed(
    run: Run, fit: RunFit, broken: Sequence[ViolationTest]
) -> SimulatedLaw | None:
    """Return the run as a law where no other will do and it can be one.

    That is where the updates of a worker, or of a round, hang together, or no law is
    near them. Of a worker that draws once a round no more than the record holds can be
    replayed. A run of very many updates is not: the fitted law is left, and what it
    lacks is said.

    Parameters
    ----------
    run, fit
        The run, and what was fitted to it.
    broken : sequence of ViolationTest
        What its updates show and the fitted law does not have.
    """
    found = [test for test in broken if test.name in _OF_PACES]
    if fit.scope == PER_ROUND or not (found or fit.uses_measured):
        return None
    delay = replay_of(run)
    if delay is None:
        return None
    if not found:
        return SimulatedLaw(delay, fit.update_laws, (told(fit), _FAR), ("speeds",))
    why = (abridged(test.words.rstrip(".")) for test in found)
    words = (told(fit), *why, _CORRELATED)
    laws = _laws_of_paces(run, fit)
    return SimulatedLaw(delay + AT_PACE, laws, words, (*_OF_PACES, "speeds"))


def told(fit: RunFit) -> str:
    """Return what was found out, but for what predictions would be made of."""
    return abridged(fit.words.replace(f" {USES_MEASURED}", "").rstrip("."))


def _laws_of_paces(run: Run, fit: RunFit) -> Sequence[UpdateLaw]:
    """Return laws for the theory: workers whose factors are alike share one."""
    paces = paces_of(read_record(Path(run.path)).first_workers(run.n_workers), "total")
    factors = np.array(few_factors(fit.worker_factors))
    means_s = factors * float((paces.mean_s / factors).mean())
    return pace_laws(paces, means_s.tolist(), [0.0] * run.n_workers)
