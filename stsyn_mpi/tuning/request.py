"""What ``stsyn-mpi tune`` is asked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from stsyn_mpi.errors import InputError
from stsyn_mpi.tuning.grid import Wishes

MOST_SEEDS = 1000
NO_WISHES = Wishes()


@dataclass(frozen=True)
class Request:
    """What is asked.

    Attributes
    ----------
    path : Path
        A run file.
    target : float or None
        Test accuracy to reach soonest; None asks for the most worth a second.
    noise : float or None
        Noise level; None measures it.
    wishes : Wishes
        Which candidates.
    n_seeds, seed : int
        Seeds of those that stay to the end, and the first of them.
    budget_s : float
        Processor time for all trials, s.
    data, model, delay, network : str or None
        What to take in place of what the run says.
    """

    path: Path
    target: float | None = None
    noise: float | None = None
    wishes: Wishes = NO_WISHES
    n_seeds: int = 8
    seed: int = 0
    budget_s: float = 60.0
    data: str | None = None
    model: str | None = None
    delay: str | None = None
    network: str | None = None


def check(request: Request) -> None:
    """Check what needs no file.

    Raises
    ------
    InputError
        Naming the option, its value, and what is allowed.
    """
    target, n, budget_s = request.target, request.n_seeds, request.budget_s
    if target is not None and not 0 < target <= 1:
        raise InputError(f"--target must be a share above 0, at most 1, got {target!r}")
    if not 2 <= n <= MOST_SEEDS:
        raise InputError(
            f"--seeds must be a whole number from 2 to {MOST_SEEDS}, got {n}"
        )
    if not 0 <= request.seed < 2**62:
        raise InputError(f"--seed must be from 0 to 2**62 - 1, got {request.seed}")
    if not 0 < budget_s < math.inf:
        raise InputError(f"--budget must be a duration above 0, got {budget_s!r}")
