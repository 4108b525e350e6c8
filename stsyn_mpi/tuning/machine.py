"""The machine of a run, as far as the simulator is concerned."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stsyn_mpi.analysis.fitting.evidence import ViolationTest
from stsyn_mpi.analysis.fitting.run_fit import RunFit, fit_run
from stsyn_mpi.analysis.fitting.unmodelled import unmodelled
from stsyn_mpi.analysis.fitting.violation_words import is_weak
from stsyn_mpi.analysis.fitting.violations import find_violations
from stsyn_mpi.analysis.stuck import stuck_words
from stsyn_mpi.analysis.theory.delay_laws import worker_laws
from stsyn_mpi.analysis.theory.run_overrun import overrun_words
from stsyn_mpi.analysis.theory.update_laws import UpdateLaw
from stsyn_mpi.analysis.words import abridged
from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile.reader import Run
from stsyn_mpi.simulation.virtual_delay import parse_virtual_delay
from stsyn_mpi.spec import parse_spec
from stsyn_mpi.tuning.communication import Communication, communication_of
from stsyn_mpi.tuning.replay import SimulatedLaw, replayed, told

MOST_WORKERS = 10_000
STUCK = "stuck"
_FOLLOWS = {
    "speeds": "workers are simulated as equally fast",
    "round": (
        "updates are simulated as independent, and what waits for many workers really "
        "takes longer, perhaps several times as long"
    ),
    "shared": (
        "workers are simulated as independent, and no choice of K avoids what slows "
        "them all"
    ),
    "drift": "the law is the mean of what changed",
}
"""What a test that speaks means where the law that is simulated knows nothing of it."""
_WEAK = (
    "updates are simulated as independent, and what waits for many workers may take a "
    "little longer"
)
_GIVEN_WORDS = "Update times are what --delay says"
_FAR_WORDS = (
    "Warning: that is far off, and is simulated nevertheless: name another law with "
    "--delay"
)


@dataclass(frozen=True)
class Machine:
    """Workers, their delays, and what messages cost.

    Attributes
    ----------
    n_workers : int
        M.
    delay : str
        Law of the time of a whole update, as for ``--delay`` of a simulated run.
    laws : sequence of UpdateLaw
        The same for the theory, one of each worker; close ones may share one.
    communication : Communication
        What messages cost.
    words : tuple of str
        Where all this comes from, sentences without their full stop.
    unsimulated : tuple of str
        Names of the tests whose finding in the run the delay does not have; `STUCK`
        where workers were.
    """

    n_workers: int
    delay: str
    laws: Sequence[UpdateLaw]
    communication: Communication
    words: tuple[str, ...]
    unsimulated: tuple[str, ...] = ()

    @property
    def mean_s(self) -> float:
        """Mean time of an update, s."""
        return float(sum(law.mean for law in self.laws) / len(self.laws))


def machine_of(
    run: Run,
    delay: str | None = None,
    network: str | None = None,
    fit: RunFit | None = None,
) -> Machine:
    """Learn what a run says of its machine.

    Parameters
    ----------
    run : Run
        The run.
    delay, network : str or None
        What to take in place of what the run says.
    fit : RunFit or None
        What was fitted to its update times; None fits them here.

    Raises
    ------
    InputError
        If no law can be fitted, the one that fits has no mean, or what messages cost
        is not known.
    """
    n = run.n_workers
    if n > MOST_WORKERS:
        raise InputError(f"{run.path} has {n:,} workers: at most {MOST_WORKERS:,}")
    communication = communication_of(run, network)
    if delay is not None:
        parse_virtual_delay(delay, 0, n)
        given = (f"{_GIVEN_WORDS}: {delay}", communication.words)
        return Machine(n, delay, worker_laws(delay, n), communication, given)
    fit = fit or fit_run(run)
    _check_mean(run, fit)
    broken = unmodelled(fit, find_violations(run))
    law = replayed(run, fit, broken) or _fitted(run, fit)
    left = [test for test in broken if test.name not in law.holds]
    warnings = [*map(_unsimulated_words, left), *_missing(run, law, network)]
    names = [test.name for test in left] + [STUCK] * bool(stuck_words(run))
    words = (*law.words, *warnings, communication.words)
    return Machine(n, law.delay, law.laws, communication, words, tuple(names))


def _missing(run: Run, law: SimulatedLaw, network: str | None) -> Iterator[str]:
    """Yield warnings of what no test of update times finds and no trial has."""
    found = [stuck_words(run)]
    if run.clock == "wall" and network is None:
        # In the network of a simulated run workers go on as they did.
        found.append(overrun_words(run, law.laws))
    yield from (f"Warning: {words.rstrip('.')}" for words in found if words)


def _unsimulated_words(test: ViolationTest) -> str:
    follows = _WEAK if is_weak(test) else _FOLLOWS[test.name]
    return f"Warning: not simulated: {abridged(test.words)} Here {follows}"


def _fitted(run: Run, fit: RunFit) -> SimulatedLaw:
    """Return the law of whole updates that fits best."""
    words = [told(fit) + _quality(fit), *([_FAR_WORDS] if fit.uses_measured else [])]
    delay = _with_time_between(fit.delay, fit.between_s)
    parse_virtual_delay(delay, 0, run.n_workers)
    laws = fit.update_laws
    if fit.uses_measured:
        laws = worker_laws(delay, run.n_workers)
    return SimulatedLaw(delay, laws, tuple(words))


def _check_mean(run: Run, fit: RunFit) -> None:
    if not fit.delay:
        name = fit.laws[0].name if fit.laws else "none"
        raise InputError(
            f"{run.path}: the law that fits its update times best ({name}) has no mean "
            "and cannot be simulated: name another, as in --delay lognormal:mean=20ms"
        )


def _quality(fit: RunFit) -> str:
    """Return how well the law fits that is simulated."""
    best = fit.best
    if best is None or not math.isfinite(best.distance):
        return ""
    chance = "" if best.p_value is None else f" (p = {best.p_value:.2g})"
    return (
        f". The law that is simulated is at most {best.distance:.2g} off the measured "
        f"distribution function{chance}"
    )


def _with_time_between(delay: str, between_s: float) -> str:
    """Return a law whose mean has what passes between updates in it.

    The simulator starts an update where the last one ended.
    """
    spec = parse_spec(delay, "--delay")
    if not between_s or "mean" not in spec.parameters:
        return delay
    mean_s = spec.duration("mean") + between_s
    own = {**spec.parameters, "mean": f"{mean_s:.9g}s"}
    return f"{spec.name}:" + ",".join(f"{key}={value}" for key, value in own.items())
