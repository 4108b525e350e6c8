"""The wire: every tag, message and field, in one place.

Two tags. CONTROL carries small messages with a fixed header of float64 words,
PAYLOAD carries flat float32 vectors of n_params and nothing else: a model, or what
`Payload` in the model's header asks for; a long one travels in several messages, see
`stsyn_mpi.mpi.transfer`. A control message is a prefix of a `CONTROL_WORDS` buffer: the
header, then the rows of an answer or the bytes of a text. Counts are exact, since
float64 holds integers to 2**53.

========  =============  ======================================================
sender    kind           fields after KIND
========  =============  ======================================================
worker    REPORT         ROUND, N_UPDATES
worker    UPDATES        ROUND, N_ROWS, then rows: times of completed updates
worker    ANSWER         ROUND, N_UPDATES, N_CANCELLED, HAS_PAYLOAD,
                         ANSWERS_HALT, LOSS_SUM, the durations, N_ROWS, rows
worker    ALIVE          none
worker    STOP           SIGNAL: somebody signalled this rank to end the run
worker    FAILED         N_BYTES, then the traceback, UTF-8
worker    BYE            none: END has been heard
root      MODEL_HEADER   ROUND, TARGET_UPDATES, AT_TARGET, PAYLOAD_KIND,
                         REPORT_EVERY, FIRST_UPDATE; a PAYLOAD message is sent
                         with it
root      HALT           ROUND, WANTS_UPLOAD
root      END            HAS_FAILED: the run is over
root      LEAVE          FINALIZE: everybody has said BYE
========  =============  ======================================================

The k-th ANSWER with HAS_PAYLOAD of a worker belongs to its k-th PAYLOAD vector: MPI
keeps the order of messages of one tag between two ranks.
"""

from enum import IntEnum

import numpy as np

from stsyn_mpi.protocol.commands import SendModel
from stsyn_mpi.protocol.events import UploadAnnounced
from stsyn_mpi.training.tasks import ROW_FIELDS, WorkReport

ROOT = 0
N_HEADER_WORDS = 16
# A failing rank has no time for a handshake: the whole message stays below the
# eager limit of shared memory, 4 KiB.
TEXT_BYTES = 3584
CONTROL_WORDS = N_HEADER_WORDS + TEXT_BYTES // 8
ROWS_PER_MESSAGE = (CONTROL_WORDS - N_HEADER_WORDS) // len(ROW_FIELDS)


class Tag(IntEnum):
    """Tags of point-to-point messages."""

    CONTROL = 1
    PAYLOAD = 2


class Kind(IntEnum):
    """Kind of a control message, word 0 of its header."""

    REPORT = 1
    UPDATES = 2
    ANSWER = 3
    ALIVE = 4
    STOP = 5
    FAILED = 6
    BYE = 7
    MODEL_HEADER = 11
    HALT = 12
    END = 13
    LEAVE = 14


class Field(IntEnum):
    """Word of the header in which a field stands."""

    KIND = 0
    ROUND = 1
    # Worker to root
    N_UPDATES = 2
    N_CANCELLED = 3
    HAS_PAYLOAD = 4
    ANSWERS_HALT = 5
    LOSS_SUM = 6
    TARGET_S = 7
    COMPUTE_S = 8
    INJECTED_S = 9
    CANCELLED_S = 10
    IDLE_S = 11
    N_ROWS = 12
    N_BYTES = 2
    SIGNAL = 2
    # Root to worker
    TARGET_UPDATES = 2
    AT_TARGET = 3
    PAYLOAD_KIND = 4
    REPORT_EVERY = 5
    FIRST_UPDATE = 6
    WANTS_UPLOAD = 2
    FINALIZE = 2
    HAS_FAILED = 2


DURATIONS = ("target_s", "compute_s", "injected_s", "cancelled_s", "idle_s")
"""Durations of an answer (seconds, the worker's clock), in header order."""


def rank_of(worker: int) -> int:
    """Return the rank of a 0-based worker: rank 0 is the root."""
    return worker + 1


def worker_of(rank: int) -> int:
    """Return the 0-based worker of a rank."""
    return rank - 1


def new_buffer() -> np.ndarray:
    """Return a control buffer, shape (CONTROL_WORDS,), float64."""
    return np.zeros(CONTROL_WORDS)


def _head(buffer: np.ndarray, kind: Kind, **fields: float) -> np.ndarray:
    buffer[Field.KIND] = kind
    for name, value in fields.items():
        buffer[Field[name]] = value
    return buffer[:N_HEADER_WORDS]


# Worker to root


def pack_report(buffer: np.ndarray, round_index: int, n_updates: int) -> np.ndarray:
    """Fill a REPORT and return the words to send."""
    return _head(buffer, Kind.REPORT, ROUND=round_index, N_UPDATES=n_updates)


def pack_alive(buffer: np.ndarray) -> np.ndarray:
    """Fill an ALIVE and return the words to send."""
    return _head(buffer, Kind.ALIVE)


def pack_bye(buffer: np.ndarray) -> np.ndarray:
    """Fill a BYE and return the words to send."""
    return _head(buffer, Kind.BYE)


def pack_stop(buffer: np.ndarray, signal: int) -> np.ndarray:
    """Fill a STOP and return the words to send."""
    return _head(buffer, Kind.STOP, SIGNAL=signal)


def pack_updates(buffer: np.ndarray, round_index: int, rows: np.ndarray) -> np.ndarray:
    """Fill an UPDATES with at most ROWS_PER_MESSAGE rows, shape (n, 4), float64."""
    _head(buffer, Kind.UPDATES, ROUND=round_index)
    return _append_rows(buffer, rows)


def pack_answer(
    buffer: np.ndarray, round_index: int, report: WorkReport, *, answers_halt: bool
) -> np.ndarray:
    """Fill an ANSWER with the last rows of the report; earlier ones go in UPDATES."""
    # On the path of every round: one assignment, in the order of `Field`.
    buffer[: Field.N_ROWS] = (
        Kind.ANSWER,
        round_index,
        report.n_updates,
        report.n_cancelled,
        report.slot is not None,
        answers_halt,
        report.loss_sum,
        report.target_s,
        report.compute_s,
        report.injected_s,
        report.cancelled_s,
        report.idle_s,
    )
    return _append_rows(buffer, report.rows[len(report.rows) - n_last(report.rows) :])


def n_last(rows: np.ndarray) -> int:
    """Return how many of the rows travel in the ANSWER itself."""
    return min(len(rows), ROWS_PER_MESSAGE)


def _append_rows(buffer: np.ndarray, rows: np.ndarray) -> np.ndarray:
    buffer[Field.N_ROWS] = len(rows)
    end = N_HEADER_WORDS + rows.size
    buffer[N_HEADER_WORDS:end] = rows.reshape(-1)
    return buffer[:end]


def pack_failed(buffer: np.ndarray, text: str) -> np.ndarray:
    """Fill a FAILED; of a long text the end is kept, where the error stands."""
    data = text.encode("utf-8", "replace")[-TEXT_BYTES:]
    _head(buffer, Kind.FAILED, N_BYTES=len(data))
    n_words = -(-len(data) // 8)
    tail = buffer[N_HEADER_WORDS : N_HEADER_WORDS + n_words].view(np.uint8)
    tail[: len(data)] = np.frombuffer(data, np.uint8)
    return buffer[: N_HEADER_WORDS + n_words]


# Root to worker


def pack_model_header(buffer: np.ndarray, command: SendModel) -> np.ndarray:
    """Fill a MODEL_HEADER and return the words to send."""
    return _head(
        buffer,
        Kind.MODEL_HEADER,
        ROUND=command.round,
        TARGET_UPDATES=command.target_updates,
        AT_TARGET=command.at_target,
        PAYLOAD_KIND=command.payload,
        REPORT_EVERY=command.report_every,
        FIRST_UPDATE=command.first_update,
    )


def pack_halt(
    buffer: np.ndarray, round_index: int, *, wants_upload: bool
) -> np.ndarray:
    """Fill a HALT and return the words to send."""
    return _head(buffer, Kind.HALT, ROUND=round_index, WANTS_UPLOAD=wants_upload)


def pack_end(buffer: np.ndarray, *, has_failed: bool) -> np.ndarray:
    """Fill an END and return the words to send."""
    return _head(buffer, Kind.END, HAS_FAILED=has_failed)


def pack_leave(buffer: np.ndarray, *, finalize: bool) -> np.ndarray:
    """Fill a LEAVE and return the words to send."""
    return _head(buffer, Kind.LEAVE, FINALIZE=finalize)


# Reading


def kind_of(message: np.ndarray) -> Kind:
    """Return the kind of a received control message.

    Raises
    ------
    ValueError
        If there is no such kind.
    """
    return Kind(int(message[Field.KIND]))


def whole(message: np.ndarray, field: Field) -> int:
    """Return a count of a received control message."""
    return int(message[field])


def rows_of(message: np.ndarray) -> np.ndarray:
    """Return the rows of an ANSWER or UPDATES, a view of shape (n, 4)."""
    n_words = whole(message, Field.N_ROWS) * len(ROW_FIELDS)
    rows = message[N_HEADER_WORDS : N_HEADER_WORDS + n_words]
    return rows.reshape(-1, len(ROW_FIELDS))


def durations_of(message: np.ndarray) -> list[float]:
    """Return the durations of an ANSWER, seconds, in the order of `DURATIONS`."""
    durations: list[float] = message[Field.TARGET_S : Field.IDLE_S + 1].tolist()
    return durations


def text_of(message: np.ndarray) -> str:
    """Return the text of a FAILED."""
    data = message[N_HEADER_WORDS:].view(np.uint8)[: whole(message, Field.N_BYTES)]
    return data.tobytes().decode("utf-8", "replace")


def answer_event(message: np.ndarray, worker: int, t: float) -> UploadAnnounced:
    """Return the event of a received ANSWER, stamped ``t`` seconds."""
    words = message[Field.ROUND : Field.TARGET_S + 1].tolist()
    round_index, n_updates, n_cancelled, has_payload, answers_halt, *rest = words
    return UploadAnnounced(
        t,
        worker,
        int(round_index),
        int(n_updates),
        int(n_cancelled),
        bool(has_payload),
        bool(answers_halt),
        *rest,
    )
