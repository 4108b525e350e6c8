"""Fewer local updates as the loss falls."""

from dataclasses import replace
from math import ceil, isfinite, nan, sqrt

from stsyn_mpi.protocol.plan import Plan
from stsyn_mpi.protocol.records import RoundRecord, RoundView
from stsyn_mpi.strategies.base import State
from stsyn_mpi.strategies.local_sgd import LocalSGD
from stsyn_mpi.strategies.terms import Parameter, SchemeTerms
from stsyn_mpi.strategies.weights import Weights


class AdaComm(LocalSGD):
    """AdaComm (Wang and Joshi, arXiv 1810.08313).

    Local SGD whose U changes. Time is cut into intervals of T0 seconds, and in the
    first round that ends in a new interval U becomes

        ceil(sqrt(F / F_0) * U_0),

    or ceil(U / 2) where that is not below the present U; never less than 1. U_0 is
    the run's U. F is the mean training loss of all updates used in the rounds since
    the last change, F_0 that of the first round: the losses workers meet on their
    own batches, never a test loss. Without a loss (nothing is trained) U stays.

    The source's T0 is 60 s on its machine, some tens of rounds; choose
    ``interval`` so that an interval has many rounds on yours.
    """

    name = "adacomm"
    parameters = (
        Parameter(
            "interval", "T0, time between changes of U", 60.0, 1e-9, is_duration=True
        ),
    )

    def __init__(
        self, terms: SchemeTerms, weights: Weights | None = None, **values: float
    ) -> None:
        super().__init__(terms, weights, **values)
        self._updates = terms.target_updates
        self._first_loss = nan
        self._loss_sum, self._n_losses = 0.0, 0
        self._next_t = self.values["interval"]

    def plan(self, view: RoundView) -> Plan:
        """Return local SGD's terms with the present U."""
        if self._plan.targets[0] != self._updates:
            targets = (self._updates,) * self.terms.n_workers
            self._plan = replace(self._plan, targets=targets)
        return self._plan

    def observe(self, record: RoundRecord) -> None:
        """Take in a round's loss; change U if a new interval has begun."""
        if isfinite(record.train_loss):
            self._loss_sum += record.train_loss * record.updates_used
            self._n_losses += record.updates_used
            if not isfinite(self._first_loss):
                self._first_loss = record.train_loss
        if record.collected_t >= self._next_t:
            interval = self.values["interval"]
            self._next_t = interval * (record.collected_t // interval + 1)
            self._change()

    def _change(self) -> None:
        """Set the next U, and begin a new mean."""
        if self._n_losses and self._first_loss > 0:
            loss = max(0.0, self._loss_sum / self._n_losses)
            wanted = ceil(sqrt(loss / self._first_loss) * self.terms.target_updates)
            if wanted >= self._updates:
                wanted = ceil(self._updates / 2)
            self._updates = max(1, wanted)
        self._loss_sum, self._n_losses = 0.0, 0

    def state(self) -> State:
        """Return U, the losses, and when U changes next."""
        return {
            "updates": self._updates,
            "first_loss": self._first_loss,
            "loss_sum": self._loss_sum,
            "n_losses": self._n_losses,
            "next_t": self._next_t,
        }

    def restore(self, state: State) -> None:
        """Take up a state; see `Strategy.restore`."""
        self.check_keys(state)
        self._updates = int(state["updates"])
        self._first_loss = float(state["first_loss"])
        self._loss_sum = float(state["loss_sum"])
        self._n_losses = int(state["n_losses"])
        self._next_t = float(state["next_t"])
