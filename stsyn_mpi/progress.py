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
from stsyn_mpi.protocol.commands import RecordChange, RecordRound
from stsyn_mpi.protocol.records import Change, RoundRecord, WorkerStatus
from stsyn_mpi.simulate_config import SimulateConfig
from stsyn_mpi.training.evaluator import EvaluationResult

_LINE_INTERVAL_S = 1.0
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
    """

    def __init__(
        self, config: TrainConfig, describe: Callable[[int], str] = str
    ) -> None:
        self._describe = describe
        is_timed = isinstance(config, SimulateConfig) and config.timing_only
        self._trains = not is_timed
        self._bound = f"/{config.rounds}" if config.rounds else ""
        self._start_t = time.perf_counter()
        self._said_t = float("-inf")
        self._round = 0
        self._train_loss = float("nan")
        self._accuracy = float("nan")
        self._troubled: dict[int, WorkerStatus] = {}

    def report(self, news: RecordRound | RecordChange | EvaluationResult) -> None:
        """Take a committed round or an evaluation, and say so if it is time.

        A change of K and U is said at once.
        """
        if isinstance(news, RecordChange):
            _say_change(news.change)
            return
        if isinstance(news, EvaluationResult):
            self._accuracy = news.evaluation.accuracy
        else:
            self._round = news.record.round + 1
            self._train_loss = news.record.train_loss
            self._name_troubled(news.record)
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
                self._warn(record, worker, troubled[worker])
        for worker in sorted(set(self._troubled) - set(troubled)):
            LOG.warning("round %d: worker %d is back", record.round, worker)
        self._troubled = troubled

    def _warn(self, record: RoundRecord, worker: int, code: WorkerStatus) -> None:
        LOG.warning("round %d: worker %d %s", record.round, worker, _TROUBLES[code])
        if code is WorkerStatus.LOST:
            k, what = record.wait_for, self._describe(worker)
            LOG.warning("worker %d was %s; K is %d now", worker, what, k)


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
