"""What is measured: round overhead, idle CPU, time to the first round."""

import os
import time
from pathlib import Path

import numpy as np

from stsyn_mpi.analysis.overhead import round_times
from stsyn_mpi.bench.jobs import run_to_end, started, wait_for_line
from stsyn_mpi.datasets.synthetic import synthetic
from stsyn_mpi.datasets.writer import write_data_file
from stsyn_mpi.runfile.reader import open_run

N_WORKERS = 8
FIRST_ROUND = "round 0 begins"
_COMMON = ("-M", N_WORKERS, "-K", 5, "-U", 10, "--eval-every", 0)
_IDLE_WATCH_S = 5.0
_START_REPEATS = 3

Figures = dict[str, float]


def measure_all(folder: Path, n_rounds: int) -> Figures:
    """Start, idle CPU, and the overhead of so many rounds."""
    figures = measure_start(folder) | measure_idle(folder)
    return figures | measure_overhead(folder, n_rounds)


def write_images(folder: Path) -> Path:
    """Write 9000 synthetic images of 28x28 and return the file."""
    data = folder / "images.h5"
    write_data_file(data, synthetic(8000, 1000, (28, 28, 1), 10, 0.4, 0))
    return data


def measure_overhead(folder: Path, n_rounds: int) -> Figures:
    """Median and 90 % quantile of the round overhead, milliseconds.

    MLP 784-128-10, batch 32, 8 workers, K=5, U=10, Exp(20 ms) per update.
    """
    data, out = write_images(folder), folder / "overhead.h5"
    run_to_end(
        folder,
        *_COMMON,
        *("--data", data, "--model", "mlp:hidden=128", "--rounds", n_rounds),
        *("--delay", "exponential:mean=20ms", "--out", out),
    )
    with open_run(out) as run:
        times = round_times(run)
    milliseconds = 1e3 * times.overhead
    return {
        "round_ms_median": float(1e3 * np.median(times.measured)),
        "ideal_ms_median": float(1e3 * np.median(times.ideal)),
        "overhead_ms_median": float(np.median(milliseconds)),
        "overhead_ms_p90": float(np.quantile(milliseconds, 0.9)),
    }


def measure_idle(folder: Path) -> Figures:
    """Cores that a job uses while all of its workers are asleep in delays."""
    out = folder / "idle.h5"
    asleep = ("--delay", "constant:mean=60s", "--model", "softmax")
    with started(folder, *_COMMON, *asleep, "--out", out) as process:
        wait_for_line(process, FIRST_ROUND)
        with open_run(out) as run:
            pids = np.asarray(run.attributes["pids"]).tolist()
        time.sleep(1.0)
        start_t, start = time.perf_counter(), _cpu_seconds(pids)
        time.sleep(_IDLE_WATCH_S)
        used = _cpu_seconds(pids) - start
        seconds = time.perf_counter() - start_t
    return {"idle_cores": used / seconds}


def _cpu_seconds(pids: list[int]) -> float:
    """User and system time of processes so far (proc(5), fields 14 and 15)."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def measure_start(folder: Path) -> Figures:
    """Seconds from the command to the first model sent, 8 workers, median of 3."""
    seconds = []
    for repeat in range(_START_REPEATS):
        start_t = time.perf_counter()
        options = ("--rounds", 1, "--out", folder / f"start-{repeat}.h5")
        with started(folder, *_COMMON, *options) as process:
            wait_for_line(process, FIRST_ROUND)
            seconds.append(time.perf_counter() - start_t)
            process.communicate(timeout=60)
    return {"start_s_median": float(np.median(seconds))}
