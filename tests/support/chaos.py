"""Disorder by the seed: trainings whose ranks are killed, stopped and slowed at random.

    python chaos.py --seeds 50 --first 0

Each seed is a plan (`chaos_plan`), a real job (`chaos_job`) and a balance of what it
left (`chaos_checks`). Failing seeds are printed with their plans; the last line counts.
"""

import argparse
import re
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

import chaos_checks as checks
from chaos_job import Disturbed
from chaos_plan import draw_plan

from stsyn_mpi.errors import EXIT_DONE, EXIT_TOO_FEW_WORKERS
from stsyn_mpi.runfile.reader import open_run

# A death in the last of the rounds may become known after them.
LATE = 0.9
# The row of a round waits for the next one at the latest, and may be half written then.
MISSING_MOST = 2


def flags(options):
    """Return the flags of `stsyn-mpi train` that say the same."""
    for name, value in options.items():
        flag = f"--{name.replace('_', '-')}"
        yield from [flag] if value is True else [flag, value]


def run_plan(plan, folder):
    """Run a plan in an empty folder; return what is wrong with what it left."""
    return (_run_resumed if plan.is_resumed else _run_once)(plan, folder)


def _run_once(plan, folder):
    path = folder / "run.h5"
    disturbed = Disturbed(flags(plan.options(path)), folder, "0", plan.n_rounds)
    code = disturbed.run(plan.starts[0])
    wrong = _check_end(disturbed, code, _expected_codes(plan, disturbed))
    if code not in (EXIT_DONE, EXIT_TOO_FEW_WORKERS):
        return wrong
    silent = disturbed.silent_at_the_end()
    if strangers := silent - disturbed.disturbed:
        wrong.append(f"ranks {strangers}, never disturbed, did not answer at the end")
    gone = {rank - 1 for rank in disturbed.killed | silent}
    with open_run(path) as run:
        wrong += checks.check_rows(run, plan.n_rounds if code == EXIT_DONE else None)
        wrong += checks.check_balance(run, disturbed.ledgers, gone)
        wrong += checks.check_replay(run)
        if code == EXIT_DONE:
            wrong += checks.check_accuracy(run, plan, folder)
    return wrong


def _expected_codes(plan, disturbed):
    """Return the exit codes that are right, by the workers that were really killed."""
    n_left = plan.n_workers - len(disturbed.killed)
    if n_left >= plan.min_workers:
        return [EXIT_DONE]
    is_late = max(f.moment for f in plan.starts[0] if f.kind == "kill") > LATE
    return [EXIT_TOO_FEW_WORKERS, *([EXIT_DONE] if is_late else [])]


def _check_end(disturbed, code, expected):
    wrong = []
    if code not in expected:
        end = disturbed.job.errors[-2000:]
        wrong.append(f"exit code {code}, not {expected}\n{end}")
    if left := disturbed.leftovers():
        wrong.append(f"left behind: {left}")
    return wrong


def _run_resumed(plan, folder):
    path, found, wrong = folder / "run.h5", [], []
    for number, faults in enumerate(plan.starts):
        arguments = ["--resume", path] if number else flags(plan.options(path))
        n_before = len(found[-1][1]["wall_s"]) if number else 0
        disturbed = Disturbed(arguments, folder, str(number), plan.n_rounds)
        code = disturbed.run(faults, n_before)
        said = re.search(r"round (\d+) begins", disturbed.job.errors)
        begun = int(said[1]) if said else -1
        if number:
            found[-1] = (begun, found[-1][1])
        is_last = number == len(plan.starts) - 1
        wrong += _check_end(disturbed, code, [EXIT_DONE] if is_last else range(1, 256))
        with open_run(path) as run:
            if not is_last:
                columns = ("wall_s", "updates_used")
                found.append((-1, {name: run.column(name) for name in columns}))
            wrong += checks.check_rows(run, plan.n_rounds if is_last else None)
            n_missing = begun + disturbed.rounds_closed() - run.n_rounds
            if n_missing > MISSING_MOST:
                wrong.append(f"the last {n_missing} rounds are missing")
    with open_run(path) as run:
        wrong += checks.check_superseded(run, found)
        wrong += checks.check_accuracy(run, plan, folder)
    return wrong


def try_seed(seed, folder):
    """Return the plan of a seed, and what is wrong with what it left."""
    plan = draw_plan(seed)
    try:
        return plan, run_plan(plan, folder)
    except Exception:
        return plan, [traceback.format_exc()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--first", type=int, default=0)
    given = parser.parse_args()
    counts = Counter()
    start_t = time.monotonic()
    for seed in range(given.first, given.first + given.seeds):
        with tempfile.TemporaryDirectory(prefix="chaos") as name:
            plan, wrong = try_seed(seed, Path(name))
        counts["failed" if wrong else "passed"] += 1
        counts["resumed"] += plan.is_resumed
        print("\n".join([str(plan), *[f"  WRONG: {text}" for text in wrong]]))
        sys.stdout.flush()
    print(
        f"{given.seeds} seeds from {given.first}: {counts['passed']} passed, "
        f"{counts['failed']} failed, {counts['resumed']} of them resumed runs, "
        f"{time.monotonic() - start_t:.0f} s"
    )
    sys.exit(counts["failed"] > 0)


if __name__ == "__main__":
    main()
