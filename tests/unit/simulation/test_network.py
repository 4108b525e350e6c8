"""Networks: what they cost, how uploads share a link, and what users may write."""

import re
from fractions import Fraction
from math import inf, nextafter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stsyn_mpi.errors import InputError
from stsyn_mpi.simulation.network import parse_network, parse_rate

PAGE = (Path(__file__).parents[3] / "docs" / "network.md").read_text()
ROWS = re.findall(r"^\| `--network (.*?)` \|.*\| (.*) \|$", PAGE, re.MULTILINE)
MODEL_BYTES = 1_000_000
SHARED = "link:latency=0.5,bandwidth=1MB/s,sharing={}"

pauses = st.lists(
    st.one_of(st.just(0), st.integers(0, 60)), min_size=1, max_size=25
).map(lambda steps: [Fraction(sum(steps[: i + 1]), 16) for i in range(len(steps))])


def arrivals(link, begins, takes_first=True):
    """Drive a link as the simulator does; return (worker, second) as they arrive.

    What is due at the instant of a begin may be taken before it or after.
    """
    arrived = []

    def take_until(t):
        while link.due_t < t or (takes_first and link.due_t == t < inf):
            due_t = link.due_t
            arrived.append((link.take(), due_t))

    for worker, t in enumerate(begins):
        take_until(t)
        link.begin(float(t), worker)
    take_until(inf)
    return arrived


def processor_sharing(begins, size):
    """When each job is done, by taking from all of them at once, in fractions."""
    rest, done, t = {}, {}, Fraction(0)
    waiting = list(enumerate(begins))
    while waiting or rest:
        # The next thing: somebody comes, or the shortest rest is served.
        served = min(rest.values()) * len(rest) if rest else None
        comes = waiting[0][1] - t if waiting else None
        if served is None or (comes is not None and comes < served):
            step = comes
        else:
            step = served
        share = step / len(rest) if rest else 0
        t += step
        rest = {job: left - share for job, left in rest.items()}
        for job in [job for job, left in rest.items() if left == 0]:
            del rest[job]
            done[job] = t
        while waiting and waiting[0][1] == t:
            rest[waiting.pop(0)[0]] = Fraction(size)
    return done


@settings(deadline=None, derandomize=True)
@given(pauses, st.booleans())
def test_fair_sharing_is_processor_sharing(begins, takes_first):
    link = parse_network(SHARED.format("fair")).upload_link(MODEL_BYTES)
    arrived = arrivals(link, begins, takes_first)
    exact = processor_sharing(begins, 1)
    assert [worker for worker, _ in arrived] == list(range(len(begins)))
    assert [t for _, t in arrived] == pytest.approx(
        [float(exact[worker]) + 0.5 for worker in range(len(begins))], rel=1e-12
    )


@settings(deadline=None, derandomize=True)
@given(pauses, st.booleans())
def test_serial_uploads_wait_for_one_another(begins, takes_first):
    link = parse_network(SHARED.format("serial")).upload_link(MODEL_BYTES)
    free, expected = 0.0, []
    for worker, t in enumerate(begins):
        free = max(free, float(t)) + 1.0
        expected.append((worker, free + 0.5))
    assert arrivals(link, begins, takes_first) == expected


@settings(deadline=None, derandomize=True)
@given(pauses)
def test_separate_uploads_do_not_meet(begins):
    link = parse_network(SHARED.format("none")).upload_link(MODEL_BYTES)
    assert arrivals(link, begins) == [(m, float(t) + 1.5) for m, t in enumerate(begins)]


@settings(deadline=None, derandomize=True)
@given(pauses)
def test_a_shared_link_carries_the_same_bytes_in_the_same_time(begins):
    ends = {}
    for sharing in ("serial", "fair"):
        link = parse_network(SHARED.format(sharing)).upload_link(MODEL_BYTES)
        ends[sharing] = [t for _, t in arrivals(link, begins)]
    # Serial uploads are complete first, but for the last of a busy time.
    for serial, fair in zip(ends["serial"], ends["fair"], strict=True):
        assert serial <= fair + 1e-9
    assert ends["serial"][-1] == pytest.approx(ends["fair"][-1], rel=1e-12)


@pytest.mark.parametrize("sharing", ["none", "serial", "fair"])
@pytest.mark.parametrize("latency", ["0", "1e-7"])
def test_no_upload_is_lost_and_time_never_goes_back(sharing, latency):
    text = f"link:latency={latency},bandwidth=3,sharing={sharing}"
    link = parse_network(text).upload_link(1)
    t, n, last = 0.0, 20_000, 0.0
    seen = []
    for worker in range(n):
        t += (0.1 if worker % 7 else 0.9) / 3
        while link.due_t <= t:
            assert link.due_t >= last
            last = link.due_t
            seen.append(link.take())
        link.begin(t, worker)
        assert link.due_t >= last
    while link.due_t < inf:
        assert link.due_t >= last
        last = link.due_t
        seen.append(link.take())
    assert seen == list(range(n))
    if sharing != "none":
        # It was never idle: only the bytes count.
        assert last == pytest.approx(0.3 + n / 3, rel=1e-9)


def test_an_upload_is_never_due_before_another_began():
    link = parse_network("link:bandwidth=7,sharing=fair").upload_link(1)
    link.begin(0.1, 0)
    for worker in range(1, 2000):
        # At the last moment before an end, all of whose rests are rounding.
        t = nextafter(link.due_t, 0)
        link.begin(t, worker)
        assert link.due_t >= t
        assert link.take() == worker - 1


def test_fair_uploads_that_began_together_arrive_together():
    link = parse_network("link:bandwidth=1,sharing=fair").upload_link(1)
    assert arrivals(link, [0] * 5) == [(worker, 5.0) for worker in range(5)]


def test_a_late_upload_slows_the_first_one_down():
    link = parse_network("link:bandwidth=1,sharing=fair").upload_link(2)
    link.begin(0.0, 4)
    assert link.due_t == 2
    link.begin(1.0, 2)
    assert link.due_t == 3
    assert (link.take(), link.due_t) == (4, 4)
    assert (link.take(), link.due_t) == (2, inf)


def test_an_upload_that_has_crossed_the_link_shares_no_more():
    link = parse_network("link:latency=3,bandwidth=1,sharing=fair").upload_link(2)
    link.begin(0.0, 0)
    link.begin(2.5, 1)
    assert (link.due_t, link.take()) == (5, 0)
    assert (link.due_t, link.take()) == (7.5, 1)


@pytest.mark.parametrize("sharing", ["none", "serial", "fair"])
def test_a_round_of_equal_uploads(sharing):
    link = parse_network(SHARED.format(sharing)).upload_link(MODEL_BYTES)
    last = arrivals(link, [10] * 8)[-1]
    assert last == (7, 11.5 if sharing == "none" else 18.5)


def test_an_exchange_costs_a_constant_whatever_its_size():
    network = parse_network("constant:cost=100ms")
    assert (network.control_s, network.is_free) == (0, False)
    for n_bytes in (1, 10**9):
        assert network.download_s(n_bytes) == 0.05
        assert arrivals(network.upload_link(n_bytes), [1, 1]) == [(0, 1.05), (1, 1.05)]


def test_messages_of_a_link():
    network = parse_network("link:latency=2ms,bandwidth=1GB/s")
    assert (network.control_s, network.is_free) == (0.002, False)
    assert network.download_s(10**9) == pytest.approx(1.002)
    assert network.download_s(0) == 0.002


@pytest.mark.parametrize("text", ["free", "constant:cost=0"])
def test_free_messages(text):
    network = parse_network(text)
    assert network.is_free
    assert network.words == "free communication"
    assert (network.control_s, network.download_s(10**9)) == (0, 0)
    assert arrivals(network.upload_link(10**9), [0, 2]) == [(0, 0), (1, 2)]


def test_nothing_under_way_is_never_due():
    for text in ("free", "constant:cost=1", *map(SHARED.format, ("serial", "fair"))):
        assert parse_network(text).upload_link(1).due_t == inf


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("1e9", 1e9),
        ("250", 250),
        ("8B/s", 8),
        ("8b/s", 1),
        ("8bit/s", 1),
        ("2kB/s", 2e3),
        ("100MB/s", 1e8),
        ("1.5 GB/s", 1.5e9),
        ("10Gb/s", 1.25e9),
        ("10Gbit/s", 1.25e9),
        ("1e-3TB/s", 1e9),
    ],
)
def test_rates(text, rate):
    assert parse_rate(text, "it") == pytest.approx(rate, rel=1e-15)


@pytest.mark.parametrize(
    "text", ["0", "-1", "1GB", "1 gb/s", "1KB/s", "GB/s", "1e400", "nan", "1MiB/s", ""]
)
def test_bad_rates_are_refused(text):
    with pytest.raises(InputError, match=r"it must be a rate above 0 .*, got "):
        parse_rate(text, "it")


def test_documented_networks_are_called_what_the_page_says():
    assert len(ROWS) == 5
    for text, words in ROWS:
        assert parse_network(text).words == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("constant:cost=1.5", "1.5 s per exchange"),
        ("constant:cost=2us", "2 us per exchange"),
        ("constant:cost=1ns", None),
        ("constant:cost=1e-9", "0.001 us per exchange"),
        ("link:bandwidth=10Gb/s", "link 0 s, 1.25 GB/s, not shared"),
        ("link:bandwidth=5,latency=3m", "link 180 s, 5 B/s, not shared"),
        ("link:bandwidth=0.5", "link 0 s, 0.5 B/s, not shared"),
    ],
)
def test_words(text, words):
    if words is None:
        with pytest.raises(InputError, match="cost of 'constant' must be a duration"):
            parse_network(text)
    else:
        assert parse_network(text).words == words


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fre", "unknown --network 'fre': allowed are free, constant, link .*'free'"),
        ("free:cost=1", "'free' has no parameter 'cost': it has none"),
        ("constant", "'constant' needs cost="),
        ("constant:cost=-1", "cost of 'constant' must be a duration"),
        ("link", "'link' needs bandwidth=.*link:bandwidth=1GB/s"),
        ("link:bandwith=1GB/s", "did you mean 'bandwidth'"),
        ("link:bandwidth=0", "bandwidth of 'link' must be a rate above 0 .*got '0'"),
        ("link:bandwidth=1,latency=x", "latency of 'link' must be a duration"),
        ("link:bandwidth=1,sharing=fai", "sharing of 'link' 'fai': allowed are none, "),
    ],
)
def test_bad_networks_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_network(text)
