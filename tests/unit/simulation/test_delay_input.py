"""What users write for --delay, what they read about it, and what is refused."""

import re
from pathlib import Path

import pytest
from synthetic_run import write_run

from stsyn_mpi.config import TrainConfig
from stsyn_mpi.errors import InputError
from stsyn_mpi.simulation.delays import LAWS, parse_delay
from stsyn_mpi.spec import parse_spec

PAGE = (Path(__file__).parents[3] / "docs" / "delays.md").read_text()
ROW = re.compile(r"^\| `([a-z-]+)` \|(.*)\|(.*)\|(.*)\| `(.*)` \|$", re.MULTILINE)
ROWS = {match[1]: match for match in ROW.finditer(PAGE)}


def test_the_page_has_one_row_for_every_law():
    assert len(ROW.findall(PAGE)) == len(ROWS)
    assert ROWS.keys() == LAWS.keys()


@pytest.mark.parametrize("name", LAWS)
def test_documented_parameters_are_those_of_the_law(name):
    documented = [part.strip() for part in ROWS[name][2].split(";")]
    assert [part for part in documented if part] == [
        f"`{p.name}`: {p.words}" for p in LAWS[name].parameters
    ]


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """A folder with the run file that the page's example of a trace names."""
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "runs" / "stsyn.h5", n_rounds=2, n_workers=4, wait_for=2)


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.usefixtures("recorded")
def test_documented_examples_parse(name):
    example = ROWS[name][5]
    assert example.partition(":")[0] == name
    for parameter in LAWS[name].parameters:
        assert f"{parameter.name}=" in example
    law = parse_delay(example, seed=0, n_workers=4)
    if name != "trace":
        assert law.mean == (0.02 if LAWS[name].has_mean else 0.0)
    TrainConfig(delay=example).validate()


def test_the_documented_command_parses():
    text, again = re.findall(r"--delay (\S+=\S+)\n", PAGE)
    assert parse_delay(text, seed=0, n_workers=4).draw(3, 0, 0) > 0
    assert parse_spec(again).name == "trace"


@pytest.mark.parametrize("name", [name for name in LAWS if name != "trace"])
def test_a_default_is_what_it_says(name):
    written = {
        "0.5 mean": "10ms",
    }
    own = [
        f"{p.name}={written.get(p.default_words, p.default_words)}"
        for p in LAWS[name].parameters
    ]
    plain = f"{name}:mean=20ms" if LAWS[name].has_mean else name
    law, spelt = (
        parse_delay(text, 0, None) for text in (plain, ",".join((plain, *own)))
    )
    keys = [(0, 0, 0), (1, 2, 3), (2, 30, 1)]
    assert [law.draw(*key) for key in keys] == [spelt.draw(*key) for key in keys]


@pytest.mark.parametrize("name", [name for name in LAWS if LAWS[name].has_mean])
@pytest.mark.parametrize("mean", ["0", "1e-9", "1e200"])
def test_any_duration_is_a_mean(name, mean):
    law = parse_delay(f"{name}:mean={mean}", seed=0, n_workers=None)
    assert law.mean == float(mean)
    assert law.variance >= 0
    assert (law.draw(0, 1, 2) > 0) == (law.mean > 0)


def test_factors_of_many_workers():
    text = "constant:mean=1,factors=3990*1/10*4/0.5"
    law = parse_delay(text, seed=0, n_workers=4001)
    drawn = [law.draw(worker, 0, 0) for worker in (0, 3989, 3990, 3999, 4000)]
    assert drawn == [1, 1, 4, 4, 0.5]
    assert law.draw_rounds(0, 1, 4001, 1).sum() == 3990 + 40 + 0.5


def test_factors_beyond_any_run_are_refused():
    with pytest.raises(InputError, match="at most 10000000 workers, got 999999999"):
        parse_delay("constant:mean=1,factors=999999999*4", seed=0, n_workers=None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("exponental:mean=1", "did you mean 'exponential'"),
        ("shifted_exponential:mean=1", "did you mean 'shifted-exponential'"),
        ("weibul:mean=1", "unknown delay law 'weibul': .*did you mean 'weibull'"),
        ("lognormal:mean=1,sigmas=1", "no parameter 'sigmas': .*mean 'sigma'"),
        ("markov:mean=1,slow-share=0.1", "did you mean 'slow_share'"),
        ("pareto:mean=1,sigma=1", "it takes mean, shape, scope, factors"),
        ("none:mean=1", "has no parameter 'mean'"),
        ("exponential", "needs mean="),
        ("markov:slow_share=0.2", "'markov' needs mean="),
        ("exponential:mean=-1", "mean of 'exponential' must be a duration"),
        ("gamma:mean=1,shape=x", "shape of 'gamma' must be a finite number"),
        ("gamma:mean=1,shape=nan", "shape of 'gamma' must be a finite number"),
        ("gamma:mean=1,shape=0", "shape of 'gamma' must be 0.1 to 1000, got 0$"),
        ("weibull:mean=1,shape=1e4", "'weibull' must be 0.1 to 1000, got 10000$"),
        ("lognormal:mean=1,sigma=-1", "sigma of 'lognormal' must be 0 to 5, got -1"),
        (
            "pareto:mean=1,shape=1",
            "shape of 'pareto' must be above 1, got 1: up to 1 the mean is infinite$",
        ),
        (
            "shifted-exponential:mean=1,shift=2s",
            r"shift of 'shifted-exponential' must be 0 to the mean \(1 s\), got 2 s",
        ),
        ("uniform:mean=1,low=-1", "low of 'uniform' must be a duration"),
        ("uniform:mean=1,low=3", r"low of 'uniform' must be 0 to the mean \(1 s\)"),
        ("bimodal:mean=1,slow_share=1.5", "slow_share of 'bimodal' must be 0 to 1, "),
        ("bimodal:mean=1,slowdown=0.5", "slowdown of 'bimodal' must be 1 to 1000"),
        ("markov:mean=1,slow_share=1", "slow_share of 'markov' must be 0 to 0.99"),
        ("markov:mean=1,slow_rounds=0", "slow_rounds of 'markov' must be 1 to 10000"),
        (
            "markov:mean=1,slow_share=0.9,slow_rounds=5",
            r"slow_rounds .* at least 1 / \(1 - slow_share\), here 10, got 5",
        ),
        ("constant:mean=1,scope=per-batch", "allowed are per-update, per-round"),
        ("constant:mean=1,factors=1/2", "3 workers, got 2"),
        ("constant:mean=1,factors=1/x/2", "factors of 'constant' must be a finite"),
        ("constant:mean=1,factors=2*1/2*4", "3 workers, got 4"),
        ("constant:mean=1,factors=0*1/3*4", "count from 1 on, got '0[*]1'"),
        ("constant:mean=1,factors=1/x*4", "count from 1 on, got 'x[*]4'"),
        ("constant:mean=1,factors=1/2*2*4", "count from 1 on, got '2[*]2[*]4'"),
        ("constant:mean=1,factors=1/2*", "must be a finite number, got ''"),
        ("constant:mean=1,factors=1/2*-4", "must not be negative, got -4"),
        ("constant:mean=1,factors=999999999*4", "3 workers, got 999999999"),
        ("markov:mean=1,factors=1/-1/2", "must not be negative, got -1"),
    ],
)
def test_bad_laws_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_delay(text, seed=0, n_workers=3)
