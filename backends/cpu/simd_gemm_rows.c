/*
 * Matrix product on one thread where both operands' rows lie along k, as those of
 * a linear layer do: few rows of A are packed, the many of B are read where they
 * lie, each element broadcast. So B, the weights, is not copied for a batch of
 * some rows. The result is made transposed, [n][columns], and put right at the end.
 */
#include "backends/cpu/simd.h"
#include "backends/cpu/simd_pack.h"

#define ROWS    (LANES == 16 ? 12 : LANES == 8 ? 6 : 4)
#define VECTORS 2
#define COLUMNS (VECTORS * LANES)
#define BLOCK_K 256
#define BLOCK_N 1024

_Static_assert(sizeof(float) * (BLOCK_K + BLOCK_N + 1) * COLUMNS <= CPU_GEMM_BUFFER_BYTES,
               "buffer");

/* sums[i][j] (+)= rows[i][0 .. k - 1] times the packed panel [k][vectors LANES] */
static inline __attribute__((always_inline)) void tile(int64_t k, const float *rows, int64_t stride,
                                                       const float *panel, float *sums, bool add,
                                                       const int n, const int vectors)
{
    lanes sum[ROWS][VECTORS];
    for (int i = 0; i < n; i++)
        for (int j = 0; j < vectors; j++)
            sum[i][j] = add ? lanes_at(sums + (i * vectors + j) * LANES) : (lanes){0};
    for (int64_t p = 0; p < k; p++, panel += vectors * LANES)
        for (int i = 0; i < n; i++)
            for (int j = 0; j < vectors; j++)
                sum[i][j] += lanes_at(panel + j * LANES) * rows[i * stride + p];
    for (int i = 0; i < n; i++)
        for (int j = 0; j < vectors; j++)
            lanes_put(sums + (i * vectors + j) * LANES, sum[i][j]);
}

/* n rows of B by one packed panel. */
static inline __attribute__((always_inline)) void panel_rows(int64_t k, const float *rows,
                                                             int64_t stride, int64_t n,
                                                             const float *panel, float *sums,
                                                             bool add, const int vectors)
{
    int64_t i = 0, width = vectors * LANES;
    for (; i + ROWS <= n; i += ROWS)
        tile(k, rows + i * stride, stride, panel, sums + i * width, add, ROWS, vectors);
    for (; i + 4 <= n; i += 4)
        tile(k, rows + i * stride, stride, panel, sums + i * width, add, 4, vectors);
    for (; i < n; i++)
        tile(k, rows + i * stride, stride, panel, sums + i * width, add, 1, vectors);
}

void SIMD(cpu_simd_gemm_rows)(const struct cpu_gemm *g, float *buffer)
{
    float *panel = buffer, *sums = buffer + (BLOCK_K + 1) * COLUMNS;
    for (int64_t j = 0; j < g->n; j += BLOCK_N)
        for (int64_t i = 0; i < g->m; i += COLUMNS) {
            int64_t n = g->n - j < BLOCK_N ? g->n - j : BLOCK_N;
            int m = g->m - i < COLUMNS ? (int)(g->m - i) : COLUMNS;
            int vectors = m > LANES ? VECTORS : 1;
            for (int64_t p = 0; p < g->k; p += BLOCK_K) {
                int64_t k = g->k - p < BLOCK_K ? g->k - p : BLOCK_K;
                const float *rows = g->b + j * g->b_column + p;
                pack_rows(panel, vectors * LANES, g->a + i * g->a_row + p, g->a_row, m, k);
                if (vectors == 1)
                    panel_rows(k, rows, g->b_column, n, panel, sums, p > 0, 1);
                else
                    panel_rows(k, rows, g->b_column, n, panel, sums, p > 0, VECTORS);
            }
            transpose(g->c + i * g->ldc + j, g->ldc, sums, vectors * LANES, n, m);
        }
}
