"""What rounds take beside the work, by the number of their uploaders."""

_LEAST_SPREAD = 1e-3


class CommunicationCosts:
    """A line through the seconds that were seen, of which later ones count more.

    Where all rounds have as many uploaders, the slope is that of the rounds before.

    Attributes
    ----------
    values
        Everything, as numbers: what a copy is made from.
    """

    def __init__(self, values: list[float] | None = None) -> None:
        # 1, n, n^2, cost, n cost of n uploaders; the slope, seconds an uploader
        self.values = values or [0.0] * 6

    def add(self, n_uploaders: int, cost_s: float) -> None:
        """Take in the seconds of a round."""
        n = n_uploaders
        for place, value in enumerate((1, n, n * n, cost_s, n * cost_s)):
            self.values[place] += value
        rounds, x, xx, y, xy, _ = self.values
        spread = rounds * xx - x * x
        if spread > _LEAST_SPREAD * rounds * xx:
            self.values[-1] = max(0.0, (rounds * xy - x * y) / spread)

    def of(self, n_uploaders: float) -> float:
        """Return what a round is expected to take, s."""
        rounds, x, xx, y, xy, slope = self.values
        if not rounds:
            return 0.0
        base = (y - slope * x) / rounds
        if base < 0:
            base, slope = 0.0, xy / xx
        return base + slope * n_uploaders

    def fade(self, left: float) -> None:
        """Lower the weight of what was seen so far."""
        self.values[:-1] = [left * value for value in self.values[:-1]]
