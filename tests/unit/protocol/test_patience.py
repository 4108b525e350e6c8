from math import inf, isnan
from random import Random

import pytest

from stsyn_mpi.protocol import events as ev
from stsyn_mpi.protocol.coordinator import Coordinator, RunTerms
from stsyn_mpi.protocol.patience import Patience
from stsyn_mpi.protocol.watch import Watch
from stsyn_mpi.strategies import SchemeTerms
from stsyn_mpi.strategies.k_async import KAsync


def learned(times, floor_s=0.0, n_first=8):
    patience = Patience(floor_s, n_first)
    for seconds in times:
        patience.learn(seconds)
    return patience.limit_s


def test_there_is_no_limit_before_enough_times_are_known():
    assert isnan(learned([1.0] * 7))
    assert learned([1.0] * 8) > 0


def test_equal_times_leave_five_medians_of_room():
    assert learned([2.0] * 8) == pytest.approx(2.0 + 10 * 0.5 * 2.0)


def test_spread_is_the_way_from_median_to_the_90_percent_quantile():
    times = [1.0] * 8 + [4.0, 4.0]
    assert learned(times) == pytest.approx(1.0 + 10 * 3.0)


def test_one_outlier_in_many_does_not_move_the_limit():
    assert learned([1.0] * 99 + [1e6]) == learned([1.0] * 100)


def test_limit_is_never_below_the_floor():
    assert learned([1e-6] * 20, floor_s=0.25) == 0.25


def test_no_times_but_zero_give_no_limit():
    assert isnan(learned([0.0] * 20))
    assert learned([0.0] * 20, floor_s=0.1) == 0.1


def test_the_oldest_of_256_times_is_forgotten():
    assert learned([100.0] * 300 + [1.0] * 256) == learned([1.0] * 256)
    assert learned([100.0] * 300 + [1.0] * 200) > learned([1.0] * 256)


def test_the_limit_follows_the_last_256_times():
    rng, patience, times = Random(5), Patience(0.0), []
    for n in range(1500):
        times.append(1.0 + (rng.random() < n % 500 / 500))
        patience.learn(times[-1])
        if n % 10 == 9:
            assert patience.limit_s == learned(times[-256:], n_first=8)


def test_order_of_times_does_not_matter():
    times = [float(n % 17) for n in range(200)]
    assert learned(times) == learned(sorted(times)) == learned(sorted(times)[::-1])


def test_an_unwatched_worker_is_never_due():
    watch = Watch(2, None)
    watch.start(0.0)
    watch.see(0, 1e9, False)
    assert watch.limit_s == inf
    assert watch.due_t(1) == inf


def test_silence_counts_from_the_start_of_the_run():
    watch = Watch(2, 0.5)
    watch.start(7.0)
    assert watch.due_t(0) == watch.due_t(1) == 7.0 + 10 * 0.5


def test_a_sign_moves_only_the_due_time_of_its_worker():
    watch = Watch(2, 0.5)
    watch.start(0.0)
    watch.see(1, 3e-3, False)
    assert watch.due_t(0) == 5.0
    assert watch.due_t(1) == pytest.approx(5.003)


def test_slow_signs_make_the_limit_longer():
    watch = Watch(1, 0.5)
    watch.start(0.0)
    for n in range(1, 30):
        watch.see(0, 4.0 * n, False)
    assert watch.limit_s == pytest.approx(4.0 + 10 * 2.0)


def test_the_gap_of_a_hung_worker_teaches_nothing():
    watch = Watch(1, 0.5)
    watch.start(0.0)
    watch.see(0, 1000.0, True)
    assert watch.limit_s == 5.0
    assert watch.due_t(0) == 1005.0


def test_where_nobody_is_given_up_there_is_never_a_limit():
    patience = Patience(None)
    for _ in range(20):
        patience.learn(1.0)
    assert isnan(patience.limit_s)


def test_a_payload_is_awaited_from_its_announcement_also_if_that_was_held_back():
    """Else a slow network teaches that payloads take no time."""
    terms = RunTerms(n_workers=2, n_rounds=9, alive_interval_s=0.25, eval_every=0)
    coordinator = Coordinator(KAsync(SchemeTerms(2, 1, 1)), terms)
    for event in (
        ev.RunStarted(0.0),
        ev.ModelDelivered(0.1, 0),
        ev.ModelDelivered(0.1, 1),
        ev.UploadAnnounced(1.0, 0, 0, 1, 0, True, False, 0.5, 1.0),
        ev.UploadAnnounced(1.5, 1, 0, 1, 0, True, False, 0.5, 1.0),
        ev.UploadReceived(4.0, 0, 0, True),
        ev.UploadReceived(4.5, 1, 0, True),
    ):
        coordinator.handle(event)
    assert list(coordinator._payloads._order) == [3.0, 3.0]
