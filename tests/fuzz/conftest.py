"""How long the readers are fed: quick and always alike, or `make fuzz`."""

from pathlib import Path

import pytest
from fuzzing import fuzz

SEED_OF_TESTS = 20261125


def pytest_addoption(parser):
    group = parser.getgroup("fuzz")
    group.addoption("--fuzz-seconds", type=float, help="feed each target so long")
    group.addoption(
        "--fuzz-seed", type=int, default=SEED_OF_TESTS, help="of the inputs"
    )
    group.addoption("--fuzz-keep", type=Path, help="folder for inputs that are found")


def pytest_report_header(config):
    if config.getoption("--fuzz-seconds"):
        keep, seed = config.getoption("--fuzz-keep"), config.getoption("--fuzz-seed")
        return f"fuzz: seed {seed}; inputs that are found go to {keep}"
    return None


def pytest_collection_modifyitems(config, items):
    seconds = config.getoption("--fuzz-seconds")
    if seconds:
        for item in items:
            item.add_marker(pytest.mark.timeout(seconds + 180))


@pytest.fixture
def feed(pytestconfig, tmp_path):
    """Feed a target of a family; whatever is found fails the test."""
    option = pytestconfig.getoption
    seconds = option("--fuzz-seconds")

    def call(family, name, n_inputs):
        limit = {"seconds": seconds} if seconds else {"n_inputs": n_inputs}
        seed, keep = option("--fuzz-seed"), option("--fuzz-keep")
        campaign = fuzz(family, name, tmp_path, seed=seed, keep=keep, **limit)
        print(f"{name}: {campaign.n_inputs} inputs, {campaign.n_refused} refused")
        if campaign.of_libraries:
            print("of HDF5 itself:", *campaign.of_libraries, sep="\n\n")
        assert campaign.findings == [], "\n\n".join(campaign.findings)
        assert campaign.n_refused > 0

    return call
