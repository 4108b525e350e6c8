"""A plausible run, drawn by the rule of STSyn and written by the real writer."""

import json

import numpy as np

from stsyn_mpi.runfile.schema import WorkerStatus
from stsyn_mpi.runfile.writer import RunWriter

N_PARAMS = 1000


def config_json(n_workers=8, wait_for=4, target_updates=10, **more):
    config = {
        "strategy": "stsyn",
        "workers": n_workers,
        "wait_for": wait_for,
        "target_updates": target_updates,
        "model": "mlp:hidden=128",
        "data": "digits",
        "partition": "iid",
        "batch_size": 32,
        "lr": 0.1,
        "delay": "exponential:mean=20ms",
        "seed": 0,
    }
    return json.dumps(config | more)


def draw_rounds(
    n_rounds,
    n_workers=8,
    wait_for=4,
    target_updates=10,
    seed=0,
    mean_s=0.02,
    eval_every=2,
):
    """Yield (row, updates) of each round; update times are exponential."""
    rng = np.random.default_rng(seed)
    speed = np.ones(n_workers)
    speed[-1] = 3.0
    wall = 0.0
    for j in range(n_rounds):
        durations = rng.exponential(mean_s, (n_workers, 8 * target_updates))
        ends = np.cumsum(durations * speed[:, None], axis=1)
        reached = ends[:, target_updates - 1]
        close = np.sort(reached)[wait_for - 1]
        done = (ends <= close).sum(axis=1)
        wall += close + 0.003
        yield (
            _row(
                j,
                wall,
                close,
                reached,
                done,
                ends,
                eval_every,
                target_updates,
                wait_for,
            ),
            (_updates(j, ends, close, done)),
        )


def _row(j, wall, close, reached, done, ends, eval_every, target_updates, wait_for):
    n_workers = len(done)
    used = done > 0
    work = np.where(used, ends[np.arange(n_workers), np.maximum(done, 1) - 1], 0.0)
    evaluated = j % eval_every == 0
    progress = 1 - np.exp(-j / 15)
    return {
        "round": j,
        "wall_s": wall,
        "kth_arrival_s": close,
        "collect_s": 0.001,
        "aggregate_s": 0.0005,
        "broadcast_s": 0.001,
        "grace_s": 0.05,
        "eval_s": 0.004 if evaluated else np.nan,
        "n_uploaders": int(used.sum()),
        "n_uploads": int(used.sum()),
        "n_late": 0,
        "n_hung": 0,
        "n_lost": 0,
        "n_stale": 0,
        "uploads_refused": 0,
        "updates_done": int(done.sum()),
        "updates_used": int(done.sum()),
        "updates_dropped": 0,
        "updates_cancelled": n_workers,
        "bytes_up": int(used.sum()) * N_PARAMS * 4,
        "bytes_down": n_workers * N_PARAMS * 4,
        "models_up": int(used.sum()),
        "models_down": n_workers,
        "train_loss": 2.3 * np.exp(-j / 20),
        "test_loss": 2.3 - 2.1 * progress if evaluated else np.nan,
        "test_accuracy": 0.1 + 0.86 * progress if evaluated else np.nan,
        "lr": 0.1,
        "target_updates": target_updates,
        "wait_for": wait_for,
        "worker_updates": done.astype(np.int32),
        "worker_target_s": np.where(reached <= close, reached, np.nan),
        "worker_compute_s": 0.1 * work,
        "worker_injected_s": 0.9 * work,
        "worker_cancelled_s": close - work,
        "worker_idle_s": np.full(n_workers, 0.001),
        "worker_status": np.where(used, WorkerStatus.USED, WorkerStatus.NO_UPDATE),
        "worker_staleness": np.zeros(n_workers, dtype=np.int32),
    }


def _updates(j, ends, close, done):
    rows = []
    for worker, n in enumerate(done):
        starts = np.concatenate([[0.0], ends[worker]])
        for i in range(n + 1):
            span = min(ends[worker, i], close) - starts[i]
            rows.append([j, worker, starts[i], 0.9 * span, 0.1 * span, float(i < n)])
    return np.array(rows)


def write_run(
    path, n_rounds=60, state="done", close=True, hosts=None, cut=False, **options
):
    """Write a run; `options` go to the drawing of rounds (n_workers, wait_for, ...).

    Of a run that was `cut`, local updates of one more round are there.
    """
    n_workers = options.get("n_workers", 8)
    names = ("n_workers", "wait_for", "target_updates", "seed")
    config = config_json(**{name: options[name] for name in names if name in options})
    provenance = {"hosts": hosts or ["head"] + [f"n{m // 4}" for m in range(n_workers)]}
    writer = RunWriter.create(path, n_workers, config, provenance, record_events=True)
    for row, updates in draw_rounds(n_rounds + cut, **options):
        writer.append_updates(updates)
        if row["round"] == n_rounds:
            break
        writer.append_events([json.dumps({"round": row["round"], "kind": "closed"})])
        writer.commit_round(row)
    if state != "running":
        writer.write_final_params(np.linspace(-1, 1, N_PARAMS, dtype=np.float32))
        writer.set_state(state, "all rounds done" if state == "done" else "")
    if close:
        writer.close()
    return writer
