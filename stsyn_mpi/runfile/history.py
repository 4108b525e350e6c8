"""Root attributes that tell a run's history over all its resumes."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping

import numpy as np

from stsyn_mpi.runfile.guarded import Damage
from stsyn_mpi.runfile.provenance import local_provenance
from stsyn_mpi.runfile.reader import Run
from stsyn_mpi.runfile.schema import PROVENANCE, SCHEMA_VERSION


def first_history() -> dict[str, object]:
    """Return the history of a run that has just been created."""
    return {
        "run_id": uuid.uuid4().hex,
        "n_resumes": 0,
        "n_superseded": 0,
        "earlier_writers": "[]",
    }


def resumed_attributes(
    run: Run, n_rounds: int, provenance: Mapping[str, object], config_json: str | None
) -> dict[str, object]:
    """Return the root attributes of a run that goes on from round `n_rounds`.

    Parameters
    ----------
    run : Run
        The run as it was left.
    n_rounds : int
        Rounds that count.
    provenance : mapping
        What the starting program says of the present ranks.
    config_json : str, optional
        The configuration from now on, if it has changed.

    Returns
    -------
    dict
        All attributes that the file had, with the present writer's in place of the
        earlier one's, and the history extended by one writer.

    Raises
    ------
    Damage
        If the history in the file is not what a resume writes.
    """
    old = first_history() | run.attributes
    present = local_provenance() | dict(provenance)
    del present["created"]
    if config_json is not None:
        present["config"] = config_json
    replaced = set(present) | set(PROVENANCE)
    kept = {name: value for name, value in old.items() if name not in replaced}
    writer = {name: value for name, value in old.items() if name in replaced}
    return {
        **kept,
        **present,
        "schema_version": SCHEMA_VERSION,
        "n_resumes": n_resumes(run) + 1,
        "n_superseded": _count(old, "n_superseded") + run.n_rounds - n_rounds,
        "earlier_writers": json.dumps(
            [*_earlier_writers(old), _described(writer, run, present)]
        ),
    }


def n_resumes(run: Run) -> int:
    """Return how often a run was resumed; 0 in files that know no resumes."""
    return _count(run.attributes, "n_resumes")


def _count(attributes: Mapping[str, object], name: str) -> int:
    value = attributes.get(name, 0)
    if not isinstance(value, int) or value < 0:
        raise Damage(f"{name} is {value!r}")
    return value


def _earlier_writers(attributes: Mapping[str, object]) -> list[object]:
    writers = _decoded(attributes["earlier_writers"])
    if not isinstance(writers, list):
        raise Damage("earlier_writers is no JSON list")
    return writers


def _described(
    writer: Mapping[str, object], run: Run, present: Mapping[str, object]
) -> dict[str, object]:
    """Return what a writer was, and how far it came."""
    unchanged = {name for name in ("config",) if writer.get(name) == present.get(name)}
    return {
        **{k: _decoded(v) for k, v in writer.items() if k not in unchanged},
        "n_rounds": run.n_rounds,
        "run_state": run.state.value,
        "state_reason": run.state_reason,
        "heartbeat": run.heartbeat,
    }


def _decoded(value: object) -> object:
    """Return a value as JSON holds it; text that is JSON itself is unfolded."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value
