"""The parameters of delay laws: names, defaults and ranges, read from a spec."""

from __future__ import annotations

import math
from dataclasses import dataclass

from stsyn_mpi.errors import InputError
from stsyn_mpi.spec import Spec


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
    """

    name: str
    default: float
    low: float
    high: float = math.inf
    is_above_low: bool = False

    @property
    def default_words(self) -> str:
        """The default as messages and documentation give it."""
        return f"{self.default:g}"

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
            raise InputError(
                f"{self.name} of {spec.name!r} must be {self.range_words}, "
                f"got {value:g}"
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
