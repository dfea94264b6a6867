/*
 * Conformance cases: input values, expected results, comparison.
 *
 * The first letter of an input's name says what f32 values it gets:
 *     x, w  magnitudes in 0.02 .. 1.5 with random signs
 *     p     in 0.001 .. 10
 *     d     distinct: a shuffled grid over -1 .. 1
 *     l     magnitudes in 1e3 .. 1e6 with random signs
 *     e     in -90 .. 90
 *     s     as x, mixed with +-0, +-1, denormals, FLT_MIN and 1e30
 *     z     as s without denormals
 *     n     as x, mixed with infinities and NaN
 * i32: "index7" -2 .. 8, to be clamped to 0 .. 6; "label7" 0 .. 6; "rng" a
 * key; others small numbers and the limits of i32. u8: 0 .. 255. "hyper" are
 * an update's. Values depend on the name and the element only.
 */
#include "tests/lib/cases_internal.h"

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the list ---------------------------------------------------------------------------- */

void case_emit(const struct case_sink *sink, struct kiln_case one, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(one.name, sizeof one.name, format, args);
    va_end(args);
    if (!one.runs)
        one.runs = 1;
    sink->visit(sink->user, &one);
}

const char *case_shape(struct kiln_shape shape)
{
    static char text[3][96];
    static int next;
    next = (next + 1) % 3;
    return kiln_shape_text(&shape, text[next], sizeof text[next]);
}

void kiln_cases_visit(void (*visit)(void *user, const struct kiln_case *), void *user)
{
    const struct case_sink sink = {visit, user};
    cases_pointwise(&sink);
    cases_chains(&sink);
    cases_movement(&sink);
    cases_reductions(&sink);
    cases_matmul(&sink);
    cases_attention(&sink);
    cases_conv(&sink);
    cases_spatial(&sink);
    cases_rows(&sink);
    cases_blocks(&sink);
    cases_effects(&sink);
}

kiln_graph *kiln_case_graph(const struct kiln_case *one)
{
    kiln_graph *graph = kiln_graph_create();
    if (graph)
        one->build(graph, one);
    return graph;
}

void case_output_with_gradients(kiln_graph *g, kiln_node y)
{
    enum { MAX_VARIABLES = 32 };
    kiln_node xs[MAX_VARIABLES], gradients[MAX_VARIABLES], count = kiln_graph_count(g);
    int n = 0;
    struct kiln_node_info node;
    for (kiln_node id = 1; id <= count && n < MAX_VARIABLES; id++)
        if (kiln_graph_node(g, id, &node) &&
            ((node.op == KILN_OP_INPUT && node.dtype == KILN_F32) ||
             (node.op == KILN_OP_STATE && node.state->trainable)))
            xs[n++] = id;
    kiln_graph_output(g, "y", y);
    kiln_node weighted = kiln_mul(g, y, case_in(g, "weight of y", kiln_shape(g, y)));
    kiln_grad(g, weighted, n, xs, gradients);
    for (int i = 0; i < n; i++) {
        char name[160];
        kiln_graph_node(g, xs[i], &node);
        snprintf(name, sizeof name, "d_%s", node.name);
        kiln_graph_output(g, name, gradients[i]);
    }
}

/* --- values ------------------------------------------------------------------------------ */

/* 32 random bits of a name's element. */
static uint32_t bits(const char *name, uint64_t i, uint32_t salt)
{
    uint64_t h = 0xcbf29ce484222325ull + salt;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 0x100000001b3ull;
    h = (h ^ i) * 0x9E3779B97F4A7C15ull;
    h = (h ^ h >> 31) * 0xBF58476D1CE4E5B9ull;
    return (uint32_t)(h >> 32);
}

static double uniform(const char *name, uint64_t i, uint32_t salt)
{
    return ((double)bits(name, i, salt) + 0.5) * 0x1p-32;
}

static double with_sign(const char *name, uint64_t i, double x)
{
    return bits(name, i, 1) & 1 ? -x : x;
}

static float special(const char *name, uint64_t i, bool denormals)
{
    static const float list[] = {0.0f,   -0.0f,  1.0f,        -1.0f, FLT_MIN, -FLT_MIN, 1e30f,
                                 -1e30f, 1e-30f, 16777216.0f, 0.5f,  -0.5f,   1e-40f,   -1e-45f};
    enum { N = sizeof list / sizeof *list, DENORMALS = 2 };
    uint32_t pick = bits(name, i, 2) % (2 * N);
    if (pick < N - (denormals ? 0 : DENORMALS))
        return list[pick];
    return (float)with_sign(name, i, 0.02 + 1.48 * uniform(name, i, 0));
}

static float wild(const char *name, uint64_t i)
{
    switch (bits(name, i, 2) % 8) {
    case 0:
        return INFINITY;
    case 1:
        return -INFINITY;
    case 2:
        return NAN;
    default:
        return (float)with_sign(name, i, 0.02 + 1.48 * uniform(name, i, 0));
    }
}

/* A permutation of 0 .. n - 1 by multiplication with a number prime to n. */
static float distinct(const char *name, uint64_t i, uint64_t n)
{
    uint64_t factor = bits(name, 0, 3) % n + 1, a = factor, b = n;
    for (;;) { /* Euclid: the next factor that is prime to n */
        while (b) {
            uint64_t rest = a % b;
            a = b;
            b = rest;
        }
        if (a == 1)
            break;
        a = ++factor;
        b = n;
    }
    return (float)(((double)(i * factor % n) + 0.5) / (double)n * 2 - 1);
}

static float real_value(const char *name, uint64_t i, uint64_t n)
{
    double u = uniform(name, i, 0);
    switch (name[0]) {
    case 'p':
        return (float)(0.001 * pow(1e4, u));
    case 'd':
        return distinct(name, i, n);
    case 'l':
        return (float)with_sign(name, i, 1e3 * pow(1e3, u));
    case 'e':
        return (float)(180 * u - 90);
    case 's':
        return special(name, i, true);
    case 'z':
        return special(name, i, false);
    case 'n':
        return wild(name, i);
    default:
        return (float)with_sign(name, i, 0.02 + 1.48 * u);
    }
}

static int32_t integer_value(const char *name, uint64_t i, int run)
{
    static const int32_t list[] = {0, 1, -1, INT32_MAX, INT32_MIN, 1000, -77};
    double u = uniform(name, i, 0);
    if (!strcmp(name, "rng"))
        return (int32_t)(i == 2 ? run : i == 3 ? 5 : (int)bits(name, i, 0));
    if (!strncmp(name, "index", 5))
        return (int32_t)floor(u * (atof(name + 5) + 4)) - 2;
    if (!strncmp(name, "label", 5))
        return (int32_t)floor(u * atof(name + 5));
    return u < 0.5 ? list[bits(name, i, 2) % 7] : (int32_t)bits(name, i, 3) % 5000;
}

static float hyper_value(const struct kiln_case *one, enum kiln_hyper word, int run)
{
    const double beta1 = 0.8, beta2 = 0.95;
    double values[KILN_HYPER_WORDS] = {
        [KILN_HYPER_LEARNING_RATE] = 0.05,
        [KILN_HYPER_BETA1] = beta1,
        [KILN_HYPER_BETA2] = beta2,
        [KILN_HYPER_EPSILON] = 1e-3,
        [KILN_HYPER_WEIGHT_DECAY] = 0.1,
        [KILN_HYPER_CORRECTION1] = 1 - pow(beta1, run + 1),
        [KILN_HYPER_CORRECTION2] = 1 - pow(beta2, run + 1),
        [KILN_HYPER_CLIP_NORM] = (double)one->v[0],
        [KILN_HYPER_EMA_DECAY] = 0.9,
        [KILN_HYPER_CLAMP] = (double)one->v[1] / 100,
        [KILN_HYPER_LOSS_SCALE] = one->v[2] ? (double)one->v[2] : 1,
    };
    return (float)values[word];
}

/* Parameters within their initial range, so that activations stay near 1;
 * buffers, which may be variances, positive. */
static float state_value(const struct kiln_state *state, uint64_t i, uint64_t n)
{
    if (!state->trainable)
        return real_value("p", i, n);
    if (state->init.kind != KILN_INIT_UNIFORM)
        return (float)with_sign(state->name, i, 0.02 + 1.48 * uniform(state->name, i, 0));
    return state->init.a + (state->init.b - state->init.a) * (float)uniform(state->name, i, 0);
}

void kiln_case_values(const struct kiln_case *one, const struct kiln_node_info *source, int run,
                      void *data)
{
    uint64_t n = (uint64_t)kiln_shape_count(&source->shape);
    const char *name = source->name;
    bool is_buffer = source->op == KILN_OP_STATE && !source->state->trainable;
    for (uint64_t i = 0; i < n; i++) {
        if (source->dtype == KILN_I32)
            ((int32_t *)data)[i] = is_buffer ? 7 : integer_value(name, i, run);
        else if (source->dtype == KILN_U8)
            ((uint8_t *)data)[i] = (uint8_t)bits(name, i, 0);
        else if (!strcmp(name, "hyper"))
            ((float *)data)[i] = hyper_value(one, (enum kiln_hyper)i, run);
        else if (source->op == KILN_OP_STATE)
            ((float *)data)[i] = state_value(source->state, i, n);
        else
            ((float *)data)[i] = real_value(name, i, n);
    }
}
