"""The real machine: ranks, messages, and the drivers of root and worker."""
