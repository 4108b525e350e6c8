"""Models on one flat float32 parameter vector."""
