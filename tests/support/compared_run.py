"""Run files with the rows that a comparison reads, given by hand."""

import json

from stsyn_mpi.runfile.writer import RunWriter

ZERO_COUNTS = dict.fromkeys(
    (
        "n_uploaders",
        "updates_done",
        "updates_used",
        "updates_cancelled",
        "bytes_up",
        "bytes_down",
        "models_up",
        "models_down",
    ),
    0,
)


def write_rows(
    path, rows, *, n_workers=4, state="done", reason="", clock="virtual", **config
):
    """Write a run of these rows; counts that a row does not give are 0."""
    writer = RunWriter.create(
        path, n_workers, json.dumps({"seed": 0} | config), {}, clock=clock
    )
    for n, row in enumerate(rows):
        writer.commit_round(ZERO_COUNTS | row | {"round": n})
    if state != "running":
        writer.set_state(state, reason)
    writer.close()
    return path
