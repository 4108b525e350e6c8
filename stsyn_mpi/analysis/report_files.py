"""Write what a report is asked for: figures as PNG files, and the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from stsyn_mpi.analysis.doing import Tell, keep_quiet
from stsyn_mpi.analysis.figures import check_matplotlib
from stsyn_mpi.analysis.page.build import build_page
from stsyn_mpi.analysis.pictures import Picture, own_pictures, shared_pictures
from stsyn_mpi.analysis.rendering import save_picture
from stsyn_mpi.analysis.run_report import RunReport
from stsyn_mpi.analysis.targets import check_target
from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile.publish import replace_file

_STANDARD_OUTPUT = Path("-")


def check_targets(html: Path | None, png_folder: Path | None) -> None:
    """Check before anything is read that figures can go where they are asked to.

    Raises
    ------
    InputError
        If matplotlib is missing, or the page would replace something else: a run file
        or another file of HDF5, a folder, a device; or for ``-``, standard output.
    """
    if html is None and png_folder is None:
        return
    for option, path in (("--html", html), ("--png", png_folder)):
        if path == _STANDARD_OUTPUT:
            raise InputError(
                f"{option} -: standard output has the summary: name a file"
            )
    check_matplotlib("--png" if html is None else "--html")
    if html is not None:
        check_target(html, "the page", "--html")


def write_files(
    reports: Sequence[RunReport],
    html: Path | None,
    png_folder: Path | None,
    tell: Tell = keep_quiet,
) -> list[Path]:
    """Write the page and the figures of some runs; existing ones are replaced.

    Parameters
    ----------
    reports : sequence of RunReport
        The runs, at least one.
    html : Path or None
        The page.
    png_folder : Path or None
        Where the figures go; it is created.
    tell : callable
        Hears what is drawn.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    InputError
        If one cannot be written.
    """
    written = write_pictures(reports, png_folder, tell) if png_folder else []
    if html is not None:
        check_target(html, "the page", "--html")
        replace_file(html, build_page(reports, tell).encode(), "--html")
        written.append(html)
    return written


def write_pictures(
    reports: Sequence[RunReport], folder: Path, tell: Tell = keep_quiet
) -> list[Path]:
    """Write every figure as a PNG file.

    Those of one run carry its name where there are several.
    """
    written = []
    for name, picture in _named_pictures(reports):
        path = folder / f"{name}.png"
        tell(f"drawing {path}")
        written.append(save_picture(picture, path))
    return written


def _named_pictures(reports: Sequence[RunReport]) -> Iterator[tuple[str, Picture]]:
    for picture in shared_pictures(reports):
        yield picture.name, picture
    for report in reports:
        stem = f"{report.stem}-" if len(reports) > 1 else ""
        for picture in own_pictures(report):
            yield f"{stem}{picture.name}", picture
