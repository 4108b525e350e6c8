"""How many of several workers have done something: the Poisson-binomial law."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np

from stsyn_mpi.analysis.theory.inversion import at_least_by_inversion

_SHORT = 32


def at_least(
    wait_for: int, counts: Sequence[float], probabilities: np.ndarray
) -> np.ndarray:
    """Return the probability that ``wait_for`` workers or more succeed.

    Parameters
    ----------
    wait_for : int
        K.
    counts : sequence of float
        Workers in each group, not whole where groups stand for many kinds.
    probabilities : numpy.ndarray
        The probability of success of each worker of a group, at each of several
        times; float64, shape (n_groups, n_times).

    Returns
    -------
    numpy.ndarray
        Shape (n_times,). One group gives the regularised incomplete beta function
        I_p(K, M - K + 1). Of several, the generating functions (1 - p + p z)^count
        are multiplied, as far as the terms that are needed: those of K - 1 successes
        or of M - K failures, whichever are fewer.
    """
    n_workers = round(sum(counts))
    n_times = probabilities.shape[1]
    if wait_for <= 0:
        return np.ones(n_times)
    if wait_for > n_workers:
        return np.zeros(n_times)
    value: np.ndarray
    if len(counts) == 1:
        from scipy.special import betainc

        value = betainc(wait_for, n_workers - wait_for + 1, probabilities[0])
        return value
    if any(count != int(count) for count in counts):
        value = at_least_by_inversion(wait_for, np.array(counts), probabilities)
        return np.asarray(np.minimum(np.maximum(value, 0.0), 1.0))
    whole = [int(count) for count in counts]
    n_failures = n_workers - wait_for
    if wait_for - 1 < n_failures:
        value = 1 - _few(wait_for, whole, probabilities).sum(axis=1)
    else:
        value = _few(n_failures + 1, whole, 1 - probabilities).sum(axis=1)
    return np.asarray(np.minimum(np.maximum(value, 0.0), 1.0))


def _few(n_terms: int, counts: Sequence[int], p: np.ndarray) -> np.ndarray:
    """Probabilities of 0 to n_terms - 1 successes, shape (n_times, n_terms)."""
    singles = [g for g, count in enumerate(counts) if count == 1]
    factors = [
        _binomial(n_terms, counts[g], p[g]) for g in range(len(p)) if counts[g] > 1
    ]
    if singles:
        pairs = np.stack([1 - p[singles], p[singles]], axis=2)
        factors.append(_product(n_terms, pairs))
    # The shortest two first, as in Huffman's tree: products stay short for long.
    heap = [(one.shape[1], g, one) for g, one in enumerate(factors)]
    heapq.heapify(heap)
    while len(heap) > 1:
        (_, g, one), (_, _, other) = heapq.heappop(heap), heapq.heappop(heap)
        product = multiply(one, other)[:, :n_terms]
        heapq.heappush(heap, (product.shape[1], g, product))
    return heap[0][2][:, :n_terms]


def _product(n_terms: int, polynomials: np.ndarray) -> np.ndarray:
    """Multiply polynomials, shape (n, n_times, length), two and two."""
    while len(polynomials) > 1:
        if len(polynomials) % 2:
            one = np.zeros_like(polynomials[:1])
            one[:, :, 0] = 1.0
            polynomials = np.concatenate([polynomials, one])
        product = multiply(polynomials[::2], polynomials[1::2])
        polynomials = product[:, :, :n_terms]
    only: np.ndarray = polynomials[0]
    return only


def _binomial(n_terms: int, count: int, p: np.ndarray) -> np.ndarray:
    from scipy.special import gammaln, xlog1py, xlogy

    k = np.arange(min(n_terms, count + 1))
    ways = gammaln(count + 1) - gammaln(k + 1) - gammaln(count - k + 1)
    p = p[:, np.newaxis]
    terms: np.ndarray = np.exp(ways + xlogy(k, p) + xlog1py(count - k, -p))
    return terms


def multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return products of polynomials whose coefficients lie along the last axis."""
    if a.shape[-1] < b.shape[-1]:
        a, b = b, a
    n = a.shape[-1] + b.shape[-1] - 1
    if b.shape[-1] > _SHORT:
        from scipy.fft import irfft, next_fast_len, rfft

        length = next_fast_len(n, real=True)
        product = irfft(rfft(a, length) * rfft(b, length), length)[..., :n]
        return np.asarray(np.maximum(0.0, product))
    product = np.zeros((*a.shape[:-1], n))
    for place in range(b.shape[-1]):
        product[..., place : place + a.shape[-1]] += a * b[..., place : place + 1]
    return product
