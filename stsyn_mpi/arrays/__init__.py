"""NumPy or CuPy behind one small backend."""
