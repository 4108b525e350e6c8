"""Figures as files and as images within a page."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from stsyn_mpi.analysis.figures import save_figure
from stsyn_mpi.analysis.pictures import Picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_SVG_BYTES = 120_000
"""Beyond it a picture of dots is the better one."""
_DPI = 130


def image_of(picture: Picture) -> tuple[str, bytes]:
    """Return a picture as the smaller or the sharper kind of image.

    Returns
    -------
    media_type : str
        ``image/svg+xml`` or ``image/png``.
    content : bytes
        The same for the same figure.
    """
    if picture.is_light:
        drawn = _rendered(picture.figure, "svg", picture.name)
        if len(drawn) <= _MOST_SVG_BYTES:
            return "image/svg+xml", drawn
    return "image/png", _rendered(picture.figure, "png", picture.name)


def save_picture(picture: Picture, path: Path) -> Path:
    """Write a picture as a PNG file, and return its path.

    Raises
    ------
    InputError
        If the folder cannot be written.
    """
    with warnings.catch_warnings():
        _overlook_missing_glyphs()
        return save_figure(picture.figure, path)


def _rendered(figure: Figure, kind: str, name: str) -> bytes:
    from matplotlib import rc_context

    stream = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    with warnings.catch_warnings(), rc_context({"svg.hashsalt": name}):
        _overlook_missing_glyphs()
        figure.savefig(stream, format=kind, dpi=_DPI, metadata=metadata)
    return stream.getvalue()


def _overlook_missing_glyphs() -> None:
    """Let names of files hold characters that the font lacks: a box stands for them."""
    warnings.filterwarnings(
        "ignore", message="Glyph .* missing from", category=UserWarning
    )
