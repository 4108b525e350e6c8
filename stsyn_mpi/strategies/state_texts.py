"""Rows of numbers in the state of a scheme, which holds numbers and texts only."""

from collections.abc import Iterable, Mapping


def as_text(values: Iterable[float]) -> str:
    """Return numbers as a text from which `numbers_of` makes the same again."""
    return " ".join(map(repr, values))


def as_texts(rows: Mapping[str, Iterable[float]]) -> dict[str, str]:
    """Return named rows of numbers as texts."""
    return {name: as_text(values) for name, values in rows.items()}


def numbers_of(text: int | float | str) -> list[float]:
    """Return the numbers of a text.

    Raises
    ------
    ValueError
        If one of its words is no number.
    """
    return [float(word) for word in str(text).split()]
