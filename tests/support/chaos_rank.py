"""``stsyn-mpi train`` whose ranks also count by themselves what they complete.

    python chaos_rank.py LEDGERS train -M 5 ...

Started by a user it is the command; the ranks that it starts run this script again.
Each writes a line, the round, to the file LEDGERS/RANK.PID: a worker at each committed
update, under the lock that a halt takes too, the root for each round it closes. What
was written outlives a SIGKILL of its writer.
"""

import faulthandler
import os
import sys
from pathlib import Path

from stsyn_mpi.cli.main import main
from stsyn_mpi.mpi import launch


class Ledger:
    """The own count of a rank."""

    def __init__(self, folder):
        rank = launch.rank_in(os.environ)
        # A name that appears whole tells that this rank can be signalled.
        path = Path(folder) / f"{rank}.{os.getpid()}"
        self._file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        self.round = -1

    def note(self, round_index):
        os.write(self._file, b"%d\n" % round_index)


def count_updates(ledger):
    """Write down the round of each update that a worker commits."""
    from stsyn_mpi.training.buffers import ParameterBuffers
    from stsyn_mpi.training.local_sgd import LocalTrainer

    begin, commit = LocalTrainer.begin, ParameterBuffers.commit

    def begin_counted(self, task, had_model_t):
        with self.buffers.lock:
            # The last task's updates are refused from its halt on.
            ledger.round = task.round
            return begin(self, task, had_model_t)

    def commit_counted(self, lease):
        with self.lock:
            following = commit(self, lease)
            if following is not None:
                ledger.note(ledger.round)
            return following

    LocalTrainer.begin = begin_counted
    ParameterBuffers.commit = commit_counted


def count_rounds(ledger):
    """Write down each round that the root closes."""
    from stsyn_mpi.runfile.recorder import RunRecorder

    close_round = RunRecorder.close_round

    def close_counted(self, record, timings):
        ledger.note(record.round)
        close_round(self, record, timings)

    RunRecorder.close_round = close_counted


def run(folder, arguments):
    # The ranks of a job that hangs can be asked where they are, by SIGABRT.
    faulthandler.enable()
    if launch.launched_by_mpi(os.environ):
        ledger = Ledger(folder)
        if launch.rank_in(os.environ) == 0:
            count_rounds(ledger)
        else:
            count_updates(ledger)
    else:
        own = [sys.executable, __file__, folder]
        launch.rank_argv = lambda rest: [*own, *rest]
    main(arguments)


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2:])
