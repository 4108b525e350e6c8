"""What ``watch`` shows: lines that renew themselves, or a line a look in a log."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from stsyn_mpi.analysis.look import Look, SlowWorker
from stsyn_mpi.analysis.words import printable, time_words

_BAR_WIDTH = 40
_MOST_CHARACTERS = 4000


@contextmanager
def watching(console: Console) -> Iterator[Callable[[Look], None]]:
    """Give a function that shows looks, each in the place of the one before.

    Where the console is no terminal, every look that brings news is a line.
    """
    if not console.is_terminal:
        yield _Log(console)
        return
    with _leaving_on_sigterm(), Live(console=console, auto_refresh=False) as live:
        yield lambda look: live.update(panel(look), refresh=True)


@contextmanager
def _leaving_on_sigterm() -> Iterator[None]:
    """Turn SIGTERM into an exception: who hides a cursor has to bring it back."""

    def leave(number: int, _: object) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Log:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._said = ""

    def __call__(self, look: Look) -> None:
        text = f"{line(look)}\n{ending(look)}" if look.has_ended else line(look)
        # That time goes by is no news.
        timeless = replace(look, left_s=None, silence_s=0.0)
        news = text if look.has_ended else line(timeless)
        if news != self._said:
            self._said = news
            self._console.print(Text(text), soft_wrap=True)


def line(look: Look) -> str:
    """Return a look in one line."""
    parts = [
        _progress(look),
        *(f"{name} {value}" for name, value in _figures(look)),
        *([_slow_words(look)] if look.slowest else []),
        *([_absent_words(look)] if look.absent else []),
        *([f"WARNING: {look.warning}"] if look.warning else []),
        *([_remote_words(look)] if look.remote_host else []),
    ]
    return printable("  ".join(parts), _MOST_CHARACTERS)


def panel(look: Look) -> RenderableType:
    """Return a look as a bar and a table."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    for name, value in _figures(look):
        table.add_row(name, Text(value))
    if look.slowest:
        table.add_row("slowest", Text(printable(_slow_words(look, title=False))))
    if look.absent:
        table.add_row("missing", Text(_absent_words(look), style="yellow"))
    if look.warning:
        table.add_row("warning", Text(look.warning, style="bold red"))
    is_bad = look.has_ended or look.is_overdue
    style = "green" if look.has_succeeded else "yellow" if is_bad else ""
    told = ending(look) if look.has_ended else _standing(look)
    return Group(
        Text(printable(look.path), style="bold"),
        Text(told, style=style),
        _bar(look),
        table,
    )


def ending(look: Look) -> str:
    """Say how the run ended."""
    return printable(look.standing.removesuffix(": reported as far as it goes"))


def _standing(look: Look) -> str:
    if look.remote_host:
        return printable(_remote_words(look))
    return printable(look.standing.partition(": reported")[0])


def _remote_words(look: Look) -> str:
    """Say how a run stands whose writer cannot be asked: by its last commit."""
    silence = time_words(look.silence_s)
    if not look.is_overdue:
        return f"running on {look.remote_host}, last commit {silence} ago"
    return (
        f"no commit for {silence}: its writer on {look.remote_host} has probably died"
    )


def _bar(look: Look) -> RenderableType:
    row = Table.grid(padding=(0, 2))
    if look.rounds is None:
        return Text(_progress(look))
    done = min(look.n_rounds, look.rounds)
    row.add_row(
        ProgressBar(total=look.rounds, completed=done, width=_BAR_WIDTH),
        Text(_progress(look)),
    )
    return row


def _progress(look: Look) -> str:
    bound = "" if look.rounds is None else f"/{look.rounds:,}"
    return f"round {look.n_rounds:,}{bound}"


def _figures(look: Look) -> list[tuple[str, str]]:
    figures = [("time", time_words(look.wall_s))] if look.wall_s is not None else []
    if look.test_accuracy is not None and look.best_accuracy is not None:
        aim = f" of {look.target_accuracy:.2%}" if look.target_accuracy else ""
        best = f" (best {look.best_accuracy:.2%})"
        figures.append(("test accuracy", f"{look.test_accuracy:.2%}{aim}{best}"))
    if look.train_loss is not None:
        figures.append(("training loss", f"{look.train_loss:.4g}"))
    if look.rounds_per_s is not None:
        figures.append(("rounds a second", f"{look.rounds_per_s:.3g}"))
    if look.left_s is not None:
        figures.append(("time left", f"about {time_words(look.left_s)}"))
    return figures


def _slow_words(look: Look, *, title: bool = True) -> str:
    words = ", ".join(_slow_worker(slow) for slow in look.slowest)
    return f"slowest: {words}" if title else words


def _slow_worker(slow: SlowWorker) -> str:
    at = f" on {slow.host}" if slow.host else ""
    if slow.slowness is None:
        return f"worker {slow.worker}{at} (no update)"
    return f"worker {slow.worker}{at} ({slow.slowness:.1f} x the median)"


def _absent_words(look: Look) -> str:
    return ", ".join(f"worker {m} {what}" for m, what in look.absent.items())
