"""All CUDA source of the project, as one string.

The same source compiles under NVRTC, nvcc and (``__global__`` and its like defined
away) a C++ compiler: no headers, no shared memory, no cooperation between threads,
and no atomics but one count. Each kernel goes through its elements in strides of the
whole grid, so that any one-dimensional launch is right for any length, and none reads
what another thread writes, so that results do not depend on the order of threads.
Their meaning is that of the operations of the same names in ``numpy_vectors.py`` and
``numpy_layers.py``; elementwise ones do the same arithmetic in the same order. A NaN
goes where it goes there.
"""

from __future__ import annotations

from stsyn_mpi.arrays.kernel_images import IMAGES
from stsyn_mpi.arrays.kernel_layers import DENSE, LOSS

COMMON = r"""
static __device__ long long first_index() {
    return (long long)blockIdx.x * blockDim.x + threadIdx.x;
}

static __device__ long long n_threads() {
    return (long long)gridDim.x * blockDim.x;
}

#define FOR_EACH(i, n) \
    for (long long i = first_index(), stride = n_threads(); i < (n); i += stride)

// The same loop where index = whole * divisor + rest is wanted (a row and a place in
// it, an image and a place in it): 64-bit divisions are slow, so that a thread divides
// once at its start and once for its stride, and then only adds.
struct Walk {
    long long index, whole, rest;

    __device__ Walk(long long divisor, long long n)
        : index(first_index()), whole(0), rest(0), n(n), divisor(divisor),
          stride(n_threads()), whole_step(0), rest_step(0) {
        if (index >= n) return;
        whole = index / divisor;
        rest = index - whole * divisor;
        if (index + stride >= n) return;
        whole_step = stride / divisor;
        rest_step = stride - whole_step * divisor;
    }

    __device__ bool is_inside() const { return index < n; }

    __device__ void advance() {
        index += stride;
        whole += whole_step;
        rest += rest_step;
        if (rest >= divisor) {
            rest -= divisor;
            ++whole;
        }
    }

private:
    long long n, divisor, stride, whole_step, rest_step;
};

// Values that one thread loads before it adds them up: the loads overlap.
constexpr int BATCH = 8;
"""

VECTORS = r"""
// Outputs of steps may be inputs: every element is read before it is written, and no
// pointer is declared to be without aliases.

// The gradient with weight decay; without one, not even an infinite parameter counts.
static __device__ float decayed(float gradient, float param, float weight_decay) {
    return weight_decay != 0.0f ? param * weight_decay + gradient : gradient;
}

// out = params - lr * gradient, with weight decay: one pass over memory.
extern "C" __global__ void sgd_step(
    const float* params, const float* gradient, float* out, float lr,
    float weight_decay, long long n) {
    FOR_EACH(i, n) {
        float param = params[i];
        out[i] = param - decayed(gradient[i], param, weight_decay) * lr;
    }
}

// A step of SGD with momentum, from one set of buffers to another: an update that is
// cancelled leaves params and velocity as they were. With first, the velocity counts as
// 0 and may hold anything.
extern "C" __global__ void momentum_step(
    const float* params, const float* gradient, const float* velocity, float* out,
    float* velocity_out, float lr, float momentum, float weight_decay, int nesterov,
    int first, long long n) {
    FOR_EACH(i, n) {
        float param = params[i];
        float g = decayed(gradient[i], param, weight_decay);
        float pushed = first ? g : velocity[i] * momentum + g;
        float change = nesterov ? pushed * momentum + g : pushed;
        velocity_out[i] = pushed;
        out[i] = param - change * lr;
    }
}

// A step of Adam. 1 - beta is taken of the rounded beta: the weights have the sum 1
// (the host rounds them apart, which makes the last digits differ).
extern "C" __global__ void adam_step(
    const float* params, const float* gradient, float* first_moment,
    float* second_moment, float* out, float lr, float beta1, float beta2,
    float epsilon, long long n) {
    FOR_EACH(i, n) {
        float param = params[i], g = gradient[i];
        float m = first_moment[i] * beta1 + g * (1.0f - beta1);
        float v = second_moment[i] * beta2 + g * g * (1.0f - beta2);
        first_moment[i] = m;
        second_moment[i] = v;
        out[i] = param - m / (sqrtf(v) + epsilon) * lr;
    }
}

// total += scale * upload.
extern "C" __global__ void add_scaled(
    float* total, float scale, const float* upload, long long n) {
    FOR_EACH(i, n) total[i] += upload[i] * scale;
}

// total += scale * (upload - base), without a vector for the difference.
extern "C" __global__ void add_scaled_difference(
    float* total, float scale, const float* upload, const float* base, long long n) {
    FOR_EACH(i, n) total[i] += (upload[i] - base[i]) * scale;
}

// out = base + scale * total.
extern "C" __global__ void apply_mean(
    const float* base, const float* total, float scale, float* out, long long n) {
    FOR_EACH(i, n) out[i] = base[i] + total[i] * scale;
}

// out = a - b.
extern "C" __global__ void subtract(
    const float* a, const float* b, float* out, long long n) {
    FOR_EACH(i, n) out[i] = a[i] - b[i];
}

// vector *= factor.
extern "C" __global__ void scale(float* vector, float factor, long long n) {
    FOR_EACH(i, n) vector[i] *= factor;
}

// Each thread writes the squared distance of its own elements, also where it has none:
// no thread waits for another, and a second, short sum gives the total. Added up in
// double precision: squares of large differences do not overflow.
extern "C" __global__ void squared_distance(
    const float* __restrict__ a, const float* __restrict__ b,
    double* __restrict__ partials, long long n) {
    double sum = 0.0;
    FOR_EACH(i, n) {
        double difference = a[i] - b[i];
        sum += difference * difference;
    }
    partials[first_index()] = sum;
}

// Sets found where an element is NaN or infinite: x - x is 0 for finite x only. Whoever
// writes, writes the same, and nobody takes it back.
extern "C" __global__ void find_nonfinite(
    const float* __restrict__ vector, int* __restrict__ found, long long n) {
    FOR_EACH(i, n) {
        if (!(vector[i] - vector[i] == 0.0f)) *found = 1;
    }
}
"""

SOURCE = COMMON + VECTORS + DENSE + IMAGES + LOSS
"""The whole translation unit; its kernels are ``extern "C"``."""
