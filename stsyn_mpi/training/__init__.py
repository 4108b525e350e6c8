"""What a worker computes between two models."""
