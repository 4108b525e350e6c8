"""What all figures of accuracy have in common: style, axes, and the file."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile.publish import replace_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart with any common colour blindness; line styles
# and markers tell the curves apart in grey print, too.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_LINES = ("-", "--", "-.", ":")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<")
_MOST_MARKERS = 25
_LEGEND_PT = 9
_MARGIN_PT = 60
_EM_PER_CHARACTER = 0.56
"""Mean width of a character of the figures' font, with some room to spare."""


class Style(NamedTuple):
    """How one curve is told from the others."""

    colour: str
    line: str
    marker: str


def styles() -> Iterator[Style]:
    """Yield styles without end; no two of the first 28 share two of their parts."""
    parts = zip(cycle(_COLOURS), cycle(_LINES), cycle(_MARKERS), strict=False)
    return (Style(*part) for part in parts)


def line_style(style: Style, n_points: int) -> dict[str, Any]:
    """Return the keywords of ``Axes.plot`` for a curve of ``n_points``."""
    return {
        "color": style.colour,
        "linestyle": style.line,
        "marker": style.marker,
        "markevery": max(1, -(-n_points // _MOST_MARKERS)),
        "markersize": 5,
        "linewidth": 1.8,
    }


def new_figure(width: float = 7.5, height: float = 4.6) -> tuple[Figure, Axes]:
    """Make an empty figure, inches.

    Raises
    ------
    InputError
        If matplotlib is missing.
    """
    figure = blank_figure(width, height)
    return figure, figure.subplots()


def blank_figure(width: float, height: float) -> Figure:
    """Make a figure without axes, inches.

    Raises
    ------
    InputError
        If matplotlib is missing.
    """
    check_matplotlib()
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def check_matplotlib(option: str = "--png") -> None:
    """Check that figures can be drawn.

    Parameters
    ----------
    option : str
        What asks for them.

    Raises
    ------
    InputError
        If matplotlib is missing.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"figures need matplotlib: pip install 'stsyn-mpi[plot]' ({option})"
        ) from error


def wrapped(text: str, width_pt: float, size_pt: float) -> str:
    """Break a text into lines of about this width.

    Lines end after a space, or else after a comma, a semicolon or a slash, which the
    options of a run are full of.
    """
    most = max(20, int(width_pt / (_EM_PER_CHARACTER * size_pt)))
    lines = [""]
    for word in re.findall(r"\S+\s*", text):
        parts = re.findall(r"[^,;/]*[,;/]+\s*|[^,;/]+", word)
        for part in [word] if len(word) <= most else parts:
            if lines[-1] and len(lines[-1]) + len(part.rstrip()) > most:
                lines.append("")
            lines[-1] += part
    return "\n".join(line.rstrip() for line in lines)


def dress_axes(axes: Axes, x_label: str) -> None:
    """Label and limit the axes of a figure of test accuracy in percent."""
    axes.set_xlabel(x_label)
    axes.set_ylabel("test accuracy (%)")
    axes.set_xlim(left=0)
    axes.margins(y=0.06)
    plain_axes(axes)


def plain_axes(axes: Axes, grid: Literal["both", "x", "y"] = "both") -> None:
    """Give axes a pale grid behind what is drawn, and no frame above and beside it."""
    axes.grid(axis=grid, color="#d9d9d9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def integer_ticks(axis: Axis, most: int = 9) -> None:
    """Put ticks of an axis at integers alone, and not too many."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(most, integer=True, min_n_ticks=1))


def legend_below(figure: Figure, axes: Axes) -> None:
    """Put the names of curves below the axes, each on lines of its own.

    The figure grows by them; the axes keep their size.
    """
    handles, labels = axes.get_legend_handles_labels()
    width_pt = 72 * figure.get_figwidth() - _MARGIN_PT
    texts = [wrapped(label, width_pt, _LEGEND_PT) for label in labels]
    n_lines = sum(1 + text.count("\n") for text in texts)
    figure.set_figheight(figure.get_figheight() + n_lines * 1.4 * _LEGEND_PT / 72)
    figure.legend(
        handles,
        texts,
        loc="outside lower left",
        frameon=False,
        fontsize=_LEGEND_PT,
    )


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a PNG, in place of an older one, and return its path.

    Raises
    ------
    InputError
        If the folder cannot be written.
    """
    content = io.BytesIO()
    figure.savefig(content, dpi=150, format="png")
    replace_file(path, content.getvalue(), "--png")
    return path
