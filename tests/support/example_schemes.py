"""Small schemes that use what stsyn and local-sgd leave unused."""

from stsyn_mpi.protocol.plan import AtTarget, Payload, Plan, Restart
from stsyn_mpi.strategies.base import Strategy


class KSync(Strategy):
    """One update; the first K count, the rest is halted and its work is left."""

    name = "test-k-sync"

    def __init__(self, terms):
        super().__init__(terms)
        n_workers, wait_for = terms.n_workers, terms.wait_for
        self._plan = Plan(
            participants=range(n_workers),
            targets=(1,) * n_workers,
            wait_for=wait_for,
            at_target=AtTarget.STOP,
            collects_halted=False,
        )

    def plan(self, view):
        return self._plan

    def is_complete(self, view):
        return len(view.reached) >= view.wait_for

    def halt(self, view):
        return range(view.n_workers)

    def accepts(self, upload, view):
        return upload.worker in view.reached


class KAsync(Strategy):
    """One update; the K uploaders restart together, others keep a stale base."""

    name = "test-k-async"

    def __init__(self, terms):
        super().__init__(terms)
        n_workers, wait_for = terms.n_workers, terms.wait_for
        self._plan = Plan(
            participants=range(n_workers),
            targets=(1,) * n_workers,
            wait_for=wait_for,
            at_target=AtTarget.STOP,
            payload=Payload.DELTA,
        )

    def plan(self, view):
        return self._plan

    def is_complete(self, view):
        return len(view.uploads) >= view.wait_for

    def halt(self, view):
        return ()

    def accepts(self, upload, view):
        return True

    def restart(self, view):
        return [upload.worker for upload in view.uploads]


class FedBuff(Strategy):
    """U updates; K uploads make a model, each uploader restarts on its own."""

    name = "test-fedbuff"

    def __init__(self, terms):
        super().__init__(terms)
        n_workers, wait_for = terms.n_workers, terms.wait_for
        target_updates = terms.target_updates
        self._wait_for = wait_for
        self._plan = Plan(
            participants=range(n_workers),
            targets=(target_updates,) * n_workers,
            wait_for=wait_for,
            at_target=AtTarget.STOP,
            payload=Payload.DELTA,
            restart=Restart.ON_UPLOAD,
        )

    def plan(self, view):
        return self._plan

    def is_complete(self, view):
        return len(view.uploads) >= self._wait_for

    def halt(self, view):
        return ()

    def accepts(self, upload, view):
        return True

    def raw_weight(self, upload):
        return (1 + upload.staleness) ** -0.5

    def restart(self, view):
        return ()


class Rennala(Strategy):
    """B gradients at the same model, from whoever is first."""

    name = "test-rennala"

    def __init__(self, terms):
        super().__init__(terms)
        n_workers, n_gradients = terms.n_workers, terms.wait_for
        self._n_gradients = n_gradients
        self._plan = Plan(
            participants=range(n_workers),
            targets=(n_gradients,) * n_workers,
            wait_for=1,
            at_target=AtTarget.GO_ON,
            payload=Payload.GRADIENT_SUM,
            report_every=1,
        )

    def plan(self, view):
        return self._plan

    def is_complete(self, view):
        return view.updates_total >= self._n_gradients

    def halt(self, view):
        return range(view.n_workers)

    def accepts(self, upload, view):
        return upload.n_updates >= 1

    def scale(self, uploads):
        return 1.0 / sum(upload.n_updates for upload in uploads)
