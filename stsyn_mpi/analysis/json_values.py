"""Numbers of run files as JSON takes them: what is none, or infinite, is null."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from stsyn_mpi.runfile.schema import MISSING_COUNT


def json_values(values: np.ndarray) -> list[object]:
    """Return a column as JSON takes it; what is missing or infinite is None."""
    if values.ndim > 1:
        return [json_values(row) for row in values]
    return [None if _is_no_number(value) else value for value in values.tolist()]


def _is_no_number(value: float | int) -> bool:
    if isinstance(value, int):
        return value == MISSING_COUNT
    return not math.isfinite(value)


def finite_json(value: Any) -> Any:
    """Return a nested value with None for numbers that are infinite or none."""
    if isinstance(value, dict):
        return {key: finite_json(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite_json(part) for part in value]
    is_odd = isinstance(value, float) and not math.isfinite(value)
    return None if is_odd else value
