"""Events as lines of text, so that a real run can be replayed."""

import json
from dataclasses import asdict

from stsyn_mpi.protocol import events

_TYPES = {kind.__name__: kind for kind in events.Event.__args__}


def to_line(event: events.Event) -> str:
    """Return an event as one JSON object with its type under ``event``."""
    return json.dumps({"event": type(event).__name__, **asdict(event)})


def from_line(line: str) -> events.Event:
    """Return the event of a line of `to_line`.

    Raises
    ------
    ValueError
        If the line is no JSON object, or names no event, or not its fields.
    """
    fields = json.loads(line)
    name = fields.pop("event", None) if isinstance(fields, dict) else None
    if not isinstance(name, str) or name not in _TYPES:
        raise ValueError(f"no event: {line[:80]!r}")
    kind = _TYPES[name]
    try:
        event: events.Event = kind(**fields)
    except TypeError as error:
        raise ValueError(f"{kind.__name__}: {error}") from None
    return event
