/*
 * Convolutions between few and many channels, for blocks of BLOCK channels;
 * included once per block by simd_edge.c. A block is PARTS vectors of WIDTH.
 * What the three kernels compute is said at struct cpu_simd_edge.
 */

#define WIDTH (LANES < BLOCK ? LANES : BLOCK)
#define PARTS (BLOCK / WIDTH)

typedef float VECTOR __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));

static inline VECTOR NAMED(at)(const float *p)
{
    return *(const VECTOR *)(const void *)p;
}

static inline void NAMED(put)(float *p, VECTOR x)
{
    *(VECTOR *)(void *)p = x;
}

/* Sum of the lanes, by halves through the stack: no step waits long, since
 * neighbouring sums overlap. */
static inline float NAMED(total)(VECTOR x)
{
    float f[WIDTH];
    NAMED(put)(f, x);
    struct four a = four_at(f);
    for (int j = 4; j < WIDTH; j += 4)
        a.x += four_at(f + j).x;
    float g[4];
    memcpy(g, &a.x, sizeof g);
    return (g[0] + g[1]) + (g[2] + g[3]);
}

/* --- few to many ------------------------------------------------------------- */

/* pixels * blocks vectors of output; both are constants where it is inlined. */
static inline __attribute__((always_inline)) void NAMED(spread_tile)(const struct cpu_edge_call *e,
                                                                     float *out, const float *in,
                                                                     const float *w, int pixels,
                                                                     int blocks)
{
    VECTOR sum[16];
    for (int i = 0; i < pixels * blocks; i++)
        sum[i] = (VECTOR){0};
    for (int t = 0; t < e->n_terms; t++) {
        const float *x = in + e->terms[t].u, *v = w + e->terms[t].w;
        for (int b = 0; b < blocks; b++) {
            VECTOR weight = NAMED(at)(v + b * e->w_block);
            for (int p = 0; p < pixels; p++)
                sum[b * pixels + p] += weight * x[p * e->u_step];
        }
    }
    for (int b = 0; b < blocks; b++)
        for (int p = 0; p < pixels; p++)
            NAMED(put)(out + b * e->t_block + p * e->t_step, sum[b * pixels + p]);
}

/* All pixels of a run for some blocks. */
#define SPREAD(blocks_)                                                                            \
    do {                                                                                           \
        int64_t q = 0;                                                                             \
        for (; q + SPREAD_PIXELS <= e->n; q += SPREAD_PIXELS)                                      \
            NAMED(spread_tile)                                                                     \
            (e, to + q * e->t_step, in + q * e->u_step, v, SPREAD_PIXELS, blocks_);                \
        for (; q + 2 <= e->n; q += 2)                                                              \
            NAMED(spread_tile)(e, to + q * e->t_step, in + q * e->u_step, v, 2, blocks_);          \
        for (; q < e->n; q++)                                                                      \
            NAMED(spread_tile)(e, to + q * e->t_step, in + q * e->u_step, v, 1, blocks_);          \
    } while (0)

static void NAMED(spread)(const struct cpu_edge_call *e, float *out, const float *in,
                          const float *w)
{
    for (int part = 0; part < PARTS; part++) {
        float *to = out + part * WIDTH;
        const float *v = w + part * WIDTH;
        int b = 0;
        for (; b + 2 <= e->blocks; b += 2, to += 2 * e->t_block, v += 2 * e->w_block)
            SPREAD(2);
        for (; b < e->blocks; b++, to += e->t_block, v += e->w_block)
            SPREAD(1);
    }
}

/* --- many to few ------------------------------------------------------------- */

static inline __attribute__((always_inline)) void NAMED(dot_tile)(const struct cpu_edge_call *e,
                                                                  float *out, const float *in,
                                                                  const float *w, int pixels,
                                                                  int few)
{
    VECTOR sum[16];
    for (int i = 0; i < pixels * few; i++)
        sum[i] = (VECTOR){0};
    for (int t = 0; t < e->n_terms; t++) {
        const float *x = in + e->terms[t].u, *v = w + e->terms[t].w;
        for (int b = 0; b < e->blocks; b++, x += e->u_block, v += e->w_block)
            for (int part = 0; part < BLOCK; part += WIDTH)
                for (int f = 0; f < few; f++) {
                    VECTOR weight = NAMED(at)(v + f * e->w_few + part);
                    for (int p = 0; p < pixels; p++)
                        sum[f * pixels + p] += weight * NAMED(at)(x + p * e->u_step + part);
                }
    }
    for (int f = 0; f < few; f++)
        for (int p = 0; p < pixels; p++)
            out[f * e->few_stride + p * e->t_step] = NAMED(total)(sum[f * pixels + p]);
}

#define DOT(few, wide)                                                                             \
    case few:                                                                                      \
        for (; q + wide <= e->n; q += wide)                                                        \
            NAMED(dot_tile)(e, out + q * e->t_step, in + q * e->u_step, w, wide, few);             \
        for (; q < e->n; q++)                                                                      \
            NAMED(dot_tile)(e, out + q * e->t_step, in + q * e->u_step, w, 1, few);                \
        break;

static void NAMED(dot)(const struct cpu_edge_call *e, float *out, const float *in, const float *w)
{
    int64_t q = 0;
    switch (e->few) {
        DOT(1, 8)
        DOT(2, 4)
        DOT(3, 4)
        DOT(4, DOT_PIXELS_4)
    default:
        break;
    }
}

/* --- weights ------------------------------------------------------------------- */

static inline __attribute__((always_inline)) void
NAMED(outer_terms)(const struct cpu_edge_call *e, float *w, const float *big, const float *few,
                   const struct cpu_edge_term *terms, int n)
{
    VECTOR sum[12];
    for (int t = 0; t < n; t++)
        sum[t] = NAMED(at)(w + terms[t].w);
    for (int64_t q = 0; q < e->n; q++) {
        VECTOR x = NAMED(at)(big + q * e->t_step);
        for (int t = 0; t < n; t++)
            sum[t] += x * few[terms[t].u + q * e->u_step];
    }
    for (int t = 0; t < n; t++)
        NAMED(put)(w + terms[t].w, sum[t]);
}

static void NAMED(outer)(const struct cpu_edge_call *e, float *w, const float *big,
                         const float *few)
{
    for (int part = 0; part < PARTS; part++, w += WIDTH, big += WIDTH) {
        int t = 0;
        for (; t + 12 <= e->n_terms; t += 12)
            NAMED(outer_terms)(e, w, big, few, e->terms + t, 12);
        for (; t + 9 <= e->n_terms; t += 9)
            NAMED(outer_terms)(e, w, big, few, e->terms + t, 9);
        for (; t + 4 <= e->n_terms; t += 4)
            NAMED(outer_terms)(e, w, big, few, e->terms + t, 4);
        for (; t + 2 <= e->n_terms; t += 2)
            NAMED(outer_terms)(e, w, big, few, e->terms + t, 2);
        for (; t < e->n_terms; t++)
            NAMED(outer_terms)(e, w, big, few, e->terms + t, 1);
    }
}

#undef WIDTH
#undef PARTS
#undef SPREAD
#undef DOT
