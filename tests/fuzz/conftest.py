"""How long the readers are fed: quick and always alike, or `make fuzz`."""

from pathlib import Path

import pytest
from fuzzing import default_seed, fuzz

SEED_OF_TESTS = 20261125


def pytest_addoption(parser):
    group = parser.getgroup("fuzz")
    group.addoption("--fuzz-seconds", type=float, help="feed each target so long")
    group.addoption("--fuzz-seed", type=int, help="of the inputs; drawn by default")
    group.addoption("--fuzz-keep", type=Path, help="folder for inputs that are found")


def pytest_configure(config):
    """Draw one seed for all processes."""
    if config.getoption("--fuzz-seconds") and config.getoption("--fuzz-seed") is None:
        config.option.fuzz_seed = default_seed()


def pytest_report_header(config):
    if config.getoption("--fuzz-seconds"):
        keep, seed = config.getoption("--fuzz-keep"), config.option.fuzz_seed
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
    seconds = pytestconfig.getoption("--fuzz-seconds")
    limits = {"seed": SEED_OF_TESTS}
    if seconds:
        keep = pytestconfig.getoption("--fuzz-keep")
        limits = {"seed": pytestconfig.option.fuzz_seed, "seconds": seconds}
        limits["keep"] = keep

    def call(family, name, n_inputs):
        options = limits if seconds else {**limits, "n_inputs": n_inputs}
        campaign = fuzz(family, name, tmp_path, **options)
        print(f"{name}: {campaign.n_inputs} inputs, {campaign.n_refused} refused")
        if campaign.of_libraries:
            print("of HDF5 itself:", *campaign.of_libraries, sep="\n\n")
        assert campaign.findings == [], "\n\n".join(campaign.findings)
        assert campaign.n_refused > 0

    return call
