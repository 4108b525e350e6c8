"""Rounds of workers with given update times, for an adaptation under test."""

import random
from math import nan
from types import SimpleNamespace

from stsyn_mpi.protocol.records import Upload


class Rounds:
    """Makes the rounds that an adaptation asks for.

    Attributes
    ----------
    draw
        From a random generator and a worker to the time of an update, s.
    cost_s
        Of communication, a round.
    halt_s
        That they go on for behind the K-th arrival.
    hung
        Workers that do not answer.
    loss
        From a round index and a worker's updates to its mean loss.
    terms
        (K, U) of each round so far.
    """

    def __init__(self, adaptation, n_workers, draw, cost_s=0.0, seed=1, loss=None):
        self.adaptation, self.n_workers = adaptation, n_workers
        self.draw, self.cost_s, self.hung = draw, cost_s, frozenset()
        self.halt_s = 0.0
        self.loss = loss or (lambda index, n: nan)
        self.rng, self.t, self.terms, self.changes = random.Random(seed), 0.0, [], []

    def run(self, n_rounds):
        for _ in range(n_rounds):
            self._one(len(self.terms))
            if self.adaptation.change is not None:
                self.changes.append(self.adaptation.change)
        return self

    def _one(self, index):
        adaptation = self.adaptation
        k, u = adaptation.wait_for, adaptation.updates_in_force
        able = [w for w in range(self.n_workers) if w not in self.hung]
        k = min(k, len(able))
        ends = {w: self._ends(w, u) for w in able}
        closed_s = sorted(e[u - 1] for e in ends.values())[k - 1]
        halted_s = closed_s + self.halt_s
        updates = {w: sum(end <= halted_s for end in e) for w, e in ends.items()}
        for w in able:
            while ends[w][-1] <= halted_s:
                ends[w].append(ends[w][-1] + self.draw(self.rng, w))
                updates[w] += ends[w][-1] <= halted_s
        for w, n in updates.items():
            if n:
                target_s = ends[w][u - 1] if n >= u else nan
                adaptation.note_upload(Upload(w, index, 0, n, 0.0, target_s))
        self.t += closed_s + self.cost_s
        self.terms.append((adaptation.wait_for, u))
        adaptation.observe(self._record(index, k, u, updates))

    def _ends(self, worker, n_updates):
        ends, t = [], 0.0
        for _ in range(n_updates):
            t += self.draw(self.rng, worker)
            ends.append(t)
        return ends

    def _record(self, index, k, u, updates):
        used = {w: n for w, n in updates.items() if n}
        n_used = sum(used.values())
        losses = sum(n * self.loss(index, n) for n in used.values())
        return SimpleNamespace(
            round=index,
            collected_t=self.t,
            n_uploaders=len(used),
            n_workers=self.n_workers,
            n_hung=len(self.hung),
            n_lost=0,
            updates=updates,
            updates_used=n_used,
            updates_done=n_used,
            wait_for=k,
            target_updates=u,
            train_loss=losses / n_used,
        )
