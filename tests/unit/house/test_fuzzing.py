"""Fuzzing sees what it is there to see, keeps the input, and goes on."""

import fuzzing
import harmful_targets
import pytest

SAID = {
    "crash": "the process ended with -11",
    "loop": "the process ended with -27",
    "fill": "MiB",
    "complain": "more than a line",
    "leak": "KeyError: 'x'",
}


@pytest.mark.parametrize("name", SAID)
def test_harm_is_seen(tmp_path, name):
    folder, keep = tmp_path / "work", tmp_path / "keep"
    campaign = fuzzing.fuzz(
        harmful_targets.__file__, name, folder, seed=5, n_inputs=6, keep=keep
    )
    assert len(campaign.findings) == 1
    assert campaign.findings[0].startswith(f"{name}, seed 5, input 3: ")
    assert SAID[name] in campaign.findings[0]
    assert (campaign.n_inputs, campaign.n_refused) == (5, 5)
    kept = keep / f"{name}-5-3"
    assert (kept / "input").read_text().startswith(f"{harmful_targets.HARMLESS} ")
    assert SAID[name] in (kept / "finding.txt").read_text()


@pytest.mark.parametrize(
    ("problem", "is_libraries"),
    [
        ("the process ended with -11: Fatal Python error", False),
        (
            "the process ended with -27: (most recent call first):\n"
            '  File "/x/h5py/_hl/attrs.py", line 77\n  File "/y/reader.py", line 1',
            True,
        ),
        (
            "the process ended with -27: (most recent call first):\n"
            '  File "/y/reader.py", line 1\n  File "/x/h5py/_hl/attrs.py", line 77',
            False,
        ),
        ('Traceback (most recent call last):\n  File "/x/h5py/_hl/a.py"', False),
    ],
)
def test_what_is_hdf5s_own(problem, is_libraries):
    assert fuzzing._in_hdf5(problem) is is_libraries
