"""What a worker's time between two answers went to, beside its present work."""

from math import inf, isnan, nan


class RestClock:
    """Tells the time in vain from the time without work.

    An update that is cancelled cannot be broken off while it computes: the compute
    thread is in it until it ends, and that is no idle time. All times are
    `time.perf_counter` seconds. From the first task on both threads call it, each
    under the lock of the parameter buffers, in which it takes the moment as well: an
    answer either finds the thread still in its update, or finds when it was through.

    Parameters
    ----------
    now
        The worker waits from now on.
    """

    __slots__ = ("_answered_t", "_gave_up_t", "_started_t")

    def __init__(self, now: float) -> None:
        self._answered_t = now
        self._gave_up_t = -inf
        self._started_t = nan

    def wait_from(self, now: float) -> None:
        """Leave out what was before: the run begins now."""
        self._answered_t = now

    def start(self, now: float) -> None:
        """Note the start of an update; the first since the last answer counts."""
        if isnan(self._started_t):
            self._started_t = now

    def give_up(self, now: float) -> None:
        """Note that the compute thread is through with a task."""
        if self._gave_up_t == inf:
            self._gave_up_t = now

    def split(self, now: float) -> tuple[float, float]:
        """Return the seconds in vain and those idle from the last answer to `now`.

        What follows the first start is work. The idle seconds are 0 exactly where the
        thread was in its cancelled update all the time.
        """
        free_t = min(max(self._answered_t, self._gave_up_t), now)
        until_t = now if isnan(self._started_t) else self._started_t
        return free_t - self._answered_t, until_t - free_t

    def answer(self, now: float, *, is_in_update: bool) -> None:
        """Note an answer, and whether the thread is in an update that it cancels."""
        self._answered_t, self._started_t = now, nan
        if is_in_update:
            self._gave_up_t = inf
