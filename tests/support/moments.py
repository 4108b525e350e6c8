"""Moments that are drawn."""

import time


def spin(seconds):
    """Let some time pass: the moment of a kill is what is drawn."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass
