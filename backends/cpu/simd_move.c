/* Moving rows between memory and registers, and reducing them. */
#include "backends/cpu/simd_move.h"

#include "backends/cpu/convert.h"
#include "backends/cpu/simd_lanes.h"
#include "backends/cpu/simd_transpose.h"

/* Rows of a transposition that share the cache lines of a column. */
#define TRANSPOSE_BLOCK 16

/*
 * Dense [rows][columns] from memory. The common shapes have loops of their
 * own: whole rows, one value a row, and columns that lie far apart while
 * neighbouring rows are adjacent (a transposition).
 */
#define LOAD(kind, memory, reg, expression)                                                        \
    void SIMD(cpu_load_##kind)(void *out, const void *in, int64_t rows, int64_t row_stride,        \
                               int64_t columns, int64_t column_stride)                             \
    {                                                                                              \
        reg *restrict y = out;                                                                     \
        const memory *restrict p = in;                                                             \
        if (row_stride == 1 && column_stride > 1 && rows >= TRANSPOSE_BLOCK) {                     \
            for (int64_t i0 = 0; i0 < rows; i0 += TRANSPOSE_BLOCK) {                               \
                int64_t end = i0 + TRANSPOSE_BLOCK < rows ? i0 + TRANSPOSE_BLOCK : rows;           \
                for (int64_t j = 0; j < columns; j++)                                              \
                    for (int64_t i = i0; i < end; i++) {                                           \
                        memory x = p[j * column_stride + i];                                       \
                        y[i * columns + j] = (expression);                                         \
                    }                                                                              \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        for (int64_t i = 0; i < rows; i++, y += columns, p += row_stride) {                        \
            if (column_stride == 1) {                                                              \
                for (int64_t j = 0; j < columns; j++) {                                            \
                    memory x = p[j];                                                               \
                    y[j] = (expression);                                                           \
                }                                                                                  \
            } else if (column_stride == 0) {                                                       \
                memory x = p[0];                                                                   \
                reg value = (expression);                                                          \
                for (int64_t j = 0; j < columns; j++)                                              \
                    y[j] = value;                                                                  \
            } else {                                                                               \
                for (int64_t j = 0; j < columns; j++) {                                            \
                    memory x = p[j * column_stride];                                               \
                    y[j] = (expression);                                                           \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }

#define STORE(kind, memory, reg, expression)                                                       \
    void SIMD(cpu_store_##kind)(void *out, const void *in, int64_t rows, int64_t row_stride,       \
                                int64_t columns, int64_t column_stride)                            \
    {                                                                                              \
        memory *restrict y = out;                                                                  \
        const reg *restrict p = in;                                                                \
        if (row_stride == 1 && column_stride > 1 && rows >= TRANSPOSE_BLOCK) {                     \
            for (int64_t i0 = 0; i0 < rows; i0 += TRANSPOSE_BLOCK) {                               \
                int64_t end = i0 + TRANSPOSE_BLOCK < rows ? i0 + TRANSPOSE_BLOCK : rows;           \
                for (int64_t j = 0; j < columns; j++)                                              \
                    for (int64_t i = i0; i < end; i++) {                                           \
                        reg x = p[i * columns + j];                                                \
                        y[j * column_stride + i] = (expression);                                   \
                    }                                                                              \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        for (int64_t i = 0; i < rows; i++, y += row_stride, p += columns) {                        \
            if (column_stride == 1) {                                                              \
                for (int64_t j = 0; j < columns; j++) {                                            \
                    reg x = p[j];                                                                  \
                    y[j] = (expression);                                                           \
                }                                                                                  \
            } else {                                                                               \
                for (int64_t j = 0; j < columns; j++) {                                            \
                    reg x = p[j];                                                                  \
                    y[j * column_stride] = (expression);                                           \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }

LOAD(plain_move, int32_t, int32_t, x)
LOAD(u8_f32, uint8_t, float, (float)x)
LOAD(u8_i32, uint8_t, int32_t, (int32_t)x)
LOAD(f16_f32, uint16_t, float, cpu_half_to_float(x))
LOAD(i32_f32, int32_t, float, (float)x)
LOAD(f32_i32, float, int32_t, cpu_float_to_i32(x))
STORE(plain_move, int32_t, int32_t, x)
STORE(i32_f32, float, int32_t, (float)x)
STORE(f32_i32, int32_t, float, cpu_float_to_i32(x))
STORE(f32_u8, uint8_t, float, cpu_float_to_u8(x))
STORE(i32_u8, uint8_t, int32_t, (uint8_t)(x<0 ? 0 : x> 255 ? 255 : x))
STORE(f32_f16, uint16_t, float, cpu_float_to_half(x))

/* Whole 4-byte elements: transpositions in registers. */
void SIMD(cpu_load_move)(void *out, const void *in, int64_t rows, int64_t row_stride,
                         int64_t columns, int64_t column_stride)
{
    if (row_stride == 1 && column_stride > 1)
        transpose(out, columns, in, column_stride, columns, rows);
    else
        SIMD(cpu_load_plain_move)(out, in, rows, row_stride, columns, column_stride);
}

void SIMD(cpu_store_move)(void *out, const void *in, int64_t rows, int64_t row_stride,
                          int64_t columns, int64_t column_stride)
{
    if (row_stride == 1 && column_stride > 1)
        transpose(out, column_stride, in, columns, rows, columns);
    else
        SIMD(cpu_store_plain_move)(out, in, rows, row_stride, columns, column_stride);
}

static inline lanes larger(lanes a, lanes b)
{
    lanes_i keep = (a >= b) | (a != a);
    return (lanes)((keep & (lanes_i)a) | (~keep & (lanes_i)b));
}

/* Sum of n values: four accumulators, folded by halves. */
static double sum_run(const float *p, int64_t n)
{
    lanes s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
    int64_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        s0 += lanes_at(p + i);
        s1 += lanes_at(p + i + LANES);
        s2 += lanes_at(p + i + 2 * LANES);
        s3 += lanes_at(p + i + 3 * LANES);
    }
    for (; i + LANES <= n; i += LANES)
        s0 += lanes_at(p + i);
    s0 = (s0 + s1) + (s2 + s3);
    float fold[LANES];
    for (int j = 0; j < LANES; j++)
        fold[j] = s0[j];
    for (int half = LANES / 2; half; half /= 2)
        for (int j = 0; j < half; j++)
            fold[j] += fold[j + half];
    float tail = 0;
    for (; i < n; i++)
        tail += p[i];
    return (double)fold[0] + (double)tail;
}

/* acc[0 .. LANES-1] += sum over r rows of LANES values at p, rows w apart. */
static void sum_columns(double *acc, const float *p, int64_t r, int64_t w)
{
    lanes s0 = {0}, s1 = {0};
    int64_t i = 0;
    for (; i + 2 <= r; i += 2) {
        s0 += lanes_at(p + i * w);
        s1 += lanes_at(p + (i + 1) * w);
    }
    if (i < r)
        s0 += lanes_at(p + i * w);
    s0 += s1;
    for (int j = 0; j < LANES; j++)
        acc[j] += (double)s0[j];
}

/* Few columns: whole vectors hold the rows' period in turn. */
static void sum_narrow(double *acc, const float *p, int64_t r, int64_t w)
{
    float wide[LANES * LANES] = {0};
    int64_t period = LANES * w, i = 0; /* w vectors hold LANES rows of w */
    for (; i + period <= r * w; i += period)
        for (int64_t j = 0; j < period; j += LANES)
            lanes_put(wide + j, lanes_at(wide + j) + lanes_at(p + i + j));
    for (int64_t j = 0; i < r * w; i++, j++)
        wide[j] += p[i];
    for (int64_t j = 0; j < period; j++)
        acc[j % w] += (double)wide[j];
}

void SIMD(cpu_simd_sum)(double *acc, const float *values, int64_t u, int64_t r, int64_t w)
{
    for (; u > 0; u--, acc += w, values += r * w) {
        int64_t j = 0;
        if (w == 1) {
            acc[0] += sum_run(values, r);
            continue;
        }
        if (w < LANES) {
            sum_narrow(acc, values, r, w);
            continue;
        }
        for (; j + LANES <= w; j += LANES)
            sum_columns(acc + j, values + j, r, w);
        for (; j < w; j++) {
            float s = 0;
            for (int64_t i = 0; i < r; i++)
                s += values[i * w + j];
            acc[j] += (double)s;
        }
    }
}

static float max_run(const float *p, int64_t n, float best)
{
    int64_t i = 0;
    if (n >= LANES) {
        lanes m = lanes_at(p);
        for (i = LANES; i + LANES <= n; i += LANES)
            m = larger(m, lanes_at(p + i));
        for (int j = 0; j < LANES; j++)
            best = best >= m[j] || best != best ? best : m[j];
    }
    for (; i < n; i++)
        best = best >= p[i] || best != best ? best : p[i];
    return best;
}

void SIMD(cpu_simd_max)(float *acc, const float *values, int64_t u, int64_t r, int64_t w)
{
    for (; u > 0; u--, acc += w, values += r * w) {
        if (w == 1) {
            acc[0] = max_run(values, r, acc[0]);
            continue;
        }
        for (int64_t i = 0; i < r; i++) {
            const float *p = values + i * w;
            for (int64_t j = 0; j < w; j++)
                acc[j] = acc[j] >= p[j] || acc[j] != acc[j] ? acc[j] : p[j];
        }
    }
}
