"""What an update of the CNN launches, allocates and waits for, call by call."""

import re
from collections import Counter
from pathlib import Path

import pytest
from gpu_updates import Updates, make_update

PAGE = Path(__file__).parents[2] / "docs" / "gpu.md"
SHAPE = {"shape": (16, 18, 2), "batch": 20}
WAITS = ("synchronise stream", "synchronise event", "blocking read", "blocking copy")


@pytest.fixture
def launched(gpu, calls):
    """Return the calls of one update, launched after two others."""

    def launch(model, **options):
        updates = Updates(make_update(gpu, model, **SHAPE, **options))
        updates.run(2)
        calls.clear()
        updates.launch()
        return list(calls)

    return launch


def counts_on_the_page():
    page = PAGE.read_text()
    rows = re.findall(r"^\| `([^`]+)` .*\| (\d+) \|$", page, re.MULTILINE)
    counts = {name: int(count) for name, count in rows}
    assert f"{sum(counts.values())} launches and one copy" in page
    return counts


def test_launches_of_the_cnn_are_those_of_the_page(launched):
    found = Counter(c.name for c in launched("cnn") if c.what in ("launch", "compute"))
    assert dict(found) == counts_on_the_page()


@pytest.mark.parametrize("resident", [True, False], ids=["resident", "prefetched"])
@pytest.mark.parametrize("model", ["softmax", "mlp:hidden=9x8", "cnn"])
def test_an_update_waits_for_nothing(launched, model, resident):
    assert not [c for c in launched(model, resident=resident) if c.what in WAITS]


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_an_update_allocates_its_loss_alone(launched, momentum):
    allocated = [c for c in launched("cnn", momentum=momentum) if c.what == "allocate"]
    assert len(allocated) == 1


def test_the_next_batch_comes_over_on_another_stream(launched):
    calls = launched("softmax", resident=False)
    copies = {c.stream for c in calls if c.what == "copy"}
    kernels = {c.stream for c in calls if c.what == "launch"}
    assert len(copies) == len(kernels) == 1
    assert copies != kernels
    (wait,) = (i for i, c in enumerate(calls) if c.what == "wait event")
    assert calls[wait].stream in kernels
    assert not [c for c in calls[:wait] if c.what == "launch"]
