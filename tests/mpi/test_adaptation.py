"""Adapted K and U on real ranks: recorded, replayed, and taken up by a resume."""

import pytest
from relived import fresh_coordinator

from stsyn_mpi.errors import EXIT_DONE
from stsyn_mpi.protocol.commands import RecordChange
from stsyn_mpi.protocol.journal import from_line
from stsyn_mpi.runfile.reader import open_run

pytestmark = [pytest.mark.mpi, pytest.mark.once]

# Even updates, and a worker that is not worth waiting for.
OPTIONS = (
    *("--strategy", "stsyn:K=3,U=2,adapt=ku", "--model", "softmax"),
    *("--delay", "constant:mean=2ms,factors=1/1/25", "--eval-every", 0),
    *("--alive-interval", "50ms", "--record-events"),
)


def changes_of_replay(run):
    """Return the changes that a fresh coordinator makes of the run's events."""
    coordinator = fresh_coordinator(run.config)
    commands = (
        command
        for line in run.events()
        for command in coordinator.handle(from_line(line))
    )
    return [c.change for c in commands if isinstance(c, RecordChange)]


def test_choices_follow_from_the_events_and_outlive_the_run(start, tmp_path):
    path = tmp_path / "run.h5"
    job = start(4, "--out", path, *OPTIONS, "--rounds", 15)
    assert job.wait() == EXIT_DONE, job.errors
    with open_run(path) as run:
        changes = run.changes()
        assert changes_of_replay(run) == changes != []
        k, u = run["wait_for"], run["target_updates"]
        for change in changes:
            if change.round + 1 < run.n_rounds:
                expected = change.wait_for, change.target_updates
                assert (k[change.round + 1], u[change.round + 1]) == expected
        last = changes[-1].wait_for, changes[-1].target_updates
    job = start(4, "--resume", path, "--rounds", 19)
    assert job.wait() == EXIT_DONE, job.errors
    with open_run(path) as run:
        assert run.changes()[: len(changes)] == changes
        # A round may be the short one that tells the loss of the model alone.
        k, u = run["wait_for"][15:], run["target_updates"][15:]
        assert k[0] == last[0]
        assert u[0] in (1, last[1])
