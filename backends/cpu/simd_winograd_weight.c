/* Winograd's transforms for the weight gradient, and the sums over tiles: the
 * kernels of conv_winograd_weight.c. */
#include "backends/cpu/simd.h"
#include "backends/cpu/simd_winograd.h"

/* The register tile of the sums: channels of x by two vectors of channels of dy. */
#define ROWS (LANES == 16 ? 8 : 4)

static void outputs(const struct cpu_winograd_map *map, float *to, int64_t apart)
{
    lanes t[6][4], g[4], r[6];
    UNROLL
    for (int j = 0; j < 4; j++) {
        winograd_prefetch(map, 4, j, 1);
        winograd_column(map, j, 4, 1, g);
        winograd_outputs(g, r);
        UNROLL
        for (int i = 0; i < 6; i++)
            t[i][j] = r[i];
    }
    UNROLL
    for (int i = 0; i < 6; i++) {
        winograd_outputs(t[i], r);
        winograd_put_row(to + i * 6 * apart, apart, r, 6);
    }
}

/* ROWS channels of x by `vectors` vectors of dy */
static inline __attribute__((always_inline)) void sum_tile(const struct cpu_winograd_sums *s,
                                                           const float *x, const float *y,
                                                           float *out, const int vectors)
{
    lanes sum[ROWS][2];
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < vectors; j++)
            sum[i][j] = s->begin ? (lanes){0} : lanes_at(out + i * s->row + j * LANES);
    for (int64_t t = 0; t < s->tiles; t++, x += s->x_channels, y += s->y_channels) {
        lanes d[2];
        for (int j = 0; j < vectors; j++)
            d[j] = lanes_at(y + j * LANES);
        for (int i = 0; i < ROWS; i++)
            for (int j = 0; j < vectors; j++)
                sum[i][j] += d[j] * x[i];
    }
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < vectors; j++)
            lanes_put(out + i * s->row + j * LANES, sum[i][j]);
}

void SIMD(cpu_winograd_add)(const struct cpu_winograd_sums *s)
{
    for (int64_t o = 0; o < s->y_channels; o += 2 * LANES)
        for (int64_t c = 0; c < s->x_channels; c += ROWS)
            if (s->y_channels - o >= 2 * LANES)
                sum_tile(s, s->x + c, s->y + o, s->sums + c * s->row + o, 2);
            else
                sum_tile(s, s->x + c, s->y + o, s->sums + c * s->row + o, 1);
}

static void taps(const float *sums, int64_t apart, int64_t parts, int phase, float *out,
                 int64_t tap)
{
    (void)phase;
    lanes t[3][6], m[6], y[3];
    UNROLL
    for (int j = 0; j < 6; j++) {
        UNROLL
        for (int i = 0; i < 6; i++) {
            m[i] = lanes_at(sums + (i * 6 + j) * apart);
            for (int64_t part = 1; part < parts; part++)
                m[i] += lanes_at(sums + (part * 36 + i * 6 + j) * apart);
        }
        winograd_gradient(m, y);
        UNROLL
        for (int i = 0; i < 3; i++)
            t[i][j] = y[i];
    }
    UNROLL
    for (int i = 0; i < 3; i++) {
        winograd_gradient(t[i], y);
        UNROLL
        for (int j = 0; j < 3; j++)
            lanes_put(out + (i * 3 + j) * tap, y[j]);
    }
}

const struct cpu_simd_winograd_weight SIMD(cpu_simd_winograd_weight) = {
    .lanes = LANES,
    .elements = 36,
    .source = SIMD(cpu_winograd_source),
    .outputs = outputs,
    .add = SIMD(cpu_winograd_add),
    .taps = taps};
