"""The command line: parse, call, print."""

from stsyn_mpi.cli.main import main

__all__ = ["main"]
