"""What a long report is doing, a line that moves where there is a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text

from stsyn_mpi.analysis.words import printable

Tell = Callable[[str], None]
"""Takes what begins now, in a few words."""


def keep_quiet(_: str) -> None:
    """Tell nobody."""


@contextmanager
def shown(console: Console) -> Iterator[Tell]:
    """Show what is being done until the body is left; in a log, nothing.

    Parameters
    ----------
    console : rich.console.Console
        Where the line goes: stderr, as a rule.
    """
    if not console.is_terminal:
        yield keep_quiet
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:

        def tell(text: str) -> None:
            line = Text(printable(text), style="dim", no_wrap=True, overflow="ellipsis")
            live.update(line, refresh=True)

        yield tell
