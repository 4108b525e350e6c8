"""Which scheme, K and U a machine should run with: from a run of it to advice."""
