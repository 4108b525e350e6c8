"""After the run: summaries and figures."""
