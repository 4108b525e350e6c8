"""What the root says while it runs: log lines on stderr, one log file per rank."""

import logging
import socket
import sys
import time
from collections.abc import Callable
from math import isnan
from pathlib import Path

from stsyn_mpi.config import TrainConfig
from stsyn_mpi.errors import InputError
from stsyn_mpi.news import News
from stsyn_mpi.protocol.commands import RecordChange, ReportAbsence
from stsyn_mpi.protocol.records import Change, RoundRecord, WorkerStatus
from stsyn_mpi.simulate_config import SimulateConfig
from stsyn_mpi.training.evaluator import EvaluationResult

_LINE_INTERVAL_S = 1.0
_MOST_EMPTY_ROUNDS = 10
LOG = logging.getLogger("stsyn_mpi")
_TROUBLES = {
    WorkerStatus.LATE: "is late",
    WorkerStatus.HUNG: "is hung",
    WorkerStatus.LOST: "is lost",
    WorkerStatus.REFUSED: "sent NaN or inf: its upload is refused",
}


def set_up_logging(config: TrainConfig, rank: int | None) -> None:
    """Log to stderr, and to ``LOG_DIR/rank-R.log`` where that is asked for.

    A simulated run (``rank`` None) logs to ``LOG_DIR/simulation.log``.

    Raises
    ------
    InputError
        If the log file cannot be written.
    """
    LOG.setLevel(config.log_level.upper())
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    if config.log_dir is not None:
        name = "simulation" if rank is None else f"rank-{rank:04d}"
        path = Path(config.log_dir) / f"{name}.log"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handlers.append(logging.FileHandler(path))
        except OSError as error:
            raise InputError(f"--log-dir: cannot write {path}: {error}") from None
    who = "simulation" if rank is None else f"rank {rank}"
    where = f"{who} ({socket.gethostname()})"
    for handler in handlers:
        handler.setFormatter(logging.Formatter(f"%(asctime)s {where}: %(message)s"))
        LOG.addHandler(handler)


class Progress:
    """One line a second at most: round, accuracy, who is late.

    Parameters
    ----------
    config
        Resolved configuration.
    describe
        Says of a worker where it is and what data are its own, for the worst news.
    first_round
        Where the run goes on.
    """

    def __init__(
        self,
        config: TrainConfig,
        describe: Callable[[int], str] = str,
        first_round: int = 0,
    ) -> None:
        self._describe = describe
        is_timed = isinstance(config, SimulateConfig) and config.timing_only
        self._trains = not is_timed
        self._bound = f"/{config.rounds}" if config.rounds else ""
        self._start_t = time.perf_counter()
        self._said_t = float("-inf")
        self._round = first_round
        self._train_loss = float("nan")
        self._accuracy = float("nan")
        self._troubled: dict[int, WorkerStatus] = {}
        self._n_empty = 0

    def report(self, news: News) -> None:
        """Take a committed round or an evaluation, and say so if it is time.

        A change of K and U, and a worker that is hung or lost, is said at once.
        """
        if isinstance(news, RecordChange):
            _say_change(news.change)
            return
        if isinstance(news, ReportAbsence):
            self._say_absence(news)
            return
        if isinstance(news, EvaluationResult):
            self._accuracy = news.evaluation.accuracy
        else:
            self._round = news.record.round + 1
            self._train_loss = news.record.train_loss
            self._name_troubled(news.record)
            self._count_empty(news.record)
            LOG.debug("%s", news.record)
        now = time.perf_counter()
        if now - self._said_t >= _LINE_INTERVAL_S:
            self._said_t = now
            LOG.info("%s", self.line())

    def line(self) -> str:
        """Return the state of the run in one line."""
        elapsed_s = time.perf_counter() - self._start_t
        done = f"{elapsed_s:7.1f} s  round {self._round}{self._bound}"
        if not self._trains:
            return done
        return (
            f"{done}  train loss {_known(self._train_loss)}  "
            f"last test accuracy {_known(self._accuracy)}"
        )

    def _name_troubled(self, record: RoundRecord) -> None:
        """Warn once when a worker's work stops counting, and once when it is back."""
        troubled = {w: code for w, code in record.status.items() if code in _TROUBLES}
        for worker in sorted(troubled):
            if self._troubled.get(worker) != troubled[worker]:
                self._warn(record.round, worker, troubled[worker])
        for worker in sorted(set(self._troubled) - set(troubled)):
            LOG.warning("round %d: worker %d is back", record.round, worker)
        self._troubled = troubled

    def _count_empty(self, record: RoundRecord) -> None:
        """Warn where round after round is over and no upload has counted."""
        self._n_empty = 0 if record.n_uploads else self._n_empty + 1
        if self._n_empty == _MOST_EMPTY_ROUNDS:
            LOG.warning(
                "round %d: no upload has counted for %d rounds: nothing is learned",
                record.round,
                self._n_empty,
            )

    def _say_absence(self, absence: ReportAbsence) -> None:
        """Warn of it, and leave nothing of it to be said of the round's record."""
        worker, code = absence.worker, absence.status
        self._troubled[worker] = code
        self._warn(self._round, worker, code)
        if code is WorkerStatus.LOST:
            k, what = absence.wait_for, self._describe(worker)
            LOG.warning("worker %d was %s; K is %d now", worker, what, k)

    def _warn(self, round_index: int, worker: int, code: WorkerStatus) -> None:
        LOG.warning("round %d: worker %d %s", round_index, worker, _TROUBLES[code])


def _say_change(change: Change) -> None:
    k, u = change.wait_for, change.target_updates
    LOG.info("round %d: K is %d, U is %d now: %s", change.round, k, u, change.reason)


def _known(value: float) -> str:
    return "-" if isnan(value) else f"{value:.4f}"


def print_failure(rank: int, text: str, host: str | None = None) -> None:
    """Print a traceback once, with the rank and host it is from."""
    where = f"rank {rank} on {host or socket.gethostname()}"
    message = f"stsyn-mpi: {where} failed:\n{text.rstrip()}"
    print(message, file=sys.stderr, flush=True)
