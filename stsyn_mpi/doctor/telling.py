"""Print the verdicts, each as soon as it is known, from one rank alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TextIO

from stsyn_mpi.doctor.examination import Wishes, examine
from stsyn_mpi.doctor.verdicts import (
    SIGN_VARIABLE,
    Verdict,
    exit_code,
    verdicts_json,
)
from stsyn_mpi.errors import EXIT_DONE
from stsyn_mpi.mpi.launch import rank_in


def examine_and_tell(
    wishes: Wishes, out: TextIO, *, as_json: bool, strict: bool
) -> int:
    """Examine, print, and return the exit code; every rank calls it.

    Parameters
    ----------
    wishes
        What to look at.
    out
        Where the rank that the launcher calls 0 prints.
    as_json
        Print one object at the end instead of lines.
    strict
        Let warnings count as failures.
    """
    verdicts: list[Verdict] = []

    def tell(verdict: Verdict) -> None:
        # Singletons all believe to be the root: one of them speaks.
        if rank_in(os.environ):
            return
        verdicts.append(verdict)
        if not as_json:
            print(verdict.line(), file=out, flush=True)

    if not examine(wishes, tell) or rank_in(os.environ):
        return EXIT_DONE
    if as_json:
        print(verdicts_json(verdicts), file=out, flush=True)
    if sign := os.environ.get(SIGN_VARIABLE):
        Path(sign).touch()
    return exit_code(verdicts, strict=strict)
