"""What comes of tuning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stsyn_mpi.config import TrainConfig
from stsyn_mpi.tuning.machine import Machine
from stsyn_mpi.tuning.noise import Noise
from stsyn_mpi.tuning.proxy import Proxy
from stsyn_mpi.tuning.ranking import Ranked
from stsyn_mpi.tuning.request import Request


@dataclass(frozen=True)
class Advice:
    """What came of it.

    Attributes
    ----------
    request : Request
        What was asked.
    own : TrainConfig
        Configuration of the run.
    clock : str
        Of the run, ``wall`` or ``virtual``.
    machine, noise, proxy
        What the candidates were judged with.
    present : str
        The run's own candidate.
    ranked : sequence of Ranked
        All that were tried, best first.
    round_s : dict
        Label to mean time of a round, virtual s.
    notes : tuple of str
        What was left out, sentences without their full stop.
    """

    request: Request
    own: TrainConfig
    clock: str
    machine: Machine
    noise: Noise
    proxy: Proxy
    present: str
    ranked: Sequence[Ranked]
    round_s: Mapping[str, float]
    notes: tuple[str, ...]

    @property
    def best(self) -> Ranked:
        """What is recommended."""
        return self.ranked[0]

    def find(self, label: str) -> Ranked | None:
        """Return a candidate by its label, None if it was not tried."""
        return next((it for it in self.ranked if it.label == label), None)
