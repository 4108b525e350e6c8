"""Several schemes on the same data, seeds and delays: what to run, and running it."""
