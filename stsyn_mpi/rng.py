"""Keyed random draws: every draw is a function of what it is for.

There is no stream state: nothing to save in a checkpoint, nothing that another
scheme, another order of arrivals or another number of workers could shift.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import IntEnum

import numpy as np

WORDS = 4
"""64-bit words of a Philox4x64 block."""


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
    REPLAY = 8


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


class _MovedGenerator(threading.local):
    """One generator that is moved from key to key; every thread has its own.

    Parameters
    ----------
    seed : int
        The run's seed, 0 <= seed < 2**64.
    purpose : Purpose
        What the draws are for.
    """

    def __init__(self, seed: int, purpose: Purpose) -> None:
        self._generator = keyed_generator(seed, purpose)
        self._bits = self._generator.bit_generator
        # A fresh generator's buffer is used up: the next word comes of the counter.
        self._state = self._bits.state
        self._counter = self._state["state"]["counter"]


class KeyedGenerators(_MovedGenerator):
    """`keyed_generator` of one seed and purpose, at a quarter of the cost."""

    def at(self, worker: int, round_index: int, index: int) -> np.random.Generator:
        """Return the generator of a key; it is valid until the next call."""
        counter = self._counter
        counter[1], counter[2], counter[3] = index, round_index, worker
        self._bits.state = self._state
        return self._generator


class KeyedUniforms(_MovedGenerator):
    """Uniforms in [0, 1) of one seed and purpose, each a function of its key alone.

    The uniform of (worker, round, update) is word ``update % 4`` of the Philox4x64-10
    block of the counter (worker, update // 4, round, 0). Workers count in the lowest
    word, so that one call draws a block for each of them. That of (worker, round) is
    word ``worker % 4`` of the block of the counter (worker // 4, 0, round, 1).

    NumPy computes the block after the counter that it is set to: counters are meant
    as ``numpy.random.Philox(counter=...)`` takes them. Purposes served by this class
    are not for `keyed_generator`, whose counters are others.
    """

    def of_updates(
        self, worker: int, round_index: int, first_update: int, n_updates: int
    ) -> np.ndarray:
        """Return the uniforms of some updates of a round, float64 (n_updates,)."""
        first, skipped = divmod(first_update, WORDS)
        n_blocks = -(-(skipped + n_updates) // WORDS)
        words = np.empty(n_blocks * WORDS)
        fill = self._filler(worker, round_index, 0)
        for start in range(0, n_blocks * WORDS, WORDS):
            fill(first + start // WORDS, words[start : start + WORDS])
        return words[skipped : skipped + n_updates]

    def of_rounds(
        self, first_round: int, n_rounds: int, n_workers: int, n_updates: int
    ) -> np.ndarray:
        """Return the uniforms of the first updates of all workers in some rounds.

        Returns
        -------
        numpy.ndarray
            float64, C order, shape (n_rounds, n_workers, n_updates).
        """
        n_blocks = -(-n_updates // WORDS)
        words = np.empty((n_rounds, n_blocks, n_workers * WORDS))
        for round_index, rows in enumerate(words, start=first_round):
            fill = self._filler(0, round_index, 0)
            for block, row in enumerate(rows):
                fill(block, row)
        by_block = words.reshape(n_rounds, n_blocks, n_workers, WORDS)
        by_worker = by_block.transpose(0, 2, 1, 3).reshape(
            n_rounds, n_workers, n_blocks * WORDS
        )
        return np.ascontiguousarray(by_worker[:, :, :n_updates])

    def of_workers(
        self, round_index: int, first_worker: int, n_workers: int
    ) -> np.ndarray:
        """Return the uniforms of some workers in a round, float64 (n_workers,)."""
        first, skipped = divmod(first_worker, WORDS)
        words = np.empty(-(-(skipped + n_workers) // WORDS) * WORDS)
        self._filler(first, round_index, 1)(0, words)
        return words[skipped : skipped + n_workers]

    def _filler(
        self, low: int, round_index: int, kind: int
    ) -> Callable[[int, np.ndarray], None]:
        """Return what fills an array from the counter (low, given, round, kind) on."""
        bits, generator, state = self._bits, self._generator, self._state
        counter = self._counter
        counter[0], counter[2], counter[3] = low, round_index, kind

        def fill(block: int, out: np.ndarray) -> None:
            counter[1] = block
            bits.state = state
            generator.random(out=out)

        return fill
