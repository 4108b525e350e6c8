"""A recorded run as a law of update times: its own updates, replayed."""

from __future__ import annotations

from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile.reader import Run
from stsyn_mpi.runfile.update_search import UpdateSearch
from stsyn_mpi.simulation.virtual_delay import parse_virtual_delay

AT_PACE = ",beyond=pace"
"""Of a replay: what a round does not hold of a worker goes on at its pace there."""
_MOST_ROWS = 1 << 22
"""What is replayed is held in memory: some 200 bytes for each local update."""


def replay_of(run: Run) -> str | None:
    """Return the run as ``--delay`` takes it; None where it cannot be replayed.

    That is where a worker completed no update, the name of the file has a comma, or
    there are more than 2^22 updates. `AT_PACE` may follow.

    Parameters
    ----------
    run : Run
        An open run.
    """
    if UpdateSearch(run).n_rows > _MOST_ROWS:
        return None
    law = f"trace:file={run.path}"
    try:
        # Without paces, which take long to find and are never refused.
        parse_virtual_delay(law, 0, run.n_workers)
    except InputError:
        return None
    return law
