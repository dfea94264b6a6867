/*
 * The kernels of simd_winograd_phases.c for one size of the convolution's
 * kernel: included once with KERNEL 4 and once with 5. A phase has 2 taps an
 * axis, or at most 3, of which the second phase lacks the last.
 */
#if KERNEL == 4
#define SIDE            5
#define TAPS            2
#define TRANSFORM(name) winograd_##name##_2
#define NAME(name)      name##_4
#else
#define SIDE            6
#define TAPS            3
#define TRANSFORM(name) winograd_##name
#define NAME(name)      name##_5
#endif

/* Taps of a phase are two apart in the kernel. */
#define TAP(i, j)            (2 * KERNEL * (i) + 2 * (j))
#define HAS_TAP(phase, i, j) (2 * (i) + (phase) / 2 < KERNEL && 2 * (j) + (phase) % 2 < KERNEL)

static void NAME(source)(const struct cpu_winograd_map *map, float *to, int64_t apart)
{
    lanes t[SIDE][SIDE], d[SIDE], r[SIDE];
    UNROLL
    for (int j = 0; j < SIDE; j++) {
        winograd_prefetch(map, SIDE, j, map->step);
        winograd_column(map, j, SIDE, map->step, d);
        TRANSFORM(source)(d, r);
        UNROLL
        for (int i = 0; i < SIDE; i++)
            t[i][j] = r[i];
    }
    UNROLL
    for (int i = 0; i < SIDE; i++) {
        TRANSFORM(source)(t[i], r);
        winograd_put_row(to + i * SIDE * apart, apart, r, SIDE);
    }
}

static void NAME(target)(const float *from, int64_t apart, const struct cpu_winograd_map *map)
{
    lanes t[4][SIDE], m[SIDE], y[4];
    UNROLL
    for (int j = 0; j < SIDE; j++) {
        UNROLL
        for (int i = 0; i < SIDE; i++)
            m[i] = lanes_at(from + (i * SIDE + j) * apart);
        TRANSFORM(target)(m, y);
        UNROLL
        for (int i = 0; i < 4; i++)
            t[i][j] = y[i];
    }
    UNROLL
    for (int i = 0; i < 4; i++) {
        TRANSFORM(target)(t[i], y);
        winograd_put_target(map, i, map->step, y);
    }
}

/* The taps of one source channel for LANES target channels. */
static void NAME(transform_weights)(const float *taps, int64_t tap, int phase, float *to,
                                    int64_t apart, bool reverse)
{
    lanes t[SIDE][TAPS], g[TAPS], r[SIDE];
    UNROLL
    for (int j = 0; j < TAPS; j++) {
        UNROLL
        for (int i = 0; i < TAPS; i++) {
            int row = reverse ? TAPS - 1 - i : i, column = reverse ? TAPS - 1 - j : j;
            g[i] =
                HAS_TAP(phase, row, column) ? lanes_at(taps + TAP(row, column) * tap) : (lanes){0};
        }
        TRANSFORM(taps)(g, r);
        UNROLL
        for (int i = 0; i < SIDE; i++)
            t[i][j] = r[i];
    }
    UNROLL
    for (int i = 0; i < SIDE; i++) {
        TRANSFORM(taps)(t[i], r);
        winograd_put_row(to + i * SIDE * apart, apart, r, SIDE);
    }
}

static void NAME(weights)(const float *taps, int64_t tap, int64_t row, int phase, bool back,
                          float *to, int64_t apart)
{
    enum { SQUARE = LANES * LANES };
    float turned[(TAP(TAPS - 1, TAPS - 1) + 1) * SQUARE];
    for (int i = 0; i < TAPS && back; i++)
        for (int j = 0; j < TAPS; j++)
            if (HAS_TAP(phase, i, j))
                transpose_square(turned + TAP(i, j) * SQUARE, LANES, taps + TAP(i, j) * tap, row);
    for (int c = 0; c < LANES; c++)
        NAME(transform_weights)
        (back ? turned + c * LANES : taps + c * row, back ? SQUARE : tap, phase, to + c * 2 * LANES,
         apart, back);
}

/* --- the weight gradient ---------------------------------------------------- */

static void NAME(outputs)(const struct cpu_winograd_map *map, float *to, int64_t apart)
{
    lanes t[SIDE][4], g[4], r[SIDE];
    UNROLL
    for (int j = 0; j < 4; j++) {
        winograd_prefetch(map, 4, j, map->step);
        winograd_column(map, j, 4, map->step, g);
        TRANSFORM(outputs)(g, r);
        UNROLL
        for (int i = 0; i < SIDE; i++)
            t[i][j] = r[i];
    }
    UNROLL
    for (int i = 0; i < SIDE; i++) {
        TRANSFORM(outputs)(t[i], r);
        winograd_put_row(to + i * SIDE * apart, apart, r, SIDE);
    }
}

static void NAME(taps)(const float *sums, int64_t apart, int64_t parts, int phase, float *out,
                       int64_t tap)
{
    lanes t[TAPS][SIDE], m[SIDE], y[TAPS];
    UNROLL
    for (int j = 0; j < SIDE; j++) {
        UNROLL
        for (int i = 0; i < SIDE; i++) {
            m[i] = lanes_at(sums + (i * SIDE + j) * apart);
            for (int64_t part = 1; part < parts; part++)
                m[i] += lanes_at(sums + (part * SIDE * SIDE + i * SIDE + j) * apart);
        }
        TRANSFORM(gradient)(m, y);
        UNROLL
        for (int i = 0; i < TAPS; i++)
            t[i][j] = y[i];
    }
    UNROLL
    for (int i = 0; i < TAPS; i++) {
        TRANSFORM(gradient)(t[i], y);
        UNROLL
        for (int j = 0; j < TAPS; j++)
            if (HAS_TAP(phase, i, j))
                lanes_put(out + TAP(i, j) * tap, y[j]);
    }
}

static const struct cpu_simd_winograd NAME(winograd) = {.lanes = LANES,
                                                        .rows = WINOGRAD_ROWS,
                                                        .elements = SIDE * SIDE,
                                                        .source = NAME(source),
                                                        .target = NAME(target),
                                                        .weights = NAME(weights),
                                                        .multiply = SIMD(cpu_winograd_multiply)};

static const struct cpu_simd_winograd_weight NAME(winograd_weight) = {.lanes = LANES,
                                                                      .elements = SIDE * SIDE,
                                                                      .source = NAME(source),
                                                                      .outputs = NAME(outputs),
                                                                      .add = SIMD(cpu_winograd_add),
                                                                      .taps = NAME(taps)};

#undef SIDE
#undef TAPS
#undef TRANSFORM
#undef NAME
#undef TAP
#undef HAS_TAP
#undef KERNEL
