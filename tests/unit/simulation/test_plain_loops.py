"""The simulator against the rules written as plain loops, draw by draw."""

import heapq
from itertools import accumulate, count, islice, takewhile

import numpy as np
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st
from virtual_runs import run_virtually

from stsyn_mpi.simulation.delays import parse_delay

pytestmark = pytest.mark.timeout(60)


def ends(law, worker, round_index, first=0):
    """Yield when each update ends, in seconds since the model came."""
    return accumulate(law.draw(worker, round_index, i) for i in count(first))


def nth(law, worker, round_index, n, first=0):
    return next(islice(ends(law, worker, round_index, first), n - 1, None))


def n_until(t, rising):
    return sum(1 for _ in takewhile(lambda end: end <= t, rising))


def synchronous(law, n_workers, k, u, n_rounds, cost, *, goes_on):
    """All begin together; the round closes when the k-th has made u updates."""
    t = 0.0
    for j in range(n_rounds):
        had_t = t + cost / 2
        reached = [had_t + nth(law, m, j, u) for m in range(n_workers)]
        closed_t = sorted(reached)[k - 1]
        done = [
            n_until(closed_t, (had_t + end for end in ends(law, m, j)))
            for m in range(n_workers)
        ]
        t = closed_t + cost / 2
        if goes_on:
            yield t, done, sum(n > 0 for n in done), n_workers
        else:
            done = [min(n, u) for n in done]
            yield t, done, k, sum(n < u for n in done)


def k_async(law, n_workers, k, n_rounds):
    """The k that uploaded get the next model together."""
    heap = sorted((law.draw(m, 0, 0), m) for m in range(n_workers))
    for j in range(n_rounds):
        used = [heapq.heappop(heap) for _ in range(k)]
        t = used[-1][0]
        for _, m in used:
            heapq.heappush(heap, (t + law.draw(m, j + 1, 0), m))
        names = [m for _, m in used]
        yield t, [names.count(m) for m in range(n_workers)], k, 0


def fedbuff(law, n_workers, k, u, n_rounds):
    """Whoever uploads goes on with the newest model; with its draws if it had it."""
    heap, base, first = [], [-1] * n_workers, [0] * n_workers

    def restart(m, t, j):
        first[m] = first[m] + u if base[m] == j else 0
        base[m] = j
        heapq.heappush(heap, (t + nth(law, m, j, u, first[m]), m))

    for m in range(n_workers):
        restart(m, 0.0, 0)
    for j in range(n_rounds):
        done = [0] * n_workers
        for place in range(k):
            t, m = heapq.heappop(heap)
            done[m] += u
            restart(m, t, j + (place == k - 1))
        yield t, done, sum(n > 0 for n in done), 0


def plain_loop(strategy, law, n_workers, k, u, n_rounds, cost):
    if strategy == "k-async":
        return k_async(law, n_workers, k, n_rounds)
    if strategy == "fedbuff":
        return fedbuff(law, n_workers, k, u, n_rounds)
    sizes = {
        "stsyn": (k, u),
        "k-fastest": (k, u),
        "k-sync": (k, 1),
        "local-sgd": (n_workers, u),
    }
    rounds = n_rounds, cost
    return synchronous(
        *(law, n_workers, *sizes[strategy], *rounds), goes_on=strategy == "stsyn"
    )


LAWS = ("exponential:mean=1", "pareto:mean=1,shape=1.3", "markov:mean=1,slow_rounds=4")
SPEEDS = st.sampled_from(["1", "0.2", "0.02", "5"])


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_the_simulator_does_what_plain_loops_do(data):
    strategy = data.draw(
        st.sampled_from(
            ["stsyn", "k-fastest", "k-sync", "local-sgd", "k-async", "fedbuff"]
        )
    )
    n_workers = data.draw(st.integers(1, 7))
    most = 2 * n_workers if strategy == "fedbuff" else n_workers
    k, u = data.draw(st.integers(1, most)), data.draw(st.integers(1, 6))
    n_rounds, seed = data.draw(st.integers(1, 12)), data.draw(st.integers(0, 99))
    is_free = strategy in ("k-async", "fedbuff") or data.draw(st.booleans())
    speeds = data.draw(st.lists(SPEEDS, min_size=n_workers, max_size=n_workers))
    delay = f"{data.draw(st.sampled_from(LAWS))},factors={'/'.join(speeds)}"
    note(f"{strategy} M={n_workers} K={k} U={u} {delay} seed {seed} free {is_free}")
    law, cost = parse_delay(delay, seed, n_workers), 0.0 if is_free else 2.5
    recorder, _ = run_virtually(
        strategy,
        n_workers=n_workers,
        wait_for=k,
        target_updates=u,
        n_rounds=n_rounds,
        delay=delay,
        seed=seed,
        network="free" if is_free else f"constant:cost={cost}s",
    )
    loop = plain_loop(strategy, law, n_workers, k, u, n_rounds, cost)
    expected_t, *expected = zip(*loop, strict=True)
    np.testing.assert_allclose(recorder.wall_s, expected_t, rtol=1e-9)
    names = "worker_updates", "n_uploaders", "updates_cancelled"
    for name, column in zip(names, expected, strict=True):
        assert recorder.column(name).tolist() == list(column), name


@pytest.mark.parametrize("strategy", ["fedbuff:K=3,U=2", "k-batch-async:K=3"])
def test_one_worker_does_not_repeat_its_draws_within_a_round(strategy):
    recorder, _ = run_virtually(
        strategy, n_workers=1, wait_for=1, n_rounds=4, records_updates=True
    )
    assert len(set(recorder.updates[:, 3])) == len(recorder.updates)
