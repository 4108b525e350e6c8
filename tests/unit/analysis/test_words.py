import pytest

from stsyn_mpi.analysis.words import (
    abridged,
    counted,
    drawable,
    printable,
    share_words,
    time_unit,
    time_words,
)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "0 s"),
        (3.21e-6, "3.21 µs"),
        (0.0009994, "999 µs"),
        (0.0009999, "1 ms"),
        (0.2346, "235 ms"),
        (0.9999, "1 s"),
        (59.96, "60 s"),
        (599.0, "599 s"),
        (5400.0, "90 min"),
        (36_000.0, "10.0 h"),
        (3.6e7, "10,000.0 h"),
        (None, "not recorded"),
        (float("nan"), "not recorded"),
    ],
)
def test_times_have_a_unit_that_suits_them(seconds, words):
    assert time_words(seconds) == words


@pytest.mark.parametrize(
    ("largest", "unit"),
    [(0.0, "µs"), (0.001, "µs"), (0.3, "ms"), (90.0, "s"), (9e3, "min"), (1e6, "h")],
)
def test_axes_have_a_unit_that_suits_them(largest, unit):
    factor, found = time_unit(largest)
    assert found == unit
    assert largest * factor < 10_000


def test_shares_keep_what_is_small():
    assert share_words(1, 3) == "33.3 %"
    assert share_words(1, 3000) == "0.033 %"
    assert share_words(0, 1) == "0 %"
    assert share_words(1, 0) == ""


def test_texts_steer_nothing_and_are_bounded():
    assert printable("a\x1b[2J\nb") == "a?[2J?b"
    assert printable("x" * 999) == "x" * 599 + "…"
    assert len(printable("x" * 999, 20)) == 20
    assert drawable("$a$") == r"\$a\$"
    assert drawable("_a") == " _a"


def test_of_a_long_text_the_end_is_kept():
    text = abridged("begin " + "1/" * 999 + " end", 40)
    assert len(text) == 40
    assert text.startswith("begin 1/1/")
    assert text.endswith("1/ end")
    assert abridged("short") == "short"
    assert abridged("x" * 900, 1200) == "x" * 900


def test_what_is_counted_is_one_or_more():
    assert [counted(n, "round") for n in (0, 1, 2000)] == [
        "0 rounds",
        "1 round",
        "2,000 rounds",
    ]
