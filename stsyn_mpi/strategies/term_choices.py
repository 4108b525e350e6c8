"""The K and U among which an adaptation chooses."""

from collections.abc import Iterable, Iterator

_MOST_CHOICES = 12


def update_choices(n_updates: int, most: int, largest_step: float) -> Iterator[int]:
    """Yield powers of the root of 2, not far above the present U.

    Parameters
    ----------
    n_updates, most
        U in force, and the largest that is allowed.
    largest_step
        How many times as large it may become.
    """
    step, most = 0, min(most, int(largest_step * n_updates))
    while (choice := round(2 ** (step / 2))) <= most:
        yield choice
        step += 1


def worker_choices(wait_for: int, most: int) -> Iterable[int]:
    """Return possible K: not more than twice the present one, which is unseen.

    Parameters
    ----------
    wait_for, most
        K in force, and the workers that answer.
    """
    most = min(most, 2 * wait_for + 1)
    if most <= _MOST_CHOICES:
        return range(1, most + 1)
    steps = range(_MOST_CHOICES + 1)
    spread = {round(1 + i * (most - 1) / _MOST_CHOICES) for i in steps}
    near = {min(most, max(1, wait_for + i)) for i in (-1, 0, 1)}
    return sorted(spread | near)
