"""Options of a simulated run: those of a real one, and the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from stsyn_mpi.config import TrainConfig
from stsyn_mpi.config_checks import naming
from stsyn_mpi.errors import InputError

MOST_WORKERS = 1_000_000
"""So many take 3 GB."""


@dataclass(frozen=True)
class SimulateConfig(TrainConfig):
    """All options of a run under a virtual clock; see `TrainConfig` for the others.

    Options that belong to real processes (``wait``, ``swmr``, ``alive_interval``,
    ``start_limit``, ``upload_buffers``, ``root_device``, ``gpu_direct``, ``fault``) are
    taken and have no effect, except that faults are refused.

    Attributes
    ----------
    network : str
        Cost of messages, see `stsyn_mpi.simulation.network`.
    timing_only : bool
        Simulate the rounds and train nothing.
    """

    command: ClassVar[str] = "simulate"

    network: str = "free"
    timing_only: bool = False

    def validate(self) -> Self:
        """Check everything that needs no file, and return self.

        Raises
        ------
        InputError
            Naming the option, its value, and what is allowed.
        """
        from stsyn_mpi.simulation.network import parse_network

        super().validate()
        if (self.workers or 0) > MOST_WORKERS:
            raise InputError(
                f"--workers must be at most {MOST_WORKERS} in a simulated run, "
                f"got {self.workers}"
            )
        with naming("network"):
            parse_network(self.network)
        if self.fault:
            raise InputError(
                f"--fault {self.fault[0]}: faults are for real ranks, see train"
            )
        if self.timing_only and self.target_accuracy is not None:
            raise InputError(
                f"--target-accuracy {self.target_accuracy:g} is never reached with "
                "--timing-only: nothing is trained"
            )
        return self
