"""What a comparison says while it runs: lines, and on a terminal a line that moves."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text

from stsyn_mpi.study.combinations import Combination

_REDRAW_S = 0.2


class Progress:
    """A line for each run that is there.

    Parameters
    ----------
    console : rich.console.Console
        Where the lines go; stderr, as a rule.
    live : rich.live.Live or None
        Shows what is running; None where the console is no terminal.
    """

    def __init__(self, console: Console, live: Live | None = None) -> None:
        self._console, self._live = console, live
        self._n_wanted = self._n_there = 0
        self._drawn_t = -_REDRAW_S

    @property
    def n_there(self) -> int:
        """Runs that are complete."""
        return self._n_there

    def begin(self, n_wanted: int) -> None:
        """Take the number of runs that there will be."""
        self._n_wanted = n_wanted

    def ended(self, combination: Combination, what: str) -> None:
        """Say what became of a run."""
        self._n_there += 1
        line = f"{self._n_there}/{self._n_wanted}  {combination}: {what}"
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def still_running(self, runs: Iterable[tuple[Combination, float]]) -> None:
        """Show runs, each with the seconds it has been running, if it is time."""
        now = time.monotonic()
        if self._live is None or now - self._drawn_t < _REDRAW_S:
            return
        self._drawn_t = now
        names = ", ".join(f"{run} ({seconds:.0f} s)" for run, seconds in runs)
        line = f"{self._n_there} of {self._n_wanted} runs, now {names}"
        self._live.update(Text(line, style="dim", no_wrap=True), refresh=True)


@contextmanager
def shown(console: Console) -> Iterator[Progress]:
    """Show the progress of a comparison on a console until the body is left."""
    if not console.is_terminal:
        yield Progress(console)
        return
    # Redrawn by whoever waits for the runs: a thread would be one more at each fork.
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield Progress(console, live)
