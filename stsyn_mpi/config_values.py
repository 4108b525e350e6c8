"""Typed values of configuration keys, whatever source they come from."""

from __future__ import annotations

import re
import reprlib
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stsyn_mpi.errors import InputError
from stsyn_mpi.spec import nearest, parse_duration


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read a flat TOML file; dashes in keys become underscores.

    Raises
    ------
    InputError
        If the file is missing, unreadable or not TOML, or a key comes twice.
    """
    try:
        table = tomllib.loads(_bounded_text(Path(path)))
    except OSError as error:
        raise InputError(
            f"configuration {str(path)!r}: {error.strerror or error}"
        ) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"configuration {str(path)!r} is not TOML: {error}") from None
    values = {key.replace("-", "_"): value for key, value in table.items()}
    if len(values) != len(table):
        raise InputError(
            f"configuration {str(path)!r}: a key is given with a dash and an underscore"
        )
    return values


def _bounded_text(path: Path) -> str:
    """Return a text that tomllib reads in bounded time and memory."""
    with path.open("rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise ValueError(f"it has more than {_MOST_BYTES} bytes")
    text = content.decode()
    # tomllib takes a time that grows with the square of the parts of a dotted key.
    if any(part.count(".") > _MOST_DOTS for part in _NO_DOTTED_KEY.split(text)):
        raise ValueError(f"a key has more than {_MOST_DOTS} dots")
    return text


def coerce_all(
    values: Mapping[str, Any],
    types: Mapping[str, str],
    where: str | None,
    command: str = "train",
) -> dict[str, Any]:
    """Check names and types of ``values``.

    Parameters
    ----------
    values : mapping
        Key to value as read.
    types : mapping
        Key to one of ``int``, ``float``, ``seconds``, ``bool``, ``str``, ``texts``,
        each perhaps with a question mark for "or nothing".
    where : str or None
        Where the values come from, for the message; None for flags and keywords.
    command : str
        Whose ``--help`` lists the keys.

    Raises
    ------
    InputError
        Naming the first unknown key or wrong type, and what is allowed.
    """
    for key in values:
        if key not in types:
            raise _unknown(key, types, where, command)
    return {key: _coerce(key, values[key], types[key], where) for key in values}


def _unknown(
    key: str, types: Mapping[str, str], where: str | None, command: str
) -> InputError:
    if where is None:
        return InputError(f"unknown option {key!r}{nearest(key, types)}")
    written = [name.replace("_", "-") for name in types]
    key = key.replace("_", "-")
    advice = nearest(key, written) or f": see stsyn-mpi {command} --help"
    return InputError(f"unknown key {key!r} in {where}{advice}")


def _coerce(key: str, value: Any, type_name: str, where: str | None) -> Any:
    if value is None and type_name.endswith("?"):
        return None
    kind = type_name.rstrip("?")
    try:
        return _CONVERTERS[kind](value)
    except (TypeError, InputError):
        name = key.replace("_", "-")
        said = f"--{name}" if where is None else f"{name} in {where}"
        raise InputError(f"{said} must be {_WORDS[kind]}, got {shown(value)}") from None


def shown(value: Any) -> str:
    """Return a value as a message shows it: cut where it is long or deep."""
    try:
        return _SHORT.repr(value)
    except ValueError:
        # Python writes no integers of thousands of digits, but TOML can hold them.
        return "a number of very many digits"


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError
    # Python cannot even say what number it is that has thousands of digits.
    if value.bit_length() > _MOST_BITS:
        raise TypeError
    return value


def _real(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    try:
        return float(value)
    except OverflowError:
        raise TypeError from None


def _seconds(value: Any) -> float:
    return parse_duration(value) if isinstance(value, str) else _real(value)


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list | tuple):
        raise TypeError
    return tuple(_text(item) for item in value)


_MOST_BITS, _MOST_BYTES, _MOST_DOTS = 512, 1 << 20, 100
_NO_DOTTED_KEY = re.compile(r"[^\w\"'. \t-]+")
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 200
_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "int": _whole,
    "float": _real,
    "seconds": _seconds,
    "bool": _boolean,
    "str": _text,
    "texts": _texts,
}
_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "seconds": "a duration such as 20ms, 2s, 1.5, 10m, 1h or 02:00:00",
    "bool": "true or false",
    "str": "a text",
    "texts": "a list of texts",
}
