"""The delay laws: their means, variances, tails, and how they are drawn."""

import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
from scipy.integrate import quad

from stsyn_mpi.rng import KeyedUniforms, Purpose
from stsyn_mpi.simulation.delays import LAWS, parse_delay

SMOOTH = (
    "exponential:mean=20ms",
    "shifted-exponential:mean=20ms",
    "shifted-exponential:mean=20ms,shift=15ms",
    "gamma:mean=20ms",
    "gamma:mean=20ms,shape=0.5",
    "lognormal:mean=20ms",
    "lognormal:mean=20ms,sigma=0.3",
    "weibull:mean=20ms",
    "weibull:mean=20ms,shape=3",
    "pareto:mean=20ms,shape=5",
    "uniform:mean=20ms",
    "uniform:mean=20ms,low=15ms",
)
STEPPED = ("bimodal:mean=20ms", "bimodal:mean=20ms,slow_share=0.3,slowdown=4")
MARKOV = "markov:mean=20ms"
DEGENERATE = (
    "shifted-exponential:mean=20ms,shift=20ms",
    "lognormal:mean=20ms,sigma=0",
    "uniform:mean=20ms,low=20ms",
    "bimodal:mean=20ms,slow_share=0",
    "bimodal:mean=20ms,slow_share=1",
    "bimodal:mean=20ms,slowdown=1",
)


def law_of(text, seed=3):
    return parse_delay(text, seed, n_workers=None)


def moment(quantile, power):
    """Integral of quantile(u)^power, by u = 1 - exp(-t): the tail is then smooth."""

    def integrand(t):
        return quantile(-math.expm1(-t)) ** power * math.exp(-t)

    pieces = [(0, 1e-6), (1e-6, 1e-3), (1e-3, 1), (1, 5), (5, 15), (15, 36)]
    return sum(quad(integrand, *piece, limit=200)[0] for piece in pieces)


def test_every_law_is_tested_here():
    tested = {
        text.partition(":")[0] for text in (*SMOOTH, *STEPPED, *DEGENERATE, MARKOV)
    }
    # The trace law has a file of its own.
    assert tested | {"none", "constant", "trace"} == set(LAWS)


@pytest.mark.parametrize("text", SMOOTH)
def test_mean_and_variance_are_the_integrals_of_the_quantile_function(text):
    law = law_of(text)
    quantile = law.distribution.quantile
    assert law.mean == 0.02
    assert moment(quantile, 1) == pytest.approx(0.02, rel=1e-6)
    square = law.variance + law.mean**2
    assert moment(quantile, 2) == pytest.approx(square, rel=1e-5)


@pytest.mark.parametrize("text", STEPPED)
def test_mean_and_variance_of_two_values(text):
    law = law_of(text)
    # A midpoint rule is exact where no jump lies within a cell.
    drawn = law.distribution.quantile((np.arange(1000) + 0.5) / 1000)
    assert law.mean == 0.02
    assert np.mean(drawn) == pytest.approx(0.02, rel=1e-12)
    assert np.var(drawn) == pytest.approx(law.variance, rel=1e-12)
    assert len(np.unique(drawn)) == 2


@pytest.mark.parametrize("text", [*SMOOTH, *STEPPED])
def test_mean_of_the_draws(text):
    law = law_of(text, seed=11)
    drawn = [law.draw(m, j, i) for m, j, i in np.ndindex(4, 20, 30)]
    error = math.sqrt(law.variance / len(drawn))
    assert abs(np.mean(drawn) - 0.02) < 4 * error


@pytest.mark.parametrize("text", DEGENERATE)
def test_degenerate_laws_are_constant(text):
    law = law_of(text)
    assert law.mean == 0.02
    assert law.variance == 0
    drawn = [law.distribution.quantile(u) for u in (0.0, 0.3, 1 - 2**-53)]
    assert drawn == pytest.approx([0.02] * 3, rel=1e-12)


@pytest.mark.parametrize(("text", "mean"), [("none", 0), ("constant:mean=20ms", 0.02)])
def test_laws_without_chance(text, mean):
    law = parse_delay(text, seed=0, n_workers=4)
    assert (law.mean, law.variance) == (mean, 0)
    assert {law.draw(m, j, i) for m in (0, 3) for j in (0, 9) for i in (0, 5)} == {mean}


@pytest.mark.parametrize("text", [*SMOOTH, *STEPPED, "pareto:mean=20ms"])
def test_quantiles_rise_from_least_to_greatest_uniform(text):
    quantile = law_of(text).distribution.quantile
    uniforms = [0.0, 2**-53, 1e-9, *np.linspace(0.001, 0.999, 200), 1 - 2**-53]
    drawn = [quantile(float(u)) for u in uniforms]
    assert all(math.isfinite(delay) for delay in drawn)
    assert drawn[0] >= 0
    assert drawn == sorted(drawn)


def test_pareto_is_of_type_one():
    law = law_of("pareto:mean=30ms,shape=1.5")
    x_min = 0.01
    drawn = np.array([law.draw(m, j, i) for m, j, i in np.ndindex(4, 20, 50)])
    assert law.distribution.quantile(0.0) == pytest.approx(x_min)
    # Of the Lomax law of that mean, half the draws would be below x_min.
    assert drawn.min() >= x_min
    for tail in (0.5, 0.1, 0.01):
        x = law.distribution.quantile(1 - tail)
        assert (x_min / x) ** 1.5 == pytest.approx(tail)
    assert law.mean == 0.03
    assert law.variance == math.inf
    assert moment(law.distribution.quantile, 1) == pytest.approx(0.03, rel=1e-4)


def test_erlang_and_exponential_are_gamma_laws():
    gamma = law_of("gamma:mean=20ms,shape=1").distribution.quantile
    assert gamma(0.7) == pytest.approx(-0.02 * math.log(0.3), rel=1e-12)


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        (
            "exponential:mean=20ms,factors=1/3",
            ["0x1.2b3809ed5f218p-7", "0x1.242a5cf4f66dcp-5", "0x1.ba308812a4258p-5"],
        ),
        (
            "exponential:mean=20ms,scope=per-round",
            ["0x1.2b3809ed5f218p-7", "0x1.c37930df0e738p-8", "0x1.8b35c57c019e4p-7"],
        ),
        (
            "markov:mean=20ms,slow_share=0.5",
            ["0x1.1004661d9c4d0p-6", "0x1.6223d58603e9dp-6", "0x1.0bfe61fbc854dp-5"],
        ),
    ],
)
def test_draws_stay_what_they_were(text, drawn):
    law = parse_delay(text, seed=7, n_workers=2)
    now = [law.draw(*key) for key in ((0, 0, 0), (1, 2, 3), (1, 50, 4))]
    # The last bits belong to the machine's log1p.
    assert now == pytest.approx([float.fromhex(x) for x in drawn], rel=1e-14)


FACTORS = ",factors=1/3/1/0.5/1/2/7"
ALL = ("none", "constant:mean=20ms", *SMOOTH, *STEPPED, "pareto:mean=20ms", MARKOV)


@pytest.mark.parametrize("scope", ["", ",scope=per-round"])
@pytest.mark.parametrize("text", ALL)
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 7, 4), (2, 5, 10), (4, 1, 3)])
def test_blocks_of_draws_are_the_draws(text, scope, shape):
    text += f"{scope}{FACTORS}" if ":" in text else ":factors=1/3/1/0.5/1/2/7"
    one, many = law_of(text), law_of(text)
    for first_round in (0, 5, 5 + shape[0], 2):
        block = many.draw_rounds(first_round, *shape)
        assert block.shape == shape
        assert block.dtype == np.float64
        expected = [one.draw(m, first_round + j, i) for j, m, i in np.ndindex(shape)]
        assert block.ravel().tolist() == expected


@pytest.mark.parametrize("scope", ["", ",scope=per-round"])
@pytest.mark.parametrize("text", [*SMOOTH, *STEPPED, MARKOV])
def test_updates_of_one_worker_are_the_draws(text, scope):
    law = law_of(text + scope + FACTORS)
    for first, n in [(0, 0), (0, 1), (0, 10), (3, 1), (3, 2), (7, 9), (8, 4)]:
        drawn = law.draw_updates(6, 3, first, n)
        assert drawn.dtype == np.float64
        assert drawn.tolist() == [law.draw(6, 3, first + i) for i in range(n)]


@pytest.mark.parametrize("text", [*SMOOTH, MARKOV])
def test_what_a_law_returns_may_be_overwritten(text):
    for scope in ("per-update", "per-round"):
        law = law_of(f"{text},scope={scope}")
        before = law.draw_rounds(0, 2, 3, 4), law.draw_updates(1, 0, 0, 4)
        for drawn in (law.draw_rounds(0, 2, 3, 4), law.draw_updates(1, 0, 0, 4)):
            drawn[...] = -1
        assert (law.draw_rounds(0, 2, 3, 4) == before[0]).all()
        assert (law.draw_updates(1, 0, 0, 4) == before[1]).all()


@pytest.mark.parametrize("text", [*SMOOTH, *STEPPED])
def test_draws_are_quantiles_of_the_uniform_of_their_key(text):
    law = law_of(text, seed=5)
    uniforms = KeyedUniforms(5, Purpose.DELAY).of_updates(2, 3, 4, 2)
    drawn = [law.draw(2, 3, 4), law.draw(2, 3, 5)]
    assert drawn == law.distribution.quantile(uniforms).tolist()


@pytest.mark.parametrize("text", [*SMOOTH, *STEPPED, MARKOV])
def test_draws_do_not_depend_on_their_order(text):
    keys = list(itertools.product(range(3), range(6), range(3)))
    ordered, shuffled = law_of(text), law_of(text)
    first = {key: ordered.draw(*key) for key in keys}
    np.random.default_rng(1).shuffle(keys)
    assert {tuple(key): shuffled.draw(*key) for key in keys} == first


@pytest.mark.parametrize("text", [*SMOOTH, *STEPPED, MARKOV])
def test_factors_scale_the_very_same_draws(text):
    plain = parse_delay(text, seed=3, n_workers=2)
    scaled = parse_delay(f"{text},factors=1/4", seed=3, n_workers=2)
    assert scaled.mean == plain.mean
    for round_index in range(20):
        assert scaled.draw(0, round_index, 2) == plain.draw(0, round_index, 2)
        assert scaled.draw(1, round_index, 2) == 4 * plain.draw(1, round_index, 2)


@pytest.mark.parametrize("text", [*SMOOTH, MARKOV])
def test_per_round_draws_once_for_all_updates_of_a_round(text):
    law = law_of(f"{text},scope=per-round")
    assert law.scope == "per-round"
    assert len({law.draw(1, 5, i) for i in range(10)}) == 1
    assert len({law.draw(m, j, 0) for m in range(3) for j in range(3)}) == 9
    assert law.draw(1, 5, 7) == law_of(text).draw(1, 5, 0)


@pytest.mark.parametrize("text", [*SMOOTH, MARKOV])
def test_per_update_draws_for_each(text):
    law = law_of(text)
    assert law.scope == "per-update"
    assert len({law.draw(1, 5, i) for i in range(10)}) == 10


def test_only_laws_that_need_scipy_load_it():
    without = ("none", "gamma", "lognormal", "trace")
    others = [f"{name}:mean=1" for name in LAWS if name not in without]
    program = (
        "import sys; from stsyn_mpi.simulation.delays import parse_delay\n"
        f"for text in {others}: parse_delay(text, 0, None).draw(0, 3, 2)\n"
        "assert 'scipy' not in sys.modules\n"
        "parse_delay('gamma:mean=1', 0, None)\n"
        "assert 'scipy.special' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
