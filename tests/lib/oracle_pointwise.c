/* Pointwise ops and random numbers of the oracle. */
#include "tests/lib/oracle_internal.h"

#include <math.h>

#include "core/api/rng.h"

#define TWO_PI           6.283185307179586
#define TWO_OVER_SQRT_PI 1.1283791670955126

/* A result with its slopes by the operands, and its rounding in ULP. */
struct point {
    double y, slope[2], ulp;
};

static double wrap_i32(double x)
{
    return (double)(int32_t)(uint32_t)(int64_t)x;
}

/* IEEE half from a float, to nearest even, back as a double. */
static double to_half(double x)
{
    float f = (float)x;
    if (f == 0 || !isfinite(f))
        return (double)f;
    int exponent;
    frexp((double)f, &exponent);
    double unit = ldexp(1, (exponent < -13 ? -13 : exponent) - 11); /* denormals below 2^-14 */
    double rounded = nearbyint((double)f / unit) * unit;
    return fabs(rounded) > 65504 ? copysign(INFINITY, rounded) : rounded;
}

static double cast(enum kiln_dtype from, enum kiln_dtype to, double x)
{
    switch (to) {
    case KILN_I32:
        return from == KILN_U8 ? x : x != x ? 0 : trunc(fmin(fmax(x, INT32_MIN), INT32_MAX));
    case KILN_U8:
        return x != x ? 0 : fmin(fmax(from == KILN_I32 ? x : round(x), 0), 255);
    case KILN_F16:
        return to_half(x);
    default:
        return from == KILN_I32 ? (double)(float)x : x;
    }
}

static struct point unary(enum kiln_op op, double x)
{
    double e;
    switch (op) {
    case KILN_OP_NEG:
        return (struct point){-x, {1}, 0};
    case KILN_OP_ABS:
        return (struct point){fabs(x), {1}, 0};
    case KILN_OP_EXP:
        return (struct point){exp(x), {exp(x)}, 3};
    case KILN_OP_EXPM1:
        return (struct point){expm1(x), {exp(x)}, 3};
    case KILN_OP_LOG:
        return (struct point){log(x), {1 / x}, 3};
    case KILN_OP_LOG1P:
        return (struct point){log1p(x), {1 / (1 + x)}, 2};
    case KILN_OP_SQRT:
        return (struct point){sqrt(x), {0.5 / sqrt(x)}, 3};
    case KILN_OP_SIN:
        return (struct point){sin(x), {1}, 4};
    case KILN_OP_COS:
        return (struct point){cos(x), {1}, 4};
    case KILN_OP_TANH:
        return (struct point){tanh(x), {1 - tanh(x) * tanh(x)}, 5};
    case KILN_OP_ERF:
        return (struct point){erf(x), {TWO_OVER_SQRT_PI * exp(-x * x)}, 16};
    case KILN_OP_SIGMOID:
        e = exp(-fabs(x));
        return (struct point){(x < 0 ? e : 1) / (1 + e), {e / (1 + e) / (1 + e)}, 8};
    case KILN_OP_FLOOR:
        return (struct point){floor(x), {0}, 0};
    default: /* STOP_GRADIENT */
        return (struct point){x, {1}, 0};
    }
}

static struct point binary(enum kiln_op op, double a, double b)
{
    double y;
    switch (op) {
    case KILN_OP_ADD:
        return (struct point){a + b, {1, 1}, 1};
    case KILN_OP_SUB:
        return (struct point){a - b, {1, 1}, 1};
    case KILN_OP_MUL:
        return (struct point){a * b, {b, a}, 1};
    case KILN_OP_DIV:
        return (struct point){a / b, {1 / b, a / b / b}, 2.5};
    case KILN_OP_POW:
        y = pow(a, b);
        return (struct point){y, {b * pow(a, b - 1), a > 0 ? y * log(a) : 0}, 16};
    case KILN_OP_MAX:
        return (struct point){a >= b || a != a ? a : b, {b <= a, !(b <= a)}, 0};
    case KILN_OP_MIN:
        return (struct point){a <= b || a != a ? a : b, {a <= b, !(a <= b)}, 0};
    case KILN_OP_LESS:
        return (struct point){a < b, {0}, 0};
    case KILN_OP_LESS_EQUAL:
        return (struct point){a <= b, {0}, 0};
    default: /* EQUAL */
        return (struct point){a == b, {0}, 0};
    }
}

void oracle_pointwise(struct oracle_op *op)
{
    enum kiln_op kind = op->node.op;
    const struct oracle_tensor *a = &op->in[0], *b = op->node.n_operands > 1 ? &op->in[1] : a;
    struct oracle_tensor *out = op->out;
    bool is_cast = kind == KILN_OP_CAST, integer = op->node.dtype == KILN_I32 && !is_cast;
    for (int64_t i = 0; i < out->n; i++) {
        struct point p;
        if (kind == KILN_OP_SELECT) {
            bool first = a->value[i] != 0;
            a = first ? &op->in[1] : &op->in[2];
            p = (struct point){a->value[i], {1, 0}, 0};
        } else if (is_cast) {
            p = (struct point){cast(op->operands[0].dtype, op->node.dtype, a->value[i]), {1}, 0};
        } else if (op->node.n_operands == 2) {
            p = binary(kind, a->value[i], b->value[i]);
        } else {
            p = unary(kind, a->value[i]);
        }
        out->value[i] = integer ? wrap_i32(p.y) : p.y;
        if (out->bound) {
            double carried = a->bound[i] > 0 ? fabs(p.slope[0]) * a->bound[i] : 0;
            if (op->node.n_operands == 2 && b->bound[i] > 0)
                carried += fabs(p.slope[1]) * b->bound[i];
            oracle_round(out, i, fabs(p.y), integer ? 0 : p.ulp, carried);
        }
        a = &op->in[0];
    }
}

/* --- random ---------------------------------------------------------------------- */

static double random_element(const struct kiln_rng *rng, const uint32_t *words, uint32_t lane,
                             double *radius)
{
    *radius = 0;
    if (rng->kind == KILN_RNG_UNIFORM)
        return (double)kiln_uniform(words[lane]);
    if (rng->kind == KILN_RNG_INTEGER)
        return (double)(uint32_t)((uint64_t)words[lane] * rng->bound >> 32);
    double even = (double)kiln_uniform(words[lane & ~1u]);
    double angle = TWO_PI * (double)kiln_uniform(words[lane | 1u]);
    *radius = sqrt(-2 * log(even));
    return *radius * (lane & 1 ? sin(angle) : cos(angle));
}

void oracle_random(struct oracle_op *op)
{
    enum { NORMAL_ULP = 16 }; /* of the radius: log, sqrt, the angle, its cosine */
    const double *key = op->in[0].value;
    uint32_t seed[2] = {(uint32_t)(int64_t)key[KILN_RNG_SEED_LOW],
                        (uint32_t)(int64_t)key[KILN_RNG_SEED_HIGH]};
    uint32_t step = (uint32_t)(int64_t)key[KILN_RNG_STEP];
    uint32_t first = (uint32_t)(int64_t)key[KILN_RNG_FIRST_SAMPLE];
    struct oracle_tensor *out = op->out;
    int64_t samples = op->node.shape.n ? op->node.shape.d[0] : 1, per = out->n / samples;
    for (int64_t i = 0; i < out->n; i++) {
        uint32_t element = (uint32_t)(i % per), words[4];
        uint32_t counter[4] = {element / 4, first + (uint32_t)(i / per), step,
                               op->node.params->rng.stream};
        kiln_philox(counter, seed, words);
        double radius;
        out->value[i] = random_element(&op->node.params->rng, words, element % 4, &radius);
        oracle_round(out, i, fmax(radius, fabs(out->value[i])), radius > 0 ? NORMAL_ULP : 0, 0);
    }
}
