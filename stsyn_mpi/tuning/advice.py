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
    present_words : str
        What to call it: with K and U adapted it is only what it had most often.
    ranked : sequence of Ranked
        All that were tried, best first.
    round_s : dict
        Label to mean time of a round, virtual s.
    own_round_s : float
        Mean time of a round of the run by its own clock, s; NaN if it has none.
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
    present_words: str
    ranked: Sequence[Ranked]
    round_s: Mapping[str, float]
    own_round_s: float
    notes: tuple[str, ...]

    @property
    def best(self) -> Ranked:
        """What is recommended."""
        return self.ranked[0]

    def find(self, label: str) -> Ranked | None:
        """Return a candidate by its label, None if it was not tried."""
        return next((it for it in self.ranked if it.label == label), None)
