"""What the local updates of a round are worth, as far as training losses tell.

Two things make a round of n uploaders with D updates each worth less than n D updates
at the newest model. Later updates fit their own worker's data, and the mean undoes
that (the horizon h); and few uploads average little noise away (the noise r):

    worth = D / (1 + D / h) * n / (n + r).

Both are measured on training losses alone. This project's derivation; see
``docs/adapt.md``.
"""

from collections.abc import Mapping
from math import exp, log, sqrt

from stsyn_mpi.strategies.state_texts import as_texts, numbers_of

_KEPT_SHARE = 0.7
_LEAST_HORIZON, _MOST_SHARE = 0.5, 0.97
_SPANS = (8, 16, 32)
_MOST_NOISE = 4.0
# Squares and ratios of losses beyond them are no numbers any more.
_LEAST_LOSS, _MOST_LOSS = 1e-100, 1e100


class UpdateWorth:
    """The horizon and the noise of a run.

    Parameters
    ----------
    n_workers
        M.
    horizon
        h as long as it has not been measured.
    """

    def __init__(self, n_workers: int, horizon: float) -> None:
        self._n_workers = n_workers
        self.horizon, self.noise = horizon, 0.0
        self._shares = [0.0] * 4  # weight; sums of log share, short D, long D
        self._loss = [0.0, 0.0]  # sum of losses, updates
        self._means: list[float] = []

    def of(self, updates_each: float, n_uploaders: float) -> float:
        """Return the worth of a round, in updates at the newest model."""
        kept = updates_each / (1 + updates_each / self.horizon)
        return kept * n_uploaders / (n_uploaders + self.noise)

    def learn_horizon(
        self, short: tuple[float, float], long: tuple[float, float]
    ) -> None:
        """Learn from a short round and the long ones around it.

        Parameters
        ----------
        short, long
            Updates of an uploader, and their mean training loss.

        Notes
        -----
        An update counts as much as its loss; l(D) = l(0) / (1 + D / h) is the mean over
        D updates. A short and a long round then give h.
        """
        (d_short, l_short), (d_long, l_long) = short, long
        is_sound = all(_LEAST_LOSS < loss < _MOST_LOSS for loss in (l_short, l_long))
        if not is_sound or d_long < 1.5 * d_short:
            return
        sample = (1.0, log(l_long / l_short), d_short, d_long)
        pairs = zip(self._shares, sample, strict=True)
        self._shares = [_KEPT_SHARE * kept + new for kept, new in pairs]
        weight, log_share, d_short, d_long = self._shares
        # A few losses are too noisy to tell a share above this one from 1.
        share = min(_MOST_SHARE, exp(log_share / weight))
        found = (share * d_long - d_short) / weight / (1 - share)
        self.horizon = max(_LEAST_HORIZON, found)

    def add_loss(self, loss: float, n_updates: int) -> None:
        """Take in the mean loss of a regular round."""
        if abs(loss) < _MOST_LOSS:
            self._loss[0] += loss * n_updates
            self._loss[1] += n_updates

    def look(self) -> bool:
        """Close a stretch of rounds with the same K and U; whether the noise has risen.

        The loss stagnates where the second half of 8, 16 or 32 stretches is not below
        the first by its standard error. Then noise is what is left to be fought: r is
        1, and twice as high each time, up to 4 M.
        """
        total, n_updates = self._loss
        self._loss = [0.0, 0.0]
        if not n_updates:
            return False
        self._means.append(total / n_updates)
        if len(self._means) not in _SPANS:
            return False
        half = len(self._means) // 2
        first, second = self._means[:half], self._means[half:]
        falls = sum(first) / half - sum(second) / half
        if falls < _error(self._means) * sqrt(2 / half):
            before, most = self.noise, _MOST_NOISE * self._n_workers
            self.noise, self._means = min(most, max(1.0, 2 * before)), []
            return self.noise > before
        if len(self._means) == _SPANS[-1]:
            self._means = second
        return False

    def begin_terms(self) -> None:
        """Begin anew: other K and U have other losses."""
        self._loss, self._means = [0.0, 0.0], []

    def state(self) -> dict[str, str]:
        """Return everything, as texts."""
        rows = {
            "worth": [self.horizon, self.noise],
            "shares": self._shares,
            "loss": self._loss,
            "means": self._means,
        }
        return as_texts(rows)

    def restore(self, state: Mapping[str, int | float | str]) -> None:
        """Take up what `state` has returned."""
        self.horizon, self.noise = numbers_of(state["worth"])
        self._shares = numbers_of(state["shares"])
        self._loss = numbers_of(state["loss"])
        self._means = numbers_of(state["means"])


def _error(means: list[float]) -> float:
    """Return the deviation of one mean, from the differences of neighbours."""
    steps = [(means[i] - means[i - 1]) ** 2 for i in range(1, len(means))]
    return sqrt(sum(steps) / len(steps) / 2)
