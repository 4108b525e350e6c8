"""Every operation of a backend on random data, for one backend against another."""

from dataclasses import dataclass

import numpy as np

VECTOR_LENGTHS = (0, 1, 31, 33, (1 << 20) + 7)
IMAGES = ((2, 5, 7, 3), (1, 6, 6, 1), (3, 9, 6, 2))
ROWS = ((1, 1), (7, 3), (100, 10), (257, 65))


@dataclass(frozen=True)
class Transposed:
    """An operand that is handed over as the transposed view of ``array``."""

    array: np.ndarray


@dataclass(frozen=True)
class Case:
    """A call of ``operation``; arrays are handed over as copies on the device."""

    name: str
    operation: str
    arguments: tuple

    def run(self, backend):
        """Return all arrays after the call, in host memory, and its result last."""
        arrays = [
            backend.to_device(_array_of(item).copy()) if _is_array(item) else item
            for item in self.arguments
        ]
        views = [
            array.T if isinstance(item, Transposed) else array
            for array, item in zip(arrays, self.arguments, strict=True)
        ]
        result = getattr(backend, self.operation)(*views)
        backend.synchronise()
        hosts = [
            np.array(backend.to_host(array))
            for array, item in zip(arrays, self.arguments, strict=True)
            if _is_array(item)
        ]
        return [*hosts, np.array(np.nan if result is None else float(result))]


def _is_array(item):
    return isinstance(item, np.ndarray | Transposed)


def _array_of(item):
    return item.array if isinstance(item, Transposed) else item


def all_cases(seed=0):
    """Return every case; the same for the same seed."""
    rng = np.random.default_rng(seed)
    return [*_vector_cases(rng), *_row_cases(rng), *_image_cases(rng), *_odd_cases()]


def _vector_cases(rng):
    for n in VECTOR_LENGTHS:

        def vectors(count, n=n):
            return [rng.standard_normal(n, dtype=np.float32) for _ in range(count)]

        def case(operation, *arguments, note="", n=n):
            return Case(f"{operation}{note}-{n}", operation, arguments)

        for decay in (0.0, 0.3):
            yield case("sgd_step", *vectors(3), 0.1, decay, note=f"-{decay}")
            for nesterov, first in ((False, False), (True, False), (True, True)):
                rates = (0.1, 0.9, decay, nesterov, first)
                note = f"-{decay}-{nesterov}-{first}"
                yield case("momentum_step", *vectors(5), *rates, note=note)
        x, g, m, v, out = vectors(5)
        yield case("adam_step", x, g, m, v * v, out, 0.1, 0.9, 0.99, 1e-3)
        total, upload, base, out = vectors(4)
        yield case("add_scaled", total, 1 / 7, upload)
        yield case("add_scaled_difference", total, 1 / 7, upload, base)
        yield case("apply_mean", base, total, 0.3, out)
        yield case("subtract", base, total, out)
        yield case("scale", base, -0.3)
        yield case("distance", base, total)
        yield case("is_finite", base)
        if n:
            for bad in (np.nan, np.inf, -np.inf):
                spoilt = base.copy()
                spoilt[n - 1] = bad
                yield case("is_finite", spoilt, note=f"-{bad}")


def _row_cases(rng):
    for rows, features in ROWS:

        def normal(*shape):
            return rng.standard_normal(shape, dtype=np.float32)

        x, bias, d_bias = normal(rows, features), normal(features), normal(features)
        active = np.maximum(normal(rows, features), 0)
        labels = rng.integers(0, features, rows)
        name = f"-{rows}x{features}"
        yield Case("add_bias" + name, "add_bias", (x, bias))
        yield Case("bias_relu" + name, "bias_relu", (x, bias))
        for add in (False, True):
            both = f"{name}-{add}"
            yield Case("bias_backward" + both, "bias_backward", (x, d_bias, add))
            arguments = (x, active, d_bias, add)
            yield Case("relu_backward" + both, "bias_relu_backward", arguments)
            b, out = normal(features, 13), normal(rows, 13)
            yield Case("matmul" + both, "matmul", (x, b, out, add))
            a, b = normal(features, rows), normal(13, features)
            arguments = (Transposed(a), Transposed(b), out, add)
            yield Case("matmul_turned" + both, "matmul", arguments)
        arguments = (3 * x, labels, normal(rows, features), 1 / rows)
        yield Case("cross_entropy" + name, "softmax_cross_entropy", arguments)
        yield Case("count_correct" + name, "count_correct", (x, labels))
        taken = rng.integers(0, rows, 9)
        arguments = (x, taken, normal(9, features))
        yield Case("take_rows" + name, "take_rows", arguments)
        arguments = (labels, taken, np.zeros(9, np.int64))
        yield Case("take_labels" + name, "take_rows", arguments)


def _image_cases(rng):
    for shape in IMAGES:
        n, height, width, channels = shape
        name = "-" + "x".join(map(str, shape))
        # Few distinct values: there are ties.
        x = np.round(1.5 * rng.standard_normal(shape)).astype(np.float32)
        windows = (n * (height - 2) * (width - 2), 9 * channels)
        columns = rng.standard_normal(windows, dtype=np.float32)
        yield Case("im2col" + name, "im2col", (x, 3, np.empty_like(columns)))
        yield Case("col2im" + name, "col2im", (columns, 3, np.empty_like(x)))
        pooled = rng.standard_normal(
            (n, height // 2, width // 2, channels), dtype=np.float32
        )
        choice = rng.integers(0, 4, pooled.shape, dtype=np.uint8)
        blank = np.zeros_like(pooled), np.full_like(choice, 9)
        yield Case("max_pool" + name, "max_pool", (x, *blank))
        arguments = (pooled, choice, np.empty_like(x))
        yield Case("max_pool_backward" + name, "max_pool_backward", arguments)


def _odd_cases():
    """What must not be hidden, and what must not overflow."""
    bad = np.array([[np.nan, -np.inf], [np.inf, -1.0]], np.float32)
    zeros = np.zeros(2, np.float32)
    yield Case("bias_relu-bad", "bias_relu", (bad, zeros))
    sure = np.array([[1e3, -1e3]], np.float32)
    arguments = (sure, np.array([1]), np.empty_like(sure), 1.0)
    yield Case("cross_entropy-sure", "softmax_cross_entropy", arguments)
    image = np.array([1, np.nan, 3, 2], np.float32).reshape(1, 2, 2, 1)
    blank = np.zeros((1, 1, 1, 1), np.float32), np.zeros((1, 1, 1, 1), np.uint8)
    yield Case("max_pool-nan", "max_pool", (image, *blank))
