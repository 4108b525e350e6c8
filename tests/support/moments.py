"""Moments of kills, and how many there are."""

import time


def spin(seconds):
    """Let some time pass: the moment of a kill is what is drawn."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def kills(n_most, n_least=8, budget_s=10.0):
    """Count kills: as many as a slow disk allows in some seconds."""
    began = time.monotonic()
    for kill in range(n_most):
        if kill >= n_least and time.monotonic() - began > budget_s:
            return
        yield kill
