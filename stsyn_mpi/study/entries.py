"""The list of ``--strategies``, and one way of writing each scheme."""

from __future__ import annotations

import re
from collections.abc import Sequence

from stsyn_mpi.errors import InputError
from stsyn_mpi.schemes import parse_scheme

_SPACE_IN_A_NAME = re.compile(r"[^\s:=]\s+[^\s:=]")


def split_entries(texts: Sequence[str]) -> list[str]:
    """Split ``stsyn:K=5,U=10,local-sgd`` into its entries.

    Parameters
    ----------
    texts : sequence of str
        Comma lists. A part with ``=`` and without ``:`` belongs to the entry before
        it, so parameters need no quoting.

    Returns
    -------
    list of str
        Entries as written, without spaces.

    Raises
    ------
    InputError
        If a part is empty or has a space within a name, or a parameter stands before
        any scheme.
    """
    entries: list[str] = []
    for text in texts:
        for n, written in enumerate(text.split(",")):
            part = _without_spaces(written, f"--strategies {text!r}")
            if "=" not in part or ":" in part:
                entries.append(part)
            elif n:
                entries[-1] += f"{',' if ':' in entries[-1] else ':'}{part}"
            else:
                raise InputError(f"--strategies {text!r}: {part!r} follows no scheme")
    return entries


def _without_spaces(part: str, where: str) -> str:
    """Return a part of the list without the spaces around its names and signs."""
    if not part.strip():
        raise InputError(f"{where}: an entry is empty")
    if _SPACE_IN_A_NAME.search(part):
        raise InputError(
            f"{where}: a space in {part.strip()!r}; parameters follow a colon, as in "
            "stsyn:K=2"
        )
    return "".join(part.split())


def canonical_scheme(entry: str) -> str:
    """Write a scheme without K and U, and without what is its default anyway.

    Raises
    ------
    InputError
        Naming the scheme or parameter, and what is allowed.
    """
    scheme = parse_scheme(entry)
    own = [
        f"{p.name}={_number(scheme.values[p.name])}"
        for p in scheme.kind.parameters
        if scheme.values[p.name] != p.default
    ]
    return scheme.kind.name + (":" + ",".join(own) if own else "")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
