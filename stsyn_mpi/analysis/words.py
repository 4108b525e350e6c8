"""Numbers and texts of a run file as people read them."""

from __future__ import annotations

import math

_MOST_CHARACTERS = 600


def time_words(seconds: float | None) -> str:
    """Return a duration with three digits and a unit that suits it."""
    if seconds is None or not math.isfinite(seconds):
        return "not recorded"
    # Three digits: what rounds up to the next unit is told in it.
    for limit, factor, unit in (
        (0.9995e-3, 1e6, "µs"),
        (0.9995, 1e3, "ms"),
        (600.0, 1.0, "s"),
        (36_000.0, 1 / 60, "min"),
    ):
        if seconds < limit:
            return f"{seconds * factor:.3g} {unit}" if seconds else "0 s"
    return f"{seconds / 3600:,.1f} h"


def time_unit(largest_s: float) -> tuple[float, str]:
    """Return a factor and the unit of an axis on which this is the largest time."""
    for limit, factor, unit in (
        (2e-3, 1e6, "µs"),
        (2.0, 1e3, "ms"),
        (7200.0, 1.0, "s"),
        (172_800.0, 1 / 60, "min"),
    ):
        if largest_s < limit:
            return factor, unit
    return 1 / 3600, "h"


def share_words(part: float, whole: float) -> str:
    """Return a share in percent, small ones with more digits; empty of nothing."""
    if whole <= 0:
        return ""
    share = 100 * part / whole
    return f"{share:.1f} %" if share >= 1 else f"{share:.2g} %"


def printable(text: object, most: int = _MOST_CHARACTERS) -> str:
    """Return a text of a run file in one line that steers nothing.

    Characters that are not printed are replaced, and of more than `most` the rest is
    cut off.
    """
    whole = str(text)
    cut = whole if len(whole) <= most else whole[: most - 1] + "…"
    return "".join(c if c.isprintable() else "?" for c in cut)


def abridged(text: object, most: int = _MOST_CHARACTERS) -> str:
    """Return a text in one line, of a long one its beginning and its end."""
    whole = str(text)
    if len(whole) <= most:
        return printable(whole, most)
    end = most // 4
    return printable(f"{whole[: most - end - 3]} … {whole[-end:]}", most)


def drawable(text: object) -> str:
    """Return a text as figures take it: `printable`, and taken as it is.

    Elsewhere a dollar begins a formula, and what begins with "_" is in no legend.
    """
    plain = printable(text).replace("$", r"\$")
    return f" {plain}" if plain.startswith("_") else plain


def counted(number: int, noun: str) -> str:
    """Return a count with its noun, in the plural where it is not one."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
