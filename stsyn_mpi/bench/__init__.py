"""Benchmarks of the machine and of this package on it."""
