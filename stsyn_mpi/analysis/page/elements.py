"""Elements of the page, from texts that anybody may have written."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stsyn_mpi.analysis.pictures import Picture
from stsyn_mpi.analysis.rendering import image_of
from stsyn_mpi.analysis.words import printable

_MOST_CHARACTERS = 20_000


@dataclass(frozen=True)
class Cell:
    """A cell of a table: its text, and whether it is marked."""

    text: object
    is_marked: bool = False


def escaped(text: object) -> str:
    """Return a text as the page takes it: nothing in it is markup."""
    return html.escape(printable(text, _MOST_CHARACTERS))


def paragraph(text: object, kind: str = "") -> str:
    """Return a paragraph, of one of the kinds that the page has a style for."""
    return f"<p{_class(kind)}>{escaped(text)}</p>\n" if text else ""


def heading(text: object, level: int, anchor: str = "") -> str:
    """Return a heading that links can lead to."""
    place = f' id="{html.escape(anchor)}"' if anchor else ""
    return f"<h{level}{place}>{escaped(text)}</h{level}>\n"


def table(
    head: Sequence[object],
    rows: Iterable[Sequence[object]],
    *,
    kind: str = "",
    caption: str = "",
) -> str:
    """Return a table.

    Parameters
    ----------
    head : sequence
        Texts of the columns; none for a table of names and values.
    rows : iterable of sequence
        Texts, numbers and `Cell`; the first one of a row is its heading.
    kind : str
        One of the kinds that the page has a style for.
    caption : str
        What stands below it.
    """
    columns = "".join(f'<th scope="col">{escaped(text)}</th>' for text in head)
    top = f"<thead><tr>{columns}</tr></thead>\n" if head else ""
    body = "".join(_row(row) for row in rows)
    below = f"<caption>{escaped(caption)}</caption>\n" if caption else ""
    inner = f"<table{_class(kind)}>\n{below}{top}<tbody>\n{body}</tbody></table>"
    return f'<div class="wide">{inner}</div>\n'


def _row(row: Sequence[object]) -> str:
    first, *rest = row
    cells = "".join(_cell(value) for value in rest)
    return f'<tr><th scope="row">{escaped(first)}</th>{cells}</tr>\n'


def _cell(value: object) -> str:
    if isinstance(value, Cell):
        return f"<td{_class('marked' * value.is_marked)}>{escaped(value.text)}</td>"
    return f"<td>{escaped(value)}</td>"


def _class(kind: str) -> str:
    return f' class="{html.escape(kind)}"' if kind else ""


def figure(picture: Picture) -> str:
    """Return a figure with its picture in it, what it shows, and how it is read."""
    kind, content = image_of(picture)
    data = base64.b64encode(content).decode("ascii")
    image = f'<img alt="{escaped(picture.alt)}" src="data:{kind};base64,{data}">'
    words = escaped(picture.caption)
    below = f"<figcaption>{words}</figcaption>\n" if words else ""
    return f"<figure>\n{image}\n{below}</figure>\n"
