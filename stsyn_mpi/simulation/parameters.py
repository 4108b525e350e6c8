"""The parameters of delay laws: names, defaults and ranges, read from a spec."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from stsyn_mpi.errors import InputError
from stsyn_mpi.spec import Spec


class Documented(Protocol):
    """What the documentation says of a parameter."""

    @property
    def name(self) -> str:
        """The parameter as the user writes it."""

    @property
    def words(self) -> str:
        """What is allowed, and what holds where the user says nothing."""


@dataclass(frozen=True)
class Parameter:
    """A number with a default and a closed range.

    Attributes
    ----------
    name : str
        As the user writes it.
    default : float
        Its value where the user says nothing.
    low, high : float
        The least and the greatest value; ``high`` may be infinite.
    is_above_low : bool
        True where ``low`` itself is not allowed.
    below : str
        What is wrong with less, where that needs to be said.
    """

    name: str
    default: float
    low: float
    high: float = math.inf
    is_above_low: bool = False
    below: str = ""

    @property
    def default_words(self) -> str:
        """The default as messages and documentation give it."""
        return f"{self.default:g}"

    @property
    def words(self) -> str:
        """Range and default as the documentation gives them."""
        return f"{self.range_words}, default {self.default_words}"

    @property
    def range_words(self) -> str:
        """The range as messages and documentation give it."""
        if math.isfinite(self.high):
            return f"{self.low:g} to {self.high:g}"
        return f"{'above' if self.is_above_low else 'at least'} {self.low:g}"

    def read(self, spec: Spec) -> float:
        """Return the parameter's value in ``spec``.

        Raises
        ------
        InputError
            If it is no number of the range.
        """
        value = spec.number(self.name, self.default)
        is_low = value <= self.low if self.is_above_low else value < self.low
        if is_low or value > self.high:
            why = f": {self.below}" if is_low and self.below else ""
            raise InputError(
                f"{self.name} of {spec.name!r} must be {self.range_words}, "
                f"got {value:g}{why}"
            )
        return value


@dataclass(frozen=True)
class PartOfMean:
    """A duration from 0 to the mean.

    Attributes
    ----------
    name : str
        As the user writes it.
    default_share : float
        The default in means.
    """

    name: str
    default_share: float

    @property
    def default_words(self) -> str:
        """The default as messages and documentation give it."""
        return f"{self.default_share:g} mean" if self.default_share else "0"

    @property
    def words(self) -> str:
        """Range and default as the documentation gives them."""
        return f"{self.range_words}, default {self.default_words}"

    @property
    def range_words(self) -> str:
        """The range as messages and documentation give it."""
        return "0 to the mean"

    def read(self, spec: Spec, mean: float) -> float:
        """Return the parameter's value (s) in ``spec``, with a mean of ``mean`` (s).

        Raises
        ------
        InputError
            If it is no duration, or longer than the mean.
        """
        value = spec.duration(self.name, self.default_share * mean)
        if value > mean:
            raise InputError(
                f"{self.name} of {spec.name!r} must be {self.range_words} "
                f"({mean:g} s), got {value:g} s"
            )
        return value


@dataclass(frozen=True)
class OneOf:
    """A choice among words.

    Attributes
    ----------
    name : str
        As the user writes it.
    default : str
        What holds where the user says nothing.
    allowed : tuple of str
        The words.
    """

    name: str
    default: str
    allowed: tuple[str, ...]

    @property
    def words(self) -> str:
        """Choice and default as the documentation gives them."""
        return f"{', '.join(self.allowed)}, default {self.default}"

    def read(self, spec: Spec) -> str:
        """Return the word in ``spec``; raises `InputError` if it is none of them."""
        return spec.choice(self.name, self.allowed, self.default)


@dataclass(frozen=True)
class RunFileName:
    """The name of a run file, which must be given.

    Attributes
    ----------
    name : str
        As the user writes it.
    """

    name: str

    @property
    def words(self) -> str:
        """What is allowed."""
        return "a run file, needed"

    def read(self, spec: Spec) -> Path:
        """Return the path in ``spec``; raises `InputError` if there is none."""
        path = spec.parameters.get(self.name)
        if not path:
            raise InputError(
                f"{spec.name!r} needs {self.name}=..., the name of a run file"
            )
        return Path(path)
