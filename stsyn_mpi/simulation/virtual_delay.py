"""Delay laws that a virtual clock can go on with."""

from __future__ import annotations

from stsyn_mpi.errors import InputError
from stsyn_mpi.simulation.delays import DelayLaw, parse_delay
from stsyn_mpi.simulation.keys import read_factors
from stsyn_mpi.simulation.trace import TraceDelay
from stsyn_mpi.spec import parse_spec


def parse_virtual_delay(text: str, seed: int, n_workers: int) -> DelayLaw:
    """Make a delay law under which every update takes time.

    Parameters
    ----------
    text, seed, n_workers
        As for `stsyn_mpi.simulation.delays.parse_delay`.

    Raises
    ------
    InputError
        Naming the law or parameter, and what is allowed.
    """
    law = parse_delay(text, seed, n_workers)
    if law.mean <= 0.0:
        raise InputError(
            f"--delay {text}: a virtual clock needs to know how long a local "
            "update takes, as in --delay exponential:mean=20ms"
        )
    factors = read_factors(parse_spec(text), n_workers)
    if 0.0 in factors:
        raise InputError(
            f"--delay {text}: the updates of worker {factors.index(0.0)} take "
            "no time (factor 0), a virtual clock cannot go on"
        )
    if isinstance(law, TraceDelay) and law.timeless_workers:
        raise InputError(
            f"--delay {text}: the recorded updates of worker "
            f"{law.timeless_workers[0]} took no time, a virtual clock cannot go on"
        )
    return law
