"""Different numbers of updates, normalised."""

import struct
from collections.abc import Iterable
from dataclasses import replace
from hashlib import shake_256

from stsyn_mpi.protocol.plan import Payload, Plan
from stsyn_mpi.protocol.records import RoundView
from stsyn_mpi.strategies.local_sgd import LocalSGD
from stsyn_mpi.strategies.terms import Parameter

_BITS = 64


class FedNova(LocalSGD):
    """FedNova (Wang et al., arXiv 2007.07481).

    Worker m completes tau_m updates in the round and stops; the round closes when
    all have. Each change is divided by its tau_m, and their mean is multiplied by
    the mean tau (weights ``nova``), so that a worker counts alike however much it
    did. The source's weights by samples are equal here.

    In the source tau_m follows from the clients' data and speed; here it is drawn
    anew in each round, evenly from U - d ... U + d with d = spread * U rounded
    down (8 ... 12 at U = 10, as in the paper's comparison). The draw depends on
    seed, round and worker alone.
    """

    name = "fednova"
    payload = Payload.DELTA
    own_weights = "nova"
    parameters = (
        Parameter(
            "spread", "largest departure of tau_m from U, share of U", 0.2, 0.0, 0.9
        ),
    )

    def plan(self, view: RoundView) -> Plan:
        """Return the terms of all rounds, with this round's numbers of updates."""
        return replace(self._plan, targets=tuple(self._draw(view.round_index)))

    def _draw(self, round_index: int) -> Iterable[int]:
        """Return tau_m of each worker."""
        target = self.terms.target_updates
        # 0.29 times 100 is a little less than 29 in binary.
        most = int(self.values["spread"] * target + 1e-9)
        key = f"fednova tau {self.terms.seed} {round_index}".encode()
        n_workers = self.terms.n_workers
        words = shake_256(key).digest(n_workers * _BITS // 8)
        for (word,) in struct.iter_unpack("<Q", words):
            yield target - most + (word * (2 * most + 1) >> _BITS)
