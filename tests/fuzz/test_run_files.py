"""Run files: read and reported, recovered, resumed, replayed as a trace."""

import contextlib
import io
import json
import uuid
from unittest.mock import patch

import numpy as np
import pytest
from fuzzing import Target
from fuzzing_hdf5 import in_oldest_format, mutate_hdf5
from killed_runs import write_killed
from rich.console import Console
from synthetic_run import write_run

from stsyn_mpi.analysis.export import FORMATS, export
from stsyn_mpi.analysis.look import look_at
from stsyn_mpi.analysis.plots import accuracy_curve
from stsyn_mpi.analysis.report import print_reports, summaries_json
from stsyn_mpi.analysis.run_report import read_report
from stsyn_mpi.analysis.summary import summarise
from stsyn_mpi.analysis.watch_view import ending, line, panel
from stsyn_mpi.resuming import train_config
from stsyn_mpi.runfile import RunWriter, open_run, recover
from stsyn_mpi.simulation.delays import parse_delay

N_ROUNDS = 12


WRITER = {
    "created": "2026-11-25T15:00:00+00:00",
    "writer_host": "elsewhere",
    "writer_pid": 1234,
    "writer_start": "boot:99",
    "package_version": "0.1.0",
    "library_versions": '{"python": "3.11"}',
    "command_line": '["stsyn-mpi", "train"]',
    "platform": "Linux",
}


@contextlib.contextmanager
def always_alike():
    """Let run files hold nothing of the moment, the process and the machine."""
    package = "stsyn_mpi.runfile"
    with (
        patch(f"{package}.writer.local_provenance", lambda: dict(WRITER)),
        patch(f"{package}.history.local_provenance", lambda: dict(WRITER)),
        patch(f"{package}.history.uuid.uuid4", lambda: uuid.UUID(int=7)),
        patch(f"{package}.resuming._now", lambda: WRITER["created"]),
        patch("killed_runs.dead_pid", lambda: WRITER["writer_pid"]),
        patch("time.time", lambda: 1.8e9),
    ):
        yield


def write_adapted(path):
    """Write a run whose K and U changed, and a resume that put a change aside."""
    with RunWriter.create(path, 3, "{}", {}, record_changes=True) as writer:
        for j in range(N_ROUNDS):
            if j % 4 == 2:
                writer.append_change(j, 1 + j % 3, 1 + j, f"reason of round {j}")
            writer.commit_round({"round": j, "wall_s": float(j)})
        writer.set_state("stopped")
    RunWriter.resume(path, 8, {}).close()


def seeds(folder):
    """A run that ended, one that was killed, a resumed and an adapted one."""
    with always_alike():
        write_adapted(folder / "adapted.h5")
        write_run(folder / "done.h5", N_ROUNDS)
        write_killed(folder / "killed.h5", N_ROUNDS, n_torn=1)
        write_run(folder / "resumed.h5", N_ROUNDS, state="stopped")
        RunWriter.resume(folder / "resumed.h5", 8, {}).close()
    in_oldest_format(folder / "done.h5", folder / "done-old.h5")
    in_oldest_format(folder / "resumed.h5", folder / "resumed-old.h5")


def report(path):
    with open_run(path) as run:
        for name in run.columns:
            run[name]
        parts = (run.updates(), run.events(), run.superseded(), run.final_params())
        parts += (run.changes(),)
        summary, curve = summarise(run), accuracy_curve(run)
        numbers = read_report(run, "run", ("early", "median", "slowest"))
    text = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with contextlib.redirect_stdout(text):
        print(summaries_json([summary]))
        print_reports([numbers, numbers], [], Console(file=text))
    return parts, curve, numbers


def follow(path):
    with open_run(path) as run:
        look = look_at(run)
    json.dumps(look.to_dict(), allow_nan=False)
    console = Console(file=io.StringIO())
    console.print(panel(look))
    console.print(line(look), ending(look))


def convert(path):
    with open_run(path) as run:
        for file_format in FORMATS:
            out = path.with_name(f"out.{file_format}")
            export(run, file_format, out=out, force=True)
            if file_format in ("json", "trace"):
                json.loads(out.read_text(), parse_constant=float)


def mend(path):
    recover(path, path.with_name("mended.h5"), force=True)
    recover(path, force=True)


def go_on(path):
    n_rounds = path.stat().st_size % N_ROUNDS
    RunWriter.resume(path, n_rounds, {}, force=True).close()
    with open_run(path) as run:
        assert run.n_rounds == n_rounds


def go_on_as_configured(path):
    train_config(None, {"resume": path}).validate()


def replay(path):
    law = parse_delay(f"trace:file={path}", 0, None)
    law.draw_rounds(0, 3, 2, 5)
    assert np.isfinite(law.mean)


TARGETS = {
    "report": Target(seeds, mutate_hdf5, report),
    "watch": Target(seeds, mutate_hdf5, follow),
    "export": Target(seeds, mutate_hdf5, convert),
    "recover": Target(seeds, mutate_hdf5, mend),
    "resume": Target(seeds, mutate_hdf5, go_on),
    "configuration": Target(seeds, mutate_hdf5, go_on_as_configured),
    "trace": Target(seeds, mutate_hdf5, replay),
}


@pytest.mark.parametrize("name", TARGETS)
def test_run_files(feed, name):
    feed(__file__, name, n_inputs=150)
