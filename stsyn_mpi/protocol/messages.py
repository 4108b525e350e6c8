"""What events, commands and records are: values."""

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def message(cls: type[T]) -> type[T]:
    """Make ``cls`` a dataclass that nobody changes.

    The type checker sees to that. Frozen at run time it would take three times as
    long to make, and a simulation makes hundreds of thousands a second.
    """
    return dataclass(slots=True)(cls)
