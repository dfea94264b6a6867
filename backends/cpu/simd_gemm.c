/*
 * Matrix product on one thread: blocks of A and B are packed into panels, a
 * register tile of ROWS x COLUMNS runs along them.
 */
#include "backends/cpu/simd.h"
#include "backends/cpu/simd_pack.h"

#include <string.h>

/* The tile fills the registers: 24 of 32, 12 of 16, or 8 of 16 without
 * multiply-add. */
#define ROWS    (LANES == 16 ? 12 : LANES == 8 ? 6 : 4)
#define VECTORS 2
#define COLUMNS (VECTORS * LANES)

/* Blocks: a panel pair in the first-level cache, A's and B's in the second. */
#define BLOCK_K 256
#define BLOCK_M (ROWS * 8)
#define BLOCK_N 512

_Static_assert(sizeof(float) * (BLOCK_K * (BLOCK_M + BLOCK_N) + 2 * LANES) <= CPU_GEMM_BUFFER_BYTES,
               "buffer");
_Static_assert(BLOCK_N % COLUMNS == 0, "whole panels");

/* [panel][k][width] from rows (or columns) of unit or other strides, padded with
 * zeros; up to LANES floats behind it are written. */
static void pack(float *out, const float *in, int64_t count, int64_t stride, int64_t k,
                 int64_t k_stride, int width)
{
    for (int64_t first = 0; first < count; first += width, in += width * stride) {
        int n = count - first < width ? (int)(count - first) : width;
        if (stride == 1 && n == width)
            for (int64_t p = 0; p < k; p++)
                memcpy(out + p * width, in + p * k_stride, (size_t)width * sizeof *out);
        else if (k_stride == 1)
            pack_rows(out, width, in, stride, n, k);
        else
            for (int64_t p = 0; p < k; p++)
                for (int i = 0; i < width; i++)
                    out[p * width + i] = i < n ? in[i * stride + p * k_stride] : 0;
        out += k * width;
    }
}

/* One register tile; c gets rows x columns of it. */
static void tile(int64_t k, const float *a, const float *b, float *c, int64_t ldc, int64_t rows,
                 int64_t columns, bool add)
{
    lanes sum[ROWS][VECTORS];
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < VECTORS; j++)
            sum[i][j] = (lanes){0};
    for (int64_t p = 0; p < k; p++, a += ROWS, b += COLUMNS) {
        lanes row[VECTORS];
        for (int j = 0; j < VECTORS; j++)
            row[j] = lanes_at(b + j * LANES);
        for (int i = 0; i < ROWS; i++)
            for (int j = 0; j < VECTORS; j++)
                sum[i][j] += row[j] * a[i];
    }
    if (rows == ROWS && columns == COLUMNS) {
        for (int i = 0; i < ROWS; i++)
            for (int j = 0; j < VECTORS; j++) {
                float *to = c + i * ldc + j * LANES;
                if (add)
                    sum[i][j] += lanes_at(to);
                lanes_put(to, sum[i][j]);
            }
        return;
    }
    float part[ROWS * COLUMNS];
    memcpy(part, sum, sizeof part);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            c[i * ldc + j] = (add ? c[i * ldc + j] : 0.0f) + part[i * COLUMNS + j];
}

static void block(const float *a, const float *b, int64_t m, int64_t n, int64_t k, float *c,
                  int64_t ldc, bool add)
{
    for (int64_t j = 0; j < n; j += COLUMNS)
        for (int64_t i = 0; i < m; i += ROWS)
            tile(k, a + i * k, b + j * k, c + i * ldc + j, ldc, m - i < ROWS ? m - i : ROWS,
                 n - j < COLUMNS ? n - j : COLUMNS, add);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

void SIMD(cpu_simd_gemm)(const struct cpu_gemm *g, float *buffer)
{
    float *packed_a = buffer, *packed_b = buffer + BLOCK_K * BLOCK_M + LANES;
    for (int64_t j = 0; j < g->n; j += BLOCK_N) {
        int64_t n = least(BLOCK_N, g->n - j);
        for (int64_t p = 0; p < g->k; p += BLOCK_K) {
            int64_t k = least(BLOCK_K, g->k - p);
            pack(packed_b, g->b + p * g->b_row + j * g->b_column, n, g->b_column, k, g->b_row,
                 COLUMNS);
            for (int64_t i = 0; i < g->m; i += BLOCK_M) {
                int64_t m = least(BLOCK_M, g->m - i);
                pack(packed_a, g->a + i * g->a_row + p * g->a_column, m, g->a_row, k, g->a_column,
                     ROWS);
                block(packed_a, packed_b, m, n, k, g->c + i * g->ldc + j, g->ldc, p > 0 || g->add);
            }
        }
    }
}
