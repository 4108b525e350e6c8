"""The list of ``--strategies``, and one way of writing each scheme."""

from __future__ import annotations

from collections.abc import Sequence

from stsyn_mpi.errors import InputError
from stsyn_mpi.schemes import parse_scheme


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
        If a part is empty, or a parameter stands before any scheme.
    """
    entries: list[str] = []
    for text in texts:
        for n, part in enumerate("".join(text.split()).split(",")):
            if not part:
                raise InputError(f"--strategies {text!r}: an entry is empty")
            if "=" not in part or ":" in part:
                entries.append(part)
            elif n:
                entries[-1] += f"{',' if ':' in entries[-1] else ':'}{part}"
            else:
                raise InputError(f"--strategies {text!r}: {part!r} follows no scheme")
    return entries


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
