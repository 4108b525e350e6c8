"""What must hold after a disturbed run: nothing is lost that was not killed.

Each function returns what is wrong, as texts.
"""

from collections import Counter

import numpy as np
from relived import Relived
from scheme_runs import COUNTS

import stsyn_mpi
from stsyn_mpi.protocol.commands import Finish
from stsyn_mpi.protocol.events import UploadAnnounced
from stsyn_mpi.protocol.journal import from_line
from stsyn_mpi.runfile.reader import open_run

ACCURACY_LOSS = 0.05
PARAMS_ATOL = 1e-4


def check_rows(run, n_rounds=None):
    """Rounds without gap or double, and the sums in each row."""
    wrong = []
    n_rounds = run.n_rounds if n_rounds is None else n_rounds
    if not np.array_equal(run.column("round"), np.arange(n_rounds)):
        wrong.append(f"rounds are {run.column('round')}, not {n_rounds}")
    if np.any(np.diff(run.column("wall_s")) <= 0):
        wrong.append("wall_s does not increase")
    done, used = run.column("updates_done"), run.column("updates_used")
    if not np.array_equal(done - used, run.column("updates_dropped")):
        wrong.append("updates_done is not used + dropped")
    if np.any(used < 0) or np.any(run.column("worker_updates").sum(axis=1) > done):
        wrong.append("worker_updates exceed updates_done")
    return wrong


def own_counts(ledgers):
    """Return the updates by (worker, round) that the workers counted themselves."""
    counts = Counter()
    for path in ledgers.iterdir():
        rank = int(path.stem)
        if rank:
            rounds = map(int, path.read_text().split())
            counts.update((rank - 1, index) for index in rounds)
    return counts


def heard_counts(run):
    """Return the updates by (worker, round) in the answers that the root heard."""
    counts = Counter()
    for line in run.events():
        event = from_line(line)
        if isinstance(event, UploadAnnounced):
            counts[event.worker, event.round] += event.n_updates
    return +counts


def listed_counts(run):
    """Return the completed updates by (worker, round) in the table of updates.

    Those of the round that the end of the run cut are among them.
    """
    table = {name: run.file["updates"][name][:] for name in ("worker", "round")}
    is_done = run.file["updates/completed"][:] == 1
    pairs = zip(table["worker"][is_done], table["round"][is_done], strict=True)
    return Counter((int(worker), int(index)) for worker, index in pairs)


def check_balance(run, ledgers, gone):
    """The workers' own counts are what the root heard and what the file lists.

    Of a worker in ``gone``, killed or silent at the end, the root need not have heard
    of the last round in which it worked.
    """
    wrong = []
    own, heard = own_counts(ledgers), heard_counts(run)
    if heard != listed_counts(run):
        wrong.append("/updates differs from the answers that the root heard")
    last = {w: max((j for v, j in own if v == w), default=-1) for w in gone}
    for key in own.keys() | heard.keys():
        worker, index = key
        may_miss = worker in gone and index == last[worker]
        if heard[key] != own[key] and not (may_miss and heard[key] < own[key]):
            wrong.append(f"worker {worker} made {own[key]} updates in round {index}, ")
            wrong[-1] += f"the root heard of {heard[key]}"
    return wrong


def check_replay(run):
    """The events, lived through again, give the same rows, model and sums."""
    relived = Relived(run.config)
    try:
        n_unentered = _live(relived, run.events())
    except AssertionError as error:
        return [f"the replay differs: {error}"]
    records, finish = relived.records, relived.commands[-1]
    if not isinstance(finish, Finish) or finish.outcome.value != run.state.value:
        return [f"the replay ends with {finish}"]
    wrong = [
        f"the replay has another {column}"
        for column in (*COUNTS, "n_hung", "n_lost")
        if not np.array_equal(
            [getattr(record, column) for record in records], run.column(column)
        )
    ]
    if not np.allclose(run.final_params(), relived.params, atol=PARAMS_ATOL):
        wrong.append("the replay has another model")
    total = sum(heard_counts(run).values())
    entered = int(run.column("updates_done").sum()) + finish.updates_cut
    if entered != total - n_unentered:
        wrong.append(f"{total} updates heard of, {entered} in the rows and cut")
    return wrong


def _live(relived, lines):
    """Live again; return the updates that no row may have.

    They are of answers that came with the news of a death, or when the run was over.
    """
    coordinator, n_unentered = relived.coordinator, 0
    for line in lines:
        event = from_line(line)
        if isinstance(event, UploadAnnounced) and (
            coordinator.is_finished or coordinator.workers[event.worker].is_lost
        ):
            n_unentered += event.n_updates
        relived.live([line])
    return n_unentered


def check_accuracy(run, plan, folder):
    """The final model is about as good as that of an undisturbed, simulated run."""
    options = plan.options(folder / "undisturbed.h5")
    for name in ("min_workers", "alive_interval", "checkpoint_every", "record_events"):
        del options[name]
    with open_run(stsyn_mpi.simulate(**options)) as quiet:
        expected = quiet.column("test_accuracy")[-1]
    reached = run.column("test_accuracy")[-1]
    if not reached >= expected - ACCURACY_LOSS:
        return [f"accuracy {reached:.3f}, undisturbed {expected:.3f}"]
    return []


def check_superseded(run, starts):
    """Each resume kept the rows before its checkpoint and put aside all others.

    ``starts`` has for each resume the round it began with, and the columns ``wall_s``
    and ``updates_used`` of the file it found.
    """
    wrong = []
    aside = run.superseded()
    n_aside = sum(len(found["wall_s"]) - begun for begun, found in starts)
    if run.attributes["n_resumes"] != len(starts) or len(aside) != len(starts):
        wrong.append(f"{len(aside)} resumes, not {len(starts)}")
    if run.attributes["n_superseded"] != n_aside:
        wrong.append(f"n_superseded {run.attributes['n_superseded']}, not {n_aside}")
    least = min(begun for begun, _ in starts)
    for name in ("wall_s", "updates_used"):
        kept = starts[0][1][name][:least]
        if not np.array_equal(run.column(name)[:least], kept):
            wrong.append(f"{name} of rows that were kept has changed")
        for group, (begun, found) in zip(aside, starts, strict=False):
            if not np.array_equal(group.columns[name], found[name][begun:]):
                wrong.append(f"{name} of resume {group.resume} is not what was there")
    return wrong
