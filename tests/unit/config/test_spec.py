import math

import pytest

from stsyn_mpi.errors import InputError
from stsyn_mpi.simulation.delays import parse_delay
from stsyn_mpi.spec import Spec, choose, nearest, parse_duration, parse_spec


def test_name_alone():
    assert parse_spec("iid") == Spec("iid", {})


def test_parameters_and_bare_keys():
    spec = parse_spec(" raise:root, round=3 ")
    assert (spec.name, spec.parameters) == ("raise", {"root": "", "round": "3"})


@pytest.mark.parametrize(
    "text", ["", ":a=1", "x:", "x:=3", "x:a=", "x:a=1,a=2", "x:a=1,,b=2", "a b"]
)
def test_malformed_texts_are_refused(text):
    with pytest.raises(InputError):
        parse_spec(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("20ms", 0.02),
        ("2s", 2),
        ("1.5", 1.5),
        ("10m", 600),
        ("1h", 3600),
        ("02:00:00", 7200),
        ("1:30", 90),
        ("90:00", 5400),
        ("100:59:59.5", 363_599.5),
        ("5us", 5e-6),
        (".5 s", 0.5),
        ("1e-3", 1e-3),
        (3, 3),
    ],
)
def test_durations(text, seconds):
    assert parse_duration(text) == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize(
    "text",
    [
        *("", "s", "-1s", "20x", "nan", "inf", "1:2:3:4", "1e999"),
        *("25:61:00", "1:60:00", "1:00:60", "10:60", "1:000:00", ":10:00"),
    ],
)
def test_what_is_no_duration_is_refused_by_name(text):
    with pytest.raises(InputError, match="--time-limit must be a duration") as caught:
        parse_duration(text, "--time-limit")
    assert repr(text) in str(caught.value)


def test_nearest_names_a_near_miss_only():
    assert nearest("exponental", ["none", "exponential"]) == (
        " (did you mean 'exponential'?)"
    )
    assert nearest("zzz", ["none", "exponential"]) == ""


def test_choose_lists_what_is_allowed():
    assert choose("a", ["a", "b"], "letter") == "a"
    with pytest.raises(InputError, match="unknown letter 'c': allowed are a, b"):
        choose("c", ["a", "b"], "letter")


def test_values_are_typed_and_named_when_wrong():
    spec = parse_spec("law:mean=20ms,shape=1.5,n=3,mode=x,bad=1.5")
    assert spec.duration("mean") == pytest.approx(0.02)
    assert spec.number("shape") == 1.5
    assert spec.whole("n") == 3
    assert spec.whole("absent", 7) == 7
    assert math.isclose(spec.duration("absent", 0.5), 0.5)
    with pytest.raises(InputError, match="bad of 'law' must be a whole number"):
        spec.whole("bad")
    with pytest.raises(InputError, match="n of 'law' must be a whole number >= 4"):
        spec.whole("n", minimum=4)
    with pytest.raises(InputError, match="'law' needs absent="):
        spec.number("absent")
    with pytest.raises(InputError, match="unknown mode of 'law' 'x': allowed are y"):
        spec.choice("mode", ["y"], "y")


def test_unknown_parameters_are_refused_with_the_nearest():
    with pytest.raises(InputError, match=r"no parameter 'maen'.*did you mean 'mean'"):
        parse_spec("law:maen=1").check_keys(["mean", "scope"])


def test_a_refusal_is_one_line_whatever_is_refused():
    with pytest.raises(InputError) as refusal:
        parse_delay("trace:file=run\n\n\u2028.h5", 0, None)
    assert len(str(refusal.value).splitlines()) == 1
