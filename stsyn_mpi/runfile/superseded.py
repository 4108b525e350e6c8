"""What resumes put aside: rounds after the checkpoint that were made again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import h5py
import numpy as np

from stsyn_mpi.runfile import guarded
from stsyn_mpi.runfile.guarded import Damage
from stsyn_mpi.runfile.schema import COLUMNS
from stsyn_mpi.runfile.tables import (
    ColumnTable,
    EventStream,
    changes_table,
    event_stream,
    no_updates,
    updates_table,
)


@dataclass(frozen=True, eq=False)
class Superseded:
    """What one resume put aside.

    Attributes
    ----------
    resume : int
        Which resume, 1 for the first.
    first_round : int
        Round it went on from: the first one put aside, and made again.
    resumed : str
        When, UTC, ISO 8601.
    columns : dict
        Columns of the rounds, as in `Run`; none of them may have a row.
    updates : dict
        Columns of the local updates that belong to these rounds.
    events : list of str
        All events of the writers before the resume, JSON texts.
    """

    resume: int
    first_round: int
    resumed: str
    columns: dict[str, np.ndarray]
    updates: dict[str, np.ndarray]
    events: list[str]

    @property
    def n_rounds(self) -> int:
        """Rounds put aside."""
        return len(self.columns["round"])


@dataclass(frozen=True)
class SupersededGroup:
    """A group ``/superseded/K``; the attributes are those of `Superseded`."""

    resume: int
    first_round: int
    resumed: str
    rounds: ColumnTable
    updates: ColumnTable | None
    events: EventStream | None
    changes: ColumnTable | None

    @property
    def n_rounds(self) -> int:
        """Rounds put aside."""
        return len(self.rounds.scale)

    def read(self) -> Superseded:
        """Read all of it."""
        updates, events = self.updates, self.events
        return Superseded(
            self.resume,
            self.first_round,
            self.resumed,
            self.rounds.read_all(self.n_rounds),
            no_updates() if updates is None else updates.read_all(len(updates.scale)),
            [] if events is None else events.lines(),
        )


def superseded_groups(
    file: h5py.File, n_workers: int, schema_version: int
) -> list[SupersededGroup]:
    """Return what each resume put aside, unread, in their order.

    Raises
    ------
    Damage
        If a group is not what a resume leaves.
    """
    if not guarded.has(file, "superseded"):
        return []
    parent = guarded.group(file, "superseded")
    return [
        _opened(parent, resume, n_workers, schema_version)
        for resume in sorted(_numbers(parent))
    ]


def _numbers(parent: h5py.Group) -> Iterator[int]:
    for name in parent:
        if not (name.isascii() and name.isdigit() and str(int(name)) == name):
            raise Damage(f"superseded/{name} is no resume")
        yield int(name)


def _opened(
    parent: h5py.Group, resume: int, n_workers: int, schema_version: int
) -> SupersededGroup:
    group = guarded.group(parent, str(resume))
    values = guarded.attributes(group)
    first_round, resumed = values.get("first_round"), values.get("resumed")
    if not isinstance(first_round, int) or not isinstance(resumed, str):
        raise Damage(f"superseded/{resume} lacks first_round or resumed")
    rounds = ColumnTable(group, COLUMNS, n_workers, schema_version)
    updates = updates_table(group, schema_version)
    changes = changes_table(group, schema_version)
    for table in (rounds, updates, changes):
        if table is not None:
            table.lengths()  # Raises what is wrong with them.
    return SupersededGroup(
        resume, first_round, resumed, rounds, updates, event_stream(group), changes
    )
