"""Invariants of the coordinator, for tests."""

from stsyn_mpi.protocol.plan import Restart
from stsyn_mpi.protocol.rounds import RoundMachine


def validate(machine: RoundMachine) -> None:
    """Check what must hold after every event.

    Raises
    ------
    AssertionError
        With the invariant that does not.
    """
    ledger = machine.round
    for index in ledger.awaited:
        worker = machine.workers[index]
        owes = worker.owes_work or (machine.ending and not worker.is_quiet)
        assert owes, f"worker {index} is awaited but owes nothing"
        assert not worker.is_hung, f"hung worker {index} is awaited"
        assert not worker.is_lost, f"lost worker {index} is awaited"
    used = [(upload.worker, upload.base_round) for upload in ledger.used]
    if ledger.plan.restart is Restart.ON_AGGREGATE:
        assert len(used) == len(set(used)), f"an upload counts twice: {used}"
    n_used = sum(upload.n_updates for upload in ledger.used)
    assert n_used <= ledger.updates_done, "more updates used than done"
    for worker in machine.workers:
        assert worker.payloads_due >= 0, f"worker {worker.index}: payloads < 0"
        index = ledger.view.round_index
        assert worker.base_round <= index, f"worker {worker.index}: future model"
    if not machine.is_finished and machine.ending is None:
        _validate_progress(machine)


def _validate_progress(machine: RoundMachine) -> None:
    """Somebody works, is awaited, or everybody is silent: no stuck state."""
    ledger = machine.round
    if ledger.is_closed:
        assert ledger.awaited, "a closed round waits for nobody"
        return
    for worker in machine.workers:
        is_owed = worker.index in machine.owed and not worker.is_hung
        may_start = worker.index in ledger.plan.participants
        assert not (is_owed and may_start and worker.is_quiet), (
            f"worker {worker.index} is owed a model and has none"
        )
    busy = any(not w.is_quiet for w in machine.workers if not w.is_lost)
    assert busy or not machine.responsive, "nobody works and nobody is silent"
