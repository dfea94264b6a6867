/* Interpreter of plan steps: memory, matmul, rows, resample, random numbers
 * and the dispatch. */
#include "tests/lib/steps.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/api/rng.h"

static unsigned char *address(struct steps_memory *memory, const struct kiln_place *place,
                              int64_t element)
{
    static unsigned char nowhere[8];
    int64_t size = (int64_t)kiln_dtype_bytes(place->dtype);
    int64_t at = place->offset + element * size;
    unsigned char *region = memory->region[place->region];
    if (region && at >= 0 && at + size <= memory->bytes[place->region])
        return region + at;
    if (!memory->error)
        memory->error = "access outside its region";
    return nowhere;
}

static double half_to_double(uint16_t half)
{
    int exponent = half >> 10 & 31, mantissa = half & 1023;
    double value = exponent == 31  ? (mantissa ? NAN : INFINITY)
                   : exponent == 0 ? ldexp(mantissa, -24)
                                   : ldexp(mantissa + 1024, exponent - 25);
    return half & 0x8000 ? -value : value;
}

static uint16_t double_to_half(double value)
{
    uint16_t sign = signbit(value) ? 0x8000 : 0;
    double size = fabs(value);
    if (isnan(value))
        return 0x7e00;
    if (size >= 65520)
        return sign | 0x7c00;
    int exponent;
    frexp(size, &exponent);
    if (exponent < -13 || size == 0)
        exponent = -13; /* denormal: the spacing of the smallest normals */
    /* eleven significant bits, to nearest even; a carry runs into the exponent */
    double steps = nearbyint(ldexp(size, 11 - exponent));
    return sign | (uint16_t)((exponent + 13) * 1024 + (int)steps);
}

double steps_load(struct steps_memory *memory, const struct kiln_place *place, int64_t element)
{
    const unsigned char *at = address(memory, place, element);
    float f;
    int32_t i;
    uint16_t h;
    switch (place->dtype) {
    case KILN_F32:
        memcpy(&f, at, sizeof f);
        return f;
    case KILN_I32:
        memcpy(&i, at, sizeof i);
        return i;
    case KILN_F16:
        memcpy(&h, at, sizeof h);
        return half_to_double(h);
    default:
        return *at;
    }
}

void steps_store(struct steps_memory *memory, const struct kiln_place *place, int64_t element,
                 double value)
{
    unsigned char *at = address(memory, place, element);
    float f = (float)value;
    int32_t i = (int32_t)value;
    uint16_t h;
    switch (place->dtype) {
    case KILN_F32:
        memcpy(at, &f, sizeof f);
        return;
    case KILN_I32:
        memcpy(at, &i, sizeof i);
        return;
    case KILN_F16:
        h = double_to_half(value);
        memcpy(at, &h, sizeof h);
        return;
    default:
        value = round(value);
        *at = value < 0 ? 0 : value > 255 ? 255 : (unsigned char)value;
    }
}

static void run_matmul(const struct kiln_step_matmul *m, struct steps_memory *memory)
{
    for (int64_t b = 0; b < m->batch; b++)
        for (int64_t i = 0; i < m->m; i++)
            for (int64_t j = 0; j < m->n; j++) {
                double sum = 0;
                for (int64_t p = 0; p < m->k; p++)
                    sum +=
                        steps_load(memory, &m->a,
                                   b * m->a_stride[0] + i * m->a_stride[1] + p * m->a_stride[2]) *
                        steps_load(memory, &m->b,
                                   b * m->b_stride[0] + p * m->b_stride[1] + j * m->b_stride[2]);
                steps_store(memory, &m->c,
                            b * m->c_stride[0] + i * m->c_stride[1] + j * m->c_stride[2], sum);
            }
}

static int64_t clamped(int64_t index, int64_t rows)
{
    return index < 0 ? 0 : index >= rows ? rows - 1 : index;
}

static void run_rows(const struct kiln_step *step, struct steps_memory *memory)
{
    const struct kiln_step_rows *r = &step->as.rows;
    bool scatter = step->kind == KILN_STEP_SCATTER_ADD_ROWS;
    for (int64_t i = 0; scatter && i < r->rows * r->row_elements; i++)
        steps_store(memory, &r->table, i, 0);
    for (int64_t i = 0; i < r->n; i++) {
        int64_t row = clamped((int64_t)steps_load(memory, &r->index, i), r->rows) * r->row_elements;
        for (int64_t e = 0; e < r->row_elements; e++) {
            double in_table = steps_load(memory, &r->table, row + e);
            if (scatter)
                steps_store(memory, &r->table, row + e,
                            in_table + steps_load(memory, &r->out, i * r->row_elements + e));
            else
                steps_store(memory, &r->out, i * r->row_elements + e, in_table);
        }
    }
}

static void run_resample(const struct kiln_step_resample *r, struct steps_memory *memory)
{
    const struct kiln_sparse *v = &r->vertical, *u = &r->horizontal;
    for (int64_t o = 0; o < r->outer; o++)
        for (int64_t i = 0; i < v->n_rows; i++)
            for (int64_t j = 0; j < u->n_rows; j++)
                for (int64_t c = 0; c < r->inner; c++) {
                    double sum = 0;
                    for (int32_t p = v->row[i]; p < v->row[i + 1]; p++)
                        for (int32_t q = u->row[j]; q < u->row[j + 1]; q++)
                            sum += (double)v->weight[p] * u->weight[q] *
                                   steps_load(memory, &r->x,
                                              ((o * v->n_columns + v->column[p]) * u->n_columns +
                                               u->column[q]) *
                                                      r->inner +
                                                  c);
                    steps_store(memory, &r->y, ((o * v->n_rows + i) * u->n_rows + j) * r->inner + c,
                                sum);
                }
}

static void run_rng(const struct kiln_step_rng *r, struct steps_memory *memory)
{
    uint32_t key[KILN_RNG_KEY_WORDS];
    for (int i = 0; i < KILN_RNG_KEY_WORDS; i++)
        key[i] = (uint32_t)(int32_t)steps_load(memory, &r->key, i);
    for (int64_t s = 0; s < r->samples; s++)
        for (int64_t e = 0; e < r->per_sample; e++) {
            uint32_t words[4];
            uint32_t counter[4] = {(uint32_t)(e / 4), key[KILN_RNG_FIRST_SAMPLE] + (uint32_t)s,
                                   key[KILN_RNG_STEP], r->rng.stream};
            kiln_philox(counter, (uint32_t[]){key[KILN_RNG_SEED_LOW], key[KILN_RNG_SEED_HIGH]},
                        words);
            uint32_t word = words[e % 4];
            double value = kiln_uniform(word);
            if (r->rng.kind == KILN_RNG_INTEGER) {
                value = (double)((uint64_t)word * r->rng.bound >> 32);
            } else if (r->rng.kind == KILN_RNG_NORMAL) {
                double radius = sqrt(-2 * log(kiln_uniform(words[e % 4 & ~1])));
                double angle = 2 * 3.14159265358979323846 * kiln_uniform(words[e % 4 | 1]);
                value = radius * (e % 2 ? sin(angle) : cos(angle));
            }
            steps_store(memory, &r->out, s * r->per_sample + e, value);
        }
}

static void run_step(const struct kiln_step *step, struct steps_memory *memory)
{
    switch (step->kind) {
    case KILN_STEP_LOOP:
        steps_run_loop(&step->as.loop, memory);
        return;
    case KILN_STEP_MATMUL:
        run_matmul(&step->as.matmul, memory);
        return;
    case KILN_STEP_CONV:
    case KILN_STEP_CONV_INPUT_GRAD:
    case KILN_STEP_CONV_WEIGHT_GRAD:
        steps_run_conv(step, memory);
        return;
    case KILN_STEP_WINDOW_ARGMAX:
    case KILN_STEP_WINDOW_GATHER:
    case KILN_STEP_WINDOW_SCATTER:
        steps_run_window(step, memory);
        return;
    case KILN_STEP_RESAMPLE:
        run_resample(&step->as.resample, memory);
        return;
    case KILN_STEP_GATHER_ROWS:
    case KILN_STEP_SCATTER_ADD_ROWS:
        run_rows(step, memory);
        return;
    case KILN_STEP_RNG:
        run_rng(&step->as.rng, memory);
        return;
    case KILN_STEP_ATTENTION:
    case KILN_STEP_ATTENTION_GRAD:
        steps_run_attention(step, memory);
        return;
    case KILN_STEP_UPDATE:
        steps_run_update(&step->as.update, memory);
        return;
    default:
        memory->error = "unknown step kind";
    }
}

void steps_run(const struct kiln_steps *steps, struct steps_memory *memory, int first, int count)
{
    for (int i = first; i < first + count && !memory->error; i++)
        run_step(&steps->steps[i], memory);
}
