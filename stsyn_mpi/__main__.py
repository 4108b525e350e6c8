"""``python -m stsyn_mpi``: the command line without an installed script."""

from stsyn_mpi.cli.main import main

if __name__ == "__main__":
    main()
