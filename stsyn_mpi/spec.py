"""The one syntax for named choices: ``name:key=value,key=value``.

Delay laws, partitions, models, schedules and faults are all written this way.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from stsyn_mpi.errors import InputError

_UNIT_SECONDS = {
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}
_DURATION = re.compile(r"([0-9]*\.?[0-9]+(?:e[+-]?[0-9]+)?)\s*([a-z]*)")
# Beside hours, minutes end at 59; 90:00 are minutes and seconds.
_CLOCK = re.compile(
    r"(?:([0-9]+):(?=[0-5]?[0-9]:))?([0-9]{1,2}):([0-5]?[0-9](?:\.[0-9]+)?)"
)
_MOST_CHARACTERS = 100
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")


@dataclass(frozen=True)
class Spec:
    """A parsed ``name:key=value,...``; a bare ``key`` has the empty value."""

    name: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    def check_keys(self, allowed: Iterable[str]) -> None:
        """Refuse parameters that ``name`` does not have.

        Raises
        ------
        InputError
            Naming the first unknown parameter, the allowed ones, and the nearest.
        """
        allowed = tuple(allowed)
        for key in self.parameters:
            if key not in allowed:
                listing = f"it takes {', '.join(allowed)}" if allowed else "it has none"
                raise InputError(
                    f"{self.name!r} has no parameter {key!r}: {listing}"
                    f"{nearest(key, allowed)}"
                )

    def number(self, key: str, default: float | None = None) -> float:
        """Return parameter ``key`` as a finite float.

        Raises
        ------
        InputError
            If it is no finite number, or missing without a default.
        """
        return self._number(key, default, "0.5")

    def whole(self, key: str, default: int | None = None, minimum: int = 0) -> int:
        """Return parameter ``key`` as a whole number of at least ``minimum``.

        Raises
        ------
        InputError
            If it is no such number, or missing without a default.
        """
        value = self._number(key, default, str(max(minimum, 1)))
        if value != int(value) or value < minimum:
            raise InputError(
                f"{self._where(key)} must be a whole number >= {minimum}, "
                f"got {self.parameters.get(key, value)!r}"
            )
        return int(value)

    def duration(self, key: str, default: float | None = None) -> float:
        """Return parameter ``key`` in seconds, see `parse_duration`."""
        text = self._text(key, default, "20ms")
        return (
            text if isinstance(text, float) else parse_duration(text, self._where(key))
        )

    def choice(self, key: str, allowed: Iterable[str], default: str) -> str:
        """Return parameter ``key``, one of ``allowed``.

        Raises
        ------
        InputError
            If it is none of them, with the nearest.
        """
        return choose(self.parameters.get(key, default), allowed, self._where(key))

    def _where(self, key: str) -> str:
        return f"{key} of {self.name!r}"

    def _number(self, key: str, default: float | None, example: str) -> float:
        text = self._text(key, default, example)
        return text if isinstance(text, float) else parse_number(text, self._where(key))

    def _text(self, key: str, default: float | None, example: str) -> str | float:
        if text := self.parameters.get(key):
            return text
        as_in = f"as in {self.name}:{key}={example}"
        if key in self.parameters:
            raise InputError(f"{self._where(key)} needs a value, {as_in}")
        if default is None:
            raise InputError(f"{self.name!r} needs {key}=..., {as_in}")
        return float(default)


def parse_spec(text: str, where: str = "specification") -> Spec:
    """Parse ``name`` or ``name:key=value,flag,...``.

    Parameters
    ----------
    text : str
        The text as the user wrote it.
    where : str
        What the text is, for the message (``--delay``, ``key 'model'``).

    Raises
    ------
    InputError
        If a name or key is missing, malformed or given twice.
    """
    name, colon, rest = text.strip().partition(":")
    if not _NAME.fullmatch(name):
        raise InputError(f"{where} {text!r}: expected name or name:key=value,key=value")
    parameters: dict[str, str] = {}
    for part in rest.split(",") if colon else ():
        key, _, value = part.partition("=")
        key, value = key.strip(), value.strip()
        if not _NAME.fullmatch(key) or ("=" in part and not value):
            raise InputError(f"{where} {text!r}: {part!r} is not key=value")
        if key in parameters:
            raise InputError(f"{where} {text!r}: {key!r} is given twice")
        parameters[key] = value
    return Spec(name, parameters)


def parse_number(text: str, where: str = "number") -> float:
    """Parse a finite number.

    Raises
    ------
    InputError
        If the text is no finite number.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{where} must be a finite number, got {text!r}")
    return value


def parse_duration(text: str | float, where: str = "duration") -> float:
    """Parse a duration: ``20ms``, ``2s``, ``1.5``, ``10m``, ``1h``, ``02:00:00``.

    Returns
    -------
    float
        Seconds, finite and not negative; a bare number means seconds.

    Raises
    ------
    InputError
        If the text is none of these forms.
    """
    word = str(text).strip().lower()
    seconds = math.nan
    # The patterns take a time that grows with the square of a long row of digits.
    word = word if len(word) <= _MOST_CHARACTERS else ""
    if match := _DURATION.fullmatch(word):
        unit = _UNIT_SECONDS.get(match[2] or "s", math.nan)
        seconds = float(match[1]) * unit
    elif match := _CLOCK.fullmatch(word):
        seconds = float(match[1] or 0) * 3600 + float(match[2]) * 60 + float(match[3])
    if not math.isfinite(seconds):
        raise InputError(
            f"{where} must be a duration such as 20ms, 2s, 1.5, 10m, 1h or 02:00:00, "
            f"got {text!r}"
        )
    return seconds


def choose(word: str, allowed: Iterable[str], where: str) -> str:
    """Return ``word`` if it is one of ``allowed``.

    Raises
    ------
    InputError
        Naming the word, the allowed ones, and the nearest.
    """
    allowed = tuple(allowed)
    if word in allowed:
        return word
    raise InputError(
        f"unknown {where} {word!r}: allowed are {', '.join(allowed)}"
        f"{nearest(word, allowed)}"
    )


def nearest(word: str, allowed: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for a near miss, else the empty text.

    Capitals make no difference to it.
    """
    names = {name.casefold(): name for name in allowed}
    found = difflib.get_close_matches(word.casefold(), names, n=1, cutoff=0.5)
    return f" (did you mean {names[found[0]]!r}?)" if found else ""
