"""CUDA source of convolution and pooling."""

IMAGES = r"""
// Images are (n, height, width, channels), contiguous; neighbouring threads take
// neighbouring channels. A place within one image, unfolded or not, is below 2^32, so
// that only the image itself is found by 64-bit arithmetic.

// Row (row, column) of columns holds a window as runs of kernel * channels elements,
// each contiguous in x too: only element numbers differ.
template <typename Element>
static __device__ void unfold(
    const Element* __restrict__ x, Element* __restrict__ columns, long long height,
    long long width, long long channels, long long kernel, long long n) {
    unsigned int out_width = width - kernel + 1, run = kernel * channels;
    unsigned int window = kernel * run, line = width * channels, pixel = channels;
    long long unfolded = (height - kernel + 1) * out_width * window;
    for (Walk at(unfolded, n); at.is_inside(); at.advance()) {
        unsigned int place = at.rest, window_index = place / window;
        unsigned int in_window = place - window_index * window;
        unsigned int row = window_index / out_width, k_row = in_window / run;
        unsigned int column = window_index - row * out_width;
        unsigned int source =
            (row + k_row) * line + column * pixel + (in_window - k_row * run);
        columns[at.index] = x[at.whole * height * line + source];
    }
}

// Unfolds windows. It only moves elements: where channels come in fours and lie on
// 16-byte boundaries, four of them go as one.
extern "C" __global__ void im2col(
    const float* __restrict__ x, float* __restrict__ columns, long long height,
    long long width, long long channels, long long kernel, long long n) {
    bool is_aligned = ((unsigned long long)x | (unsigned long long)columns) % 16 == 0;
    if (is_aligned && channels % 4 == 0)
        unfold((const float4*)x, (float4*)columns, height, width, channels / 4, kernel,
               n / 4);
    else
        unfold(x, columns, height, width, channels, kernel, n);
}

// A gather: each element of x sums what was taken from it, so that no two threads
// write one place. First down a column of the window, then along, as on the host.
extern "C" __global__ void col2im(
    const float* __restrict__ columns, float* __restrict__ x, long long height,
    long long width, long long channels, long long kernel, long long n) {
    unsigned int out_height = height - kernel + 1, out_width = width - kernel + 1;
    unsigned int run = kernel * channels, window = kernel * run, pixel = channels;
    unsigned int line = width * channels, last = kernel - 1;
    long long unfolded = (long long)out_height * out_width * window;
    for (Walk at(height * line, n); at.is_inside(); at.advance()) {
        unsigned int place = at.rest, row = place / line;
        unsigned int in_line = place - row * line, column = in_line / pixel;
        unsigned int top = row < out_height ? 0 : row - (out_height - 1);
        unsigned int left = column < out_width ? 0 : column - (out_width - 1);
        unsigned int bottom = row < last ? row : last;
        unsigned int right = column < last ? column : last;
        const float* image = columns + at.whole * unfolded + (in_line - column * pixel);
        float sum = 0.0f;
        for (unsigned int k_column = left; k_column <= right; ++k_column) {
            float down = 0.0f;
            for (unsigned int k_row = top; k_row <= bottom; ++k_row)
                down += image[
                    ((row - k_row) * out_width + (column - k_column)) * window
                    + k_row * run + k_column * pixel];
            sum += down;
        }
        x[at.index] = sum;
    }
}

// The larger one, and the first of equals; NaN if there is one among them.
static __device__ float larger(float a, float b) {
    return b > a || b != b ? b : a;
}

// The maximum of each 2x2 window and its place; comparisons as on the host, so that a
// NaN comes through, though its place may be another's.
extern "C" __global__ void max_pool(
    const float* __restrict__ x, float* __restrict__ pooled,
    unsigned char* __restrict__ choice, long long height, long long width,
    long long channels, long long n) {
    unsigned int line = width * channels, pixel = channels;
    unsigned int pooled_line = width / 2 * channels;
    for (Walk at(height / 2 * pooled_line, n); at.is_inside(); at.advance()) {
        unsigned int place = at.rest, row = place / pooled_line;
        unsigned int in_line = place - row * pooled_line;
        unsigned int column = in_line / pixel;
        const float* corner = x + at.whole * height * line
            + (2 * row * line + in_line + column * pixel);
        float upper_left = corner[0], upper_right = corner[pixel];
        float lower_left = corner[line], lower_right = corner[line + pixel];
        float upper = larger(upper_left, upper_right);
        float lower = larger(lower_left, lower_right);
        int right_above = upper_right > upper_left;
        int right_below = lower_right > lower_left;
        choice[at.index] = lower > upper ? 2 + right_below : right_above;
        pooled[at.index] = larger(upper, lower);
    }
}

// A gather too: a thread for each element of d_x looks whether it was chosen. All are
// written, also the last row and column that a pool of odd images leaves out.
extern "C" __global__ void max_pool_backward(
    const float* __restrict__ d_pooled, const unsigned char* __restrict__ choice,
    float* __restrict__ d_x, long long height, long long width, long long channels,
    long long n) {
    unsigned int line = width * channels, pixel = channels;
    unsigned int rows = height / 2, pooled_line = width / 2 * channels;
    long long pooled_image = (long long)rows * pooled_line;
    for (Walk at(height * line, n); at.is_inside(); at.advance()) {
        unsigned int place = at.rest, row = place / line;
        unsigned int in_line = place - row * line, column = in_line / pixel;
        unsigned int source = column / 2 * pixel + (in_line - column * pixel);
        float d = 0.0f;
        if (row / 2 < rows && source < pooled_line) {
            source += row / 2 * pooled_line;
            long long chosen = at.whole * pooled_image + source;
            // Multiplied for the reason that holds in passed().
            d = d_pooled[chosen]
                * (choice[chosen] == 2 * (row % 2) + column % 2 ? 1.0f : 0.0f);
        }
        d_x[at.index] = d;
    }
}
"""
