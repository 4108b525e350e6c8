"""What a worker is given to do, and what it says that it has done."""

from dataclasses import dataclass

import numpy as np

from stsyn_mpi.protocol.plan import Payload

ROW_FIELDS = ("start_s", "injected_s", "work_s", "completed")


@dataclass(frozen=True, slots=True)
class Task:
    """What to do with a model; ``report_every`` 0 reports at the target only.

    Draws are keyed by the round and the index of the update, from ``first_update`` on.
    """

    round: int
    target_updates: int
    stops_at_target: bool
    report_every: int
    payload: Payload = Payload.PARAMETERS
    first_update: int = 0


@dataclass(frozen=True, slots=True)
class WorkReport:
    """The completed work of a task, final.

    ``slot`` names the vector to upload, or None; `LocalTrainer.finish_upload` returns
    it. ``rows`` has shape (n, 4), float64, columns `ROW_FIELDS`, the last row being the
    update in flight, if any; all times are seconds since the worker had the model.
    """

    slot: int | None
    minuend: int | None
    n_updates: int
    n_cancelled: int
    loss_sum: float
    target_s: float
    compute_s: float
    injected_s: float
    cancelled_s: float
    idle_s: float
    rows: np.ndarray
