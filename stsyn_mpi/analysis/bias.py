"""Whether the model of a recorded run leans to the data of its fast workers."""

from __future__ import annotations

from stsyn_mpi.analysis.fitting.violations import find_violations
from stsyn_mpi.analysis.settings import is_timing_only
from stsyn_mpi.caveats import bias_words, has_factors
from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile.reader import Run


def bias_warning(run: Run) -> str | None:
    """Return a warning where speed differences and data of one's own come together.

    Speed differences are those configured (``factors`` of the delay), or else those
    that the test of the recorded updates finds. The rule is that of the warning
    before a run, `stsyn_mpi.caveats.bias_of`.

    Parameters
    ----------
    run : Run
        An open run.

    Returns
    -------
    str or None
        None where there is nothing to warn of, where nothing was trained, and where
        the options in the file are not those of a run known here.
    """
    if is_timing_only(run.config):
        return None
    try:
        # What needs no look at the updates comes first.
        if _words(run, "workers of different speed") is None:
            return None
        who = _who_differs(run)
        return None if who is None else _words(run, who)
    except InputError:
        return None


def _words(run: Run, who: str) -> str | None:
    return bias_words(
        str(run.config.get("strategy", "stsyn")),
        str(run.config.get("weights", "auto")),
        str(run.config.get("partition", "iid")),
        who,
    )


def _who_differs(run: Run) -> str | None:
    if has_factors(str(run.config.get("delay", "none")), None):
        return "workers of different speed (factors of the delay)"
    speeds = find_violations(run).of("speeds")
    if not speeds.is_violated:
        return None
    return f"workers that were measured to differ in speed by {speeds.effect:.2g}x"
