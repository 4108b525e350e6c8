"""Evaluation in a thread of its own, which never delays a round."""

import queue
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from stsyn_mpi.arrays import Array, Backend
from stsyn_mpi.training.evaluation import Evaluation


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """The evaluation of the model in ``slot``, made by ``round``."""

    round: int
    slot: int
    evaluation: Evaluation
    eval_s: float


class Evaluator:
    """One model at a time; while busy, requests that may be skipped are.

    Parameters
    ----------
    backend
        Activated in the thread.
    evaluate
        From a parameter vector, shape (n_params,), to its evaluation; used in the
        thread only.

    Attributes
    ----------
    n_skipped
        Requests skipped because the evaluator was busy.
    failure
        Traceback of the thread, if it raised.
    """

    def __init__(
        self, backend: Backend, evaluate: Callable[[Array], Evaluation]
    ) -> None:
        self.n_skipped = 0
        self.failure: str | None = None
        self._backend, self._evaluate = backend, evaluate
        self._requests: queue.SimpleQueue[tuple[int, int, Array]] = queue.SimpleQueue()
        self._results: deque[EvaluationResult] = deque()
        self._n_open = 0
        self._last_round = -1
        thread = threading.Thread(target=self._run, name="evaluate", daemon=True)
        thread.start()

    @property
    def is_busy(self) -> bool:
        """Whether a result is outstanding."""
        return self._n_open > 0 and self.failure is None

    def submit(self, round_index: int, slot: int, params: Array, *, must: bool) -> bool:
        """Ask for an evaluation; False if it is skipped or already asked for.

        ``params`` may not change until the result has been taken.
        """
        if round_index == self._last_round:
            return False
        if self._n_open and not must:
            self.n_skipped += 1
            return False
        self._last_round = round_index
        self._n_open += 1
        self._requests.put((round_index, slot, params))
        return True

    def take(self) -> EvaluationResult | None:
        """Return the next finished evaluation, if any."""
        if not self._results:
            return None
        self._n_open -= 1
        return self._results.popleft()

    def _run(self) -> None:
        try:
            self._backend.activate()
            while True:
                round_index, slot, params = self._requests.get()
                start_t = time.perf_counter()
                evaluation = self._evaluate(params)
                eval_s = time.perf_counter() - start_t
                result = EvaluationResult(round_index, slot, evaluation, eval_s)
                self._results.append(result)
        except BaseException:
            self.failure = traceback.format_exc()
