"""Keyed random draws: every draw is a function of what it is for.

There is no stream state: nothing to save in a checkpoint, nothing that another
scheme, another order of arrivals or another number of workers could shift.
"""

from __future__ import annotations

import threading
from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What a draw is for. The numbers are part of every seed: never renumber."""

    INIT = 0
    BATCH = 1
    DELAY = 2
    PARTITION = 3
    SYNTHETIC = 4
    SPLIT = 5
    NETWORK = 6
    FAULT = 7


def keyed_generator(
    seed: int,
    purpose: Purpose,
    worker: int = 0,
    round_index: int = 0,
    index: int = 0,
) -> np.random.Generator:
    """Return the generator that belongs to one key.

    Philox is counter-based: seed and purpose make its key; worker, round and index
    the upper three words of its counter. The lowest word is left to the generator,
    so streams of different keys cannot overlap within 2**64 blocks.

    Parameters
    ----------
    seed : int
        The run's seed, 0 <= seed < 2**64.
    purpose : Purpose
        What the draws are for.
    worker, round_index, index : int
        Not negative; index is usually the update within the round.
    """
    bits = np.random.Philox(
        key=np.array([seed, purpose], dtype=np.uint64),
        counter=np.array([0, index, round_index, worker], dtype=np.uint64),
    )
    return np.random.Generator(bits)


def keyed_uniform(
    seed: int,
    purpose: Purpose,
    worker: int = 0,
    round_index: int = 0,
    index: int = 0,
) -> float:
    """Return the first double in [0, 1) of `keyed_generator`."""
    return keyed_generator(seed, purpose, worker, round_index, index).random()


class KeyedUniforms(threading.local):
    """`keyed_uniform` of one seed and purpose, at a tenth of the cost.

    One bit generator is moved from key to key. Every thread that asks has its own.

    Parameters
    ----------
    seed : int
        The run's seed, 0 <= seed < 2**64.
    purpose : Purpose
        What the draws are for.
    """

    def __init__(self, seed: int, purpose: Purpose) -> None:
        self._bits = np.random.Philox(key=np.array([seed, purpose], dtype=np.uint64))
        self._generator = np.random.Generator(self._bits)
        # A fresh generator's buffer is used up: the next word comes of the counter.
        self._state = self._bits.state
        self._counter = self._state["state"]["counter"]

    def at(self, worker: int = 0, round_index: int = 0, index: int = 0) -> float:
        """Return `keyed_uniform` of this worker, round and index."""
        counter = self._counter
        counter[0], counter[1], counter[2], counter[3] = 0, index, round_index, worker
        self._bits.state = self._state
        return self._generator.random()
