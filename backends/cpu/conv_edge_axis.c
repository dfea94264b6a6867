/*
 * Axes of convolutions with few channels.
 *
 * Along an axis, target index t = start + q t_step and other index
 * u = q u_step + shift of the tap: for the forward form t is y and u is x; for
 * the transposed form t is x, in one phase for each residue of its index by
 * the stride, and u is y. Runs of q that the same taps meet are segments, so
 * that padding needs no copies and no tests.
 */
#include "backends/cpu/conv_edge.h"

#include <stdlib.h>

/* The taps that meet q, with u at q. */
static void meet(struct segment *segment, int64_t q, int64_t u_extent, const struct tap *taps,
                 int n)
{
    segment->n_taps = 0;
    for (int i = 0; i < n; i++) {
        int64_t u = q * segment->u_step + taps[i].u;
        if (u >= 0 && u < u_extent)
            segment->taps[segment->n_taps++] = (struct tap){taps[i].k, u};
    }
}

/* True if b continues a run that began with a, n steps before. */
static bool continues(const struct segment *a, const struct segment *b, int64_t n)
{
    if (a->n_taps != b->n_taps)
        return false;
    for (int i = 0; i < a->n_taps; i++)
        if (a->taps[i].k != b->taps[i].k || a->taps[i].u + n * a->u_step != b->taps[i].u)
            return false;
    return true;
}

/* Adds one phase: count values of q; taps' u are shifts. */
static void add_phase(struct axis *axis, struct segment phase, int64_t count, int64_t u_extent,
                      const struct tap *taps, int n_taps)
{
    struct segment *last = NULL;
    for (int64_t q = 0; q < count; q++) {
        struct segment next = phase;
        next.t = phase.t + q * phase.t_step;
        next.n = 1;
        meet(&next, q, u_extent, taps, n_taps);
        if (last && continues(last, &next, last->n)) {
            last->n++;
            continue;
        }
        last = &axis->segments[axis->n++];
        *last = next;
    }
}

bool cpu_conv_edge_axis(const struct kiln_step_conv *s, int which, bool transposed,
                        struct axis *axis)
{
    int64_t k = which ? s->kw : s->kh, x = which ? s->w : s->h, y = which ? s->ow : s->oh;
    int64_t stride = s->conv.stride[which], dilation = s->conv.dilation[which],
            pad = s->conv.pad[2 * which];
    axis->n = 0;
    axis->segments = calloc((size_t)(transposed ? x : y), sizeof *axis->segments);
    if (!axis->segments)
        return false;
    struct tap taps[EDGE_MAX_KERNEL];
    int n = 0;
    if (!transposed) {
        for (int64_t i = 0; i < k; i++)
            taps[n++] = (struct tap){i, i * dilation - pad};
        add_phase(axis, (struct segment){.t_step = 1, .u_step = stride}, y, x, taps, n);
        return true;
    }
    for (int64_t residue = 0; residue < stride && residue < x; residue++) {
        n = 0;
        for (int64_t i = 0; i < k; i++) {
            int64_t shift = residue + pad - i * dilation;
            if (shift % stride == 0)
                taps[n++] = (struct tap){i, shift / stride};
        }
        add_phase(axis, (struct segment){.t = residue, .t_step = stride, .u_step = 1},
                  (x - residue + stride - 1) / stride, y, taps, n);
    }
    return true;
}
