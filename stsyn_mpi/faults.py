"""Deliberate faults, so that a failure can be rehearsed where it is expected.

Each fault is ``kind:key=value,...``; workers, rounds and updates count from 0::

    sleep:worker=2,round=4,update=3,duration=2s   sleeps, cannot be halted
    raise:worker=2,round=4,update=3               raises in the compute thread
    raise:worker=2,round=4,thread=main            raises in the main thread
    stop:worker=2,round=4                         SIGSTOP to itself
    kill:worker=2,round=4                         SIGKILL to itself
    raise:root,round=3                            at the close of round 3

With ``thread=main`` a fault acts when the model of the round has arrived, otherwise
in the compute thread before the gradient of the update (the first, unless said).
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from stsyn_mpi.errors import InputError
from stsyn_mpi.spec import Spec, choose, parse_spec

KINDS = ("sleep", "raise", "stop", "kill")
Place = Literal["compute", "main", "root"]


class InjectedFault(RuntimeError):
    """Raised by a fault of kind ``raise``."""


@dataclass(frozen=True)
class Fault:
    """One deliberate fault: what, where and when; ``worker`` is -1 at the root."""

    kind: str
    place: Place
    worker: int
    round_index: int
    update_index: int
    duration: float

    def act(self) -> None:
        """Do it, in the calling thread.

        Raises
        ------
        InjectedFault
            If the kind is ``raise``.
        """
        if self.kind == "sleep":
            time.sleep(self.duration)
        elif self.kind == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif self.kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        else:
            raise InjectedFault(f"deliberate fault: {self}")

    def __str__(self) -> str:
        who = "root" if self.place == "root" else f"worker {self.worker}"
        update = f", update {self.update_index}" if self.place == "compute" else ""
        return f"{self.kind} at {who}, round {self.round_index}{update}"


@dataclass(frozen=True)
class FaultPlan:
    """All deliberate faults of a run; empty in a run that is no rehearsal."""

    faults: tuple[Fault, ...] = ()

    def before_update(self, worker: int, round_index: int, update_index: int) -> None:
        """Act in the compute thread: after the injected delay, before the gradient."""
        if self.faults:
            self._act("compute", worker, round_index, update_index)

    def on_model(self, worker: int, round_index: int) -> None:
        """Act in a worker's main thread: when the model of the round has arrived."""
        if self.faults:
            self._act("main", worker, round_index, 0)

    def at_root(self, round_index: int) -> None:
        """Act on the root: when it closes the round."""
        if self.faults:
            self._act("root", -1, round_index, 0)

    def _act(self, place: Place, worker: int, round_index: int, update: int) -> None:
        moment = (place, worker, round_index, update)
        for fault in self.faults:
            if moment == (
                fault.place,
                fault.worker,
                fault.round_index,
                fault.update_index,
            ):
                fault.act()


def parse_faults(texts: Sequence[str], n_workers: int | None) -> FaultPlan:
    """Make the plan of a run's faults.

    Parameters
    ----------
    texts : sequence of str
        One fault each, as the module describes.
    n_workers : int or None
        Workers of the run; None leaves worker numbers unchecked.

    Raises
    ------
    InputError
        Naming the fault, the value, and what is allowed.
    """
    return FaultPlan(tuple(_parse_fault(text, n_workers) for text in texts))


def _parse_fault(text: str, n_workers: int | None) -> Fault:
    spec = parse_spec(text, "fault")
    kind = choose(spec.name, KINDS, "fault")
    place = _place(spec)
    spec.check_keys(_allowed_keys(kind, place))
    worker = -1 if place == "root" else spec.whole("worker")
    if n_workers is not None and worker >= n_workers:
        raise InputError(
            f"fault {text!r}: worker must be 0 to {n_workers - 1}, got {worker}"
        )
    return Fault(
        kind=kind,
        place=place,
        worker=worker,
        round_index=spec.whole("round"),
        update_index=spec.whole("update", 0),
        duration=spec.duration("duration") if kind == "sleep" else 0.0,
    )


def _place(spec: Spec) -> Place:
    if "root" in spec.parameters:
        return "root"
    thread = spec.choice("thread", ("compute", "main"), "compute")
    return "main" if thread == "main" else "compute"


def _allowed_keys(kind: str, place: Place) -> tuple[str, ...]:
    keys = {
        "root": ("root", "round"),
        "main": ("worker", "round", "thread"),
        "compute": ("worker", "round", "update", "thread"),
    }[place]
    return (*keys, "duration") if kind == "sleep" else keys
