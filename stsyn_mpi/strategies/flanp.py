"""Begin with the fastest workers, take in the slower ones as the model gets better."""

from dataclasses import replace
from math import inf, isnan, nan

from stsyn_mpi.protocol.plan import Plan
from stsyn_mpi.protocol.records import RoundView, Upload
from stsyn_mpi.strategies.base import State
from stsyn_mpi.strategies.local_sgd import LocalSGD
from stsyn_mpi.strategies.state_texts import as_text, numbers_of
from stsyn_mpi.strategies.terms import Parameter, SchemeTerms
from stsyn_mpi.strategies.weights import Weights


class Flanp(LocalSGD):
    """FLANP, straggler-resilient federated learning (Reisizadeh et al., 2012.14453).

    Local SGD among the n fastest workers; n doubles, up to M, when the model is as
    accurate as the data of n workers can make it. The others idle and get no model.

    The source ends the stage of n workers, with s samples each, at
    ||grad L_n||^2 <= 2 mu V_ns, where the statistical accuracy V_ns is c / (n s).
    The constants are unknown, but all thresholds follow from one, as they fall with
    1 / n. A round's step is about lr * U times a gradient, so that squared norms of
    steps compare like those of gradients, while lr is constant and the server takes
    the mean. The stage of n passes at the first round of its own with

        ||x_{j+1} - x_j||^2 <= ratio * (first / n) * ||x_1 - x_0||^2,

    or after ``rounds`` rounds: noise keeps a step from getting as short as its
    gradient, and where nothing is trained there is no norm. A step is measured while
    the next round is under way already, so one more round belongs to the stage.

    Speeds are measured: round 0 is local SGD with all M workers, afterwards every
    upload of a participant counts (mean seconds to U updates on the worker's own
    clock). A stage begins with the n fastest, and keeps them; only one that hangs or
    is lost is replaced.
    """

    name = "flanp"
    parameters = (
        Parameter("first", "workers of the first stage", 2, 1, is_whole=True),
        Parameter("ratio", "squared step that ends it, of round 0's", 0.1, 0.0, 1.0),
        Parameter("rounds", "longest stage, in rounds", 50, 1, is_whole=True),
    )

    def __init__(
        self, terms: SchemeTerms, weights: Weights | None = None, **values: float
    ) -> None:
        super().__init__(terms, weights, **values)
        self._first = min(int(self.values["first"]), terms.n_workers)
        self._n, self._stage_start = self._first, 1
        self._has_passed = False
        self._first_norm = nan
        self._seconds, self._n_seconds = [0.0] * terms.n_workers, [0] * terms.n_workers
        self._team: tuple[int, ...] = tuple(range(terms.n_workers))

    def plan(self, view: RoundView) -> Plan:
        """Return local SGD's terms for the team of this round."""
        j, n_workers = view.round_index, self.terms.n_workers
        is_over = self._has_passed or j - self._stage_start >= self.values["rounds"]
        if is_over and self._n < n_workers:
            self._n, self._stage_start = min(2 * self._n, n_workers), j
            self._has_passed = False
        if self._n == n_workers or j == 0:
            self._team = tuple(range(n_workers))
            return replace(self._plan, measures_step=self._n < n_workers)
        if len(self._team) != self._n or any(
            worker not in view.responsive for worker in self._team
        ):
            self._team = self._fastest(view)
        return replace(
            self._plan,
            participants=frozenset(self._team),
            wait_for=self._n,
            measures_step=True,
        )

    def _fastest(self, view: RoundView) -> tuple[int, ...]:
        """Return the n fastest workers, those that do not answer last."""
        order = sorted(
            range(self.terms.n_workers),
            key=lambda w: (w not in view.responsive, self._mean_s(w)),
        )
        return tuple(sorted(order[: self._n]))

    def _mean_s(self, worker: int) -> float:
        """Mean seconds to U updates; infinite while unknown."""
        n_seconds = self._n_seconds[worker]
        return self._seconds[worker] / n_seconds if n_seconds else inf

    def is_complete(self, view: RoundView) -> bool:
        """Whether the team has completed U updates, or only others answer."""
        return super().is_complete(view) or (
            bool(view.responsive)
            and not any(worker in view.responsive for worker in self._team)
        )

    def accepts(self, upload: Upload, view: RoundView) -> bool:
        """Accept every upload, and learn the speed of its worker."""
        if not isnan(upload.target_s):
            self._seconds[upload.worker] += upload.target_s
            self._n_seconds[upload.worker] += 1
        return super().accepts(upload, view)

    def observe_step(self, round_index: int, norm: float) -> None:
        """Put a step to the test; round 0 gives the scale."""
        if round_index == 0:
            self._first_norm = norm
        elif round_index >= self._stage_start:
            limit = self.values["ratio"] * self._first / self._n
            # NaN passes no comparison, and a round without uploads has no step: such
            # a stage ends by its rounds.
            self._has_passed |= 0 < norm**2 <= limit * self._first_norm**2

    def state(self) -> State:
        """Return the stage, and what was measured of each worker."""
        return {
            "n": self._n,
            "stage_start": self._stage_start,
            "has_passed": int(self._has_passed),
            "first_norm": self._first_norm,
            "seconds": as_text(self._seconds),
            "n_seconds": as_text(self._n_seconds),
            "team": as_text(self._team),
        }

    def restore(self, state: State) -> None:
        """Take up a state; see `Strategy.restore`."""
        self.check_keys(state)
        self._n, self._stage_start = int(state["n"]), int(state["stage_start"])
        self._has_passed = bool(state["has_passed"])
        self._first_norm = float(state["first_norm"])
        self._seconds = numbers_of(state["seconds"])
        self._n_seconds = [int(word) for word in str(state["n_seconds"]).split()]
        self._team = tuple(int(word) for word in str(state["team"]).split())
