import math

import pytest

from stsyn_mpi.config import TrainConfig
from stsyn_mpi.errors import InputError
from stsyn_mpi.training.schedules import parse_schedule


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("constant", [0.4, 0.4, 0.4, 0.4]),
        ("step:every=2,factor=0.5", [0.4, 0.4, 0.2, 0.2]),
        ("linear", [0.4, 0.3, 0.2, 0.1]),
        ("cosine", [0.4, 0.2 * (1 + math.sqrt(0.5)), 0.2, 0.2 * (1 - math.sqrt(0.5))]),
        ("inverse-sqrt", [0.4, 0.4 / math.sqrt(2), 0.4 / math.sqrt(3), 0.2]),
    ],
)
def test_rates_by_round(text, expected):
    config = TrainConfig(lr=0.4, lr_schedule=text, rounds=4)
    schedule = parse_schedule(config.lr_schedule, config.lr, config.rounds)
    assert [schedule(j) for j in range(4)] == pytest.approx(expected)


@pytest.mark.parametrize("text", ["linear", "cosine"])
def test_rates_never_fall_below_zero(text):
    assert parse_schedule(text, 1.0, 4)(9) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cosin", "did you mean 'cosine'"),
        ("constant:every=2", "no parameter 'every'"),
        ("step:every=2", "needs factor="),
        ("step:every=2,factor=1.5", "factor of 'step' must be in 0 < x <= 1, got 1.5"),
        ("step:every=2,factor=0", "factor of 'step'"),
    ],
)
def test_bad_schedules_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_schedule(text, 1.0, 4)
