"""CUDA source of the layers' dense part: rows, biases, sums over rows, losses."""

DENSE = r"""
// out[i] = source[indices[i]], one thread for each element: neighbours read and write
// neighbours, also where rows are short.
template <typename Element>
static __device__ void take(
    const Element* __restrict__ source, const long long* __restrict__ indices,
    Element* __restrict__ out, long long row, long long n) {
    for (Walk at(row, n); at.is_inside(); at.advance())
        out[at.index] = source[indices[at.whole] * row + at.rest];
}

// Elements of 4 bytes, and of 8, whatever they hold: batches of numbers and of integers
// take the same way, and a NaN keeps its bits.
extern "C" __global__ void take_rows_4(
    const unsigned int* __restrict__ source,
    const long long* __restrict__ indices, unsigned int* __restrict__ out,
    long long row, long long n) {
    take(source, indices, out, row, n);
}

extern "C" __global__ void take_rows_8(
    const unsigned long long* __restrict__ source,
    const long long* __restrict__ indices, unsigned long long* __restrict__ out,
    long long row, long long n) {
    take(source, indices, out, row, n);
}

// Adds bias to every row; a thread's place in its row is carried along, see Walk.
extern "C" __global__ void add_bias(
    float* __restrict__ x, const float* __restrict__ bias, long long features,
    long long n) {
    for (Walk at(features, n); at.is_inside(); at.advance())
        x[at.index] += bias[at.rest];
}

// x = max(x + bias, 0). Asks for less than 0, not for more: a NaN stays one.
extern "C" __global__ void bias_relu(
    float* __restrict__ x, const float* __restrict__ bias, long long features,
    long long n) {
    for (Walk at(features, n); at.is_inside(); at.advance()) {
        float value = x[at.index] + bias[at.rest];
        x[at.index] = value < 0.0f ? 0.0f : value;
    }
}

// Adds count values, which lie stride apart, in their order.
static __device__ float sum_strided(
    const float* __restrict__ values, long long count, long long stride) {
    float sum = 0.0f;
    long long k = 0;
    for (; k + BATCH <= count; k += BATCH) {
        float batch[BATCH];
#pragma unroll
        for (int j = 0; j < BATCH; ++j) batch[j] = values[(k + j) * stride];
#pragma unroll
        for (int j = 0; j < BATCH; ++j) sum += batch[j];
    }
    for (; k < count; ++k) sum += values[k * stride];
    return sum;
}

// The number of rows s, s + slices, s + 2 * slices... below rows.
static __device__ long long rows_of_slice(
    long long slice, long long rows, long long slices) {
    return slice < rows ? (rows - slice - 1) / slices + 1 : 0;
}

// The first of two passes that sum over rows. A thread for each feature would leave
// most of a GPU idle: so rows are dealt out to slices, a thread sums one feature of one
// slice (beside its neighbour's, so that loads coalesce), and column_total adds the
// slices up.
extern "C" __global__ void column_partials(
    const float* __restrict__ d_out, float* __restrict__ partials, long long rows,
    long long features, long long slices) {
    for (Walk at(features, slices * features); at.is_inside(); at.advance())
        partials[at.index] = sum_strided(
            d_out + at.index, rows_of_slice(at.whole, rows, slices),
            slices * features);
}

// Multiplies by 1 or 0 instead of choosing: a NaN or inf in d_out does not vanish
// with an activation of 0.
static __device__ float passed(float d_out, float activation) {
    return d_out * (activation > 0.0f ? 1.0f : 0.0f);
}

// The same sums of what relu lets through, which is written back at the same time.
extern "C" __global__ void relu_column_partials(
    float* __restrict__ d_out, const float* __restrict__ activation,
    float* __restrict__ partials, long long rows, long long features,
    long long slices) {
    long long step = slices * features;
    for (Walk at(features, slices * features); at.is_inside(); at.advance()) {
        long long count = rows_of_slice(at.whole, rows, slices);
        long long place = at.index, k = 0;
        float sum = 0.0f;
        for (; k + BATCH <= count; k += BATCH, place += BATCH * step) {
            float batch[BATCH];
#pragma unroll
            for (int j = 0; j < BATCH; ++j) {
                long long next = place + j * step;
                batch[j] = passed(d_out[next], activation[next]);
            }
#pragma unroll
            for (int j = 0; j < BATCH; ++j) {
                d_out[place + j * step] = batch[j];
                sum += batch[j];
            }
        }
        for (; k < count; ++k, place += step) {
            d_out[place] = passed(d_out[place], activation[place]);
            sum += d_out[place];
        }
        partials[at.index] = sum;
    }
}

// The second pass: adds the slices up, a thread for each feature.
extern "C" __global__ void column_total(
    const float* __restrict__ partials, float* __restrict__ d_bias, long long slices,
    long long features, int accumulate) {
    FOR_EACH(i, features) {
        float sum = sum_strided(partials + i, slices, features);
        d_bias[i] = accumulate ? d_bias[i] + sum : sum;
    }
}
"""

LOSS = r"""
// Cross-entropies and their gradient. A thread for each row: rows are as short as there
// are classes, and a batch of them is small beside the rest of an update. The loss is
// log(sum) - logit, not the logarithm of a probability that may have become 0. d_logits
// may be logits, so that the label's logit is read before anything is written. A NaN in
// a row makes norm one, and with it all of the row.
extern "C" __global__ void softmax_cross_entropy(
    const float* logits, const long long* labels, float* d_logits, float* losses,
    float scale, long long rows, long long classes) {
    FOR_EACH(row, rows) {
        const float* z = logits + row * classes;
        float* d = d_logits + row * classes;
        float largest = z[0];
        for (long long k = 1; k < classes; ++k)
            largest = z[k] > largest ? z[k] : largest;
        float picked = z[labels[row]] - largest, norm = 0.0f;
        for (long long k = 0; k < classes; ++k) norm += d[k] = expf(z[k] - largest);
        float factor = scale / norm;
        for (long long k = 0; k < classes; ++k) d[k] *= factor;
        d[labels[row]] -= scale;
        losses[row] = logf(norm) - picked;
    }
}

// total = scale * sum. One thread, for the losses of a batch: two passes would cost
// more than they save. Its sums are independent: loads and additions overlap.
extern "C" __global__ void sum_scaled(
    const float* __restrict__ values, float* __restrict__ total, float scale,
    long long n) {
    if (first_index() != 0) return;
    constexpr int LANES = 16;
    float sums[LANES] = {}, sum = 0.0f;
    long long k = 0;
    for (; k + LANES <= n; k += LANES) {
        float batch[LANES];
#pragma unroll
        for (int j = 0; j < LANES; ++j) batch[j] = values[k + j];
#pragma unroll
        for (int j = 0; j < LANES; ++j) sums[j] += batch[j];
    }
    for (; k < n; ++k) sum += values[k];
#pragma unroll
    for (int j = 0; j < LANES; ++j) sum += sums[j];
    total[0] = sum * scale;
}

// Adds the number of rows whose largest logit is the label's to count. The first of
// equal logits wins, and the first NaN wins over all, as on the host. One atomic for
// each thread, not each row.
extern "C" __global__ void count_correct(
    const float* __restrict__ logits, const long long* __restrict__ labels,
    int* __restrict__ count, long long rows, long long classes) {
    int correct = 0;
    FOR_EACH(row, rows) {
        const float* z = logits + row * classes;
        float largest = z[0];
        long long best = 0;
        for (long long k = 1; k < classes; ++k) {
            if (z[k] > largest || (z[k] != z[k] && largest == largest)) {
                largest = z[k];
                best = k;
            }
        }
        correct += best == labels[row];
    }
    if (correct) atomicAdd(count, correct);
}
"""
