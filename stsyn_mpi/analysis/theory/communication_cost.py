"""What communication costs a round, for the theory."""

from __future__ import annotations

import math
from dataclasses import dataclass

from stsyn_mpi.errors import InputError
from stsyn_mpi.simulation.delays import LAWS, parse_delay
from stsyn_mpi.spec import parse_duration, parse_spec

SERIAL = "serial"
_OF_WORKERS = ("markov", "trace")
_FORMS = (
    "a duration such as 5ms, a law such as exponential:mean=5ms, or serial:upload=1ms"
)


@dataclass(frozen=True)
class CommunicationCost:
    """Cost of the communication of a round.

    Attributes
    ----------
    mean_s, sd_s : float
        Expected time that it adds to a round, whatever happens in the round, and the
        standard deviation of that, s.
    upload_s : float
        Time that each upload occupies the link of the root, one after another, s.
    """

    mean_s: float = 0.0
    sd_s: float = 0.0
    upload_s: float = 0.0

    @property
    def is_free(self) -> bool:
        """Whether it takes no time."""
        return self.mean_s == self.upload_s == 0.0


FREE = CommunicationCost()


def parse_cost(text: str) -> CommunicationCost:
    """Parse ``--comm``.

    Parameters
    ----------
    text : str
        A duration, ``5ms``, that every round costs; a delay law, of which every round
        draws its cost; or ``serial:upload=1ms``, a link of the root on which uploads
        go one after another.

    Raises
    ------
    InputError
        If it is none of these.
    """
    if text[:1].isdigit() or text[:1] == ".":
        return CommunicationCost(parse_duration(text, "--comm"))
    spec = parse_spec(text, "--comm")
    if spec.name == SERIAL:
        spec.check_keys(("upload",))
        return CommunicationCost(upload_s=spec.duration("upload"))
    is_law = spec.name in LAWS and spec.name not in _OF_WORKERS
    if not is_law or {"factors", "scope"} & set(spec.parameters):
        raise InputError(f"--comm must be {_FORMS}, got {text!r}")
    law = parse_delay(text, 0, None)
    return CommunicationCost(law.mean, math.sqrt(law.variance))
