"""Figures and texts as people read them."""

from __future__ import annotations


def printable(text: str) -> str:
    """Take control characters out: a run file's text must not steer a terminal."""
    return "".join(char if char.isprintable() else "?" for char in text)


def duration_words(seconds: float | None) -> str:
    """Return a duration in ms, s or h, as fits."""
    if seconds is None:
        return "not recorded"
    if seconds < 1 and seconds > 0:
        return f"{seconds * 1e3:.1f} ms"
    if seconds < 3600:
        return f"{seconds:.1f} s"
    return f"{seconds / 3600:.2f} h"
