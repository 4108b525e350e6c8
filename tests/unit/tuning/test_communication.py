"""What messages cost, learnt from the columns of a run."""

import h5py
import numpy as np
import pytest

from stsyn_mpi import api
from stsyn_mpi.errors import InputError
from stsyn_mpi.runfile.reader import open_run
from stsyn_mpi.simulation.network import parse_network
from stsyn_mpi.tuning.communication import Communication, communication_of

SERIAL = "link:latency=2ms,bandwidth=260kB/s,sharing=serial"
SMALL_TARGETS = "stsyn:K=2,U=3"


@pytest.mark.parametrize("strategy", [SMALL_TARGETS, "k-sync:K=3", "local-sgd:U=5"])
def test_a_constant_cost_is_found_again(as_real, strategy):
    """The virtual clock's columns, read as a real run's, give back its network."""
    name = "constant" + strategy.replace(":", "-")
    run = as_real(name, strategy=strategy, network="constant:cost=50ms")
    assert communication_of(run, None).network == "constant:cost=50ms"


def test_uploads_that_queue_are_found_where_rounds_have_different_numbers(as_real):
    run = as_real("serial", strategy=SMALL_TARGETS, network=SERIAL)
    found = communication_of(run, None)
    assert found.network == "link:latency=2ms,bandwidth=260000,sharing=serial"
    assert "queue" in found.words


def test_uploads_that_do_not_queue_are_not_said_to(as_real):
    network = SERIAL.replace("serial", "none")
    run = as_real("separate", strategy=SMALL_TARGETS, network=network)
    # Two ways of 12 ms, and report and halt of 2 ms.
    assert communication_of(run, None).network == "constant:cost=28ms"


def test_chance_alone_makes_no_queue(as_real):
    """Times from close to model that rise a little with uploads, but not for sure."""
    run = as_real("chance", strategy=SMALL_TARGETS, network="constant:cost=50ms")
    path, rng = run.path, np.random.default_rng(2)
    run.close()
    with h5py.File(path, "r+") as file:
        n = file["n_uploads"][...]
        file["collect_s"][...] = 1e-4 * n + rng.exponential(1e-3, len(n))
    with open_run(path) as run:
        assert np.ptp(run["n_uploads"]) > 0
        assert communication_of(run, None).network == "constant:cost=50ms"


def test_a_mean_that_one_round_makes_is_said_to_be_one(as_real):
    """As that in which a worker hung and was not known to yet."""
    run = as_real("uneven", network="constant:cost=5ms")
    path = run.path
    assert "half of which" not in communication_of(run, None).words
    run.close()
    with h5py.File(path, "r+") as file:
        file["wall_s"][30:] += 1.0
    with open_run(path) as run:
        found = communication_of(run, None)
    assert "say --network constant:cost=5ms" in found.words
    assert float(found.network.split("=")[1].rstrip("ms")) > 15


def test_messages_without_time_are_free(as_real):
    assert communication_of(as_real("without"), None).network == "free"


def test_a_simulated_run_has_its_own_network_unless_another_is_given(costly):
    with open_run(costly) as run:
        assert communication_of(run, None).network == "constant:cost=100ms"
        assert communication_of(run, "free").network == "free"
        with pytest.raises(InputError, match="--network 'fre'"):
            communication_of(run, "fre")


def test_where_nobody_waits_it_is_the_way_from_upload_to_update(as_real):
    run = as_real("stale", strategy="fedbuff:K=4,U=3", network="constant:cost=50ms")
    assert communication_of(run, None).network == "constant:cost=50ms"


def test_what_does_not_show_in_a_run_is_asked_for(as_real):
    run = as_real("halfway", strategy="k-async:K=4")
    with pytest.raises(InputError, match="does not show in rounds of k-async"):
        communication_of(run, None)
    with pytest.raises(InputError, match=r"cannot be measured.*--network constant"):
        communication_of(as_real("one-round", rounds=2), None)


def test_models_of_another_size_take_the_time_of_the_runs(as_real):
    network = Communication("link:latency=1ms,bandwidth=1MB/s", "", 2000)
    scaled = network.for_models(500)
    for text, n_bytes in ((network.network, 2000), (scaled.network, 500)):
        assert parse_network(text).download_s(n_bytes) == pytest.approx(3e-3)
    free = Communication("constant:cost=1ms", "", 2000)
    assert free.for_models(500) is free


@pytest.mark.parametrize("network", ["constant:cost=30ms", SERIAL])
def test_the_cost_for_the_theory_is_what_rounds_take_longer(tmp_path, network):
    """STSyn's rounds with and without messages, under the same draws."""
    took = []
    for n, text in enumerate((network, "free")):
        out = str(tmp_path / f"{n}.h5")
        path = api.simulate(
            "softmax",
            workers=8,
            strategy="stsyn:K=8,U=1",
            delay="constant:mean=20ms",
            network=text,
            timing_only=True,
            rounds=3,
            out=out,
        )
        with open_run(path) as run:
            took.append(run["wall_s"][-1] / 3)
            n_bytes = int(run["bytes_down"][0] // run["models_down"][0])
    cost = Communication(network, "", n_bytes).cost()
    assert cost.mean_s + 8 * cost.upload_s == pytest.approx(took[0] - took[1])
