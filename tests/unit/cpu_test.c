/* The CPU backend's steps against loops in double: all but loops and
 * convolutions, on the reference and the fast device, one and two threads. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/api/rng.h"
#include "cpu_lab.h"

static void check_matmul(struct lab *lab, int64_t batch, int64_t m, int64_t n, int64_t k, bool ta,
                         bool tb)
{
    float *a = lab_values(1, batch * m * k), *b = lab_values(2, batch * k * n);
    double *want = calloc((size_t)(batch * m * n), sizeof *want);
    struct kiln_step step = {.kind = KILN_STEP_MATMUL};
    struct kiln_step_matmul *s = &step.as.matmul;
    *s = (struct kiln_step_matmul){.batch = batch,
                                   .m = m,
                                   .n = n,
                                   .k = k,
                                   .a_stride = {m * k, ta ? 1 : k, ta ? m : 1},
                                   .b_stride = {k * n, tb ? 1 : n, tb ? k : 1},
                                   .c_stride = {m * n, n, 1}};
    for (int64_t at = 0; at < batch * m * n; at++) {
        int64_t q = at / (m * n), i = at / n % m, j = at % n;
        for (int64_t p = 0; p < k; p++)
            want[at] += (double)a[q * s->a_stride[0] + i * s->a_stride[1] + p * s->a_stride[2]] *
                        b[q * s->b_stride[0] + p * s->b_stride[1] + j * s->b_stride[2]];
    }
    lab_clear(lab);
    s->a = lab_put(lab, KILN_F32, batch * m * k, a);
    s->b = lab_put(lab, KILN_F32, batch * k * n, b);
    s->c = lab_put(lab, KILN_F32, batch * m * n, NULL);
    struct kiln_candidate candidates[KILN_MAX_CANDIDATES];
    int count = lab->backend->candidates(lab->device, &step, candidates);
    assert_true(count >= 1);
    for (int i = 0; i < count; i++) {
        lab_run(lab, &step, &candidates[i]);
        lab_compare(candidates[i].name, batch * m * n, lab_at(lab, s->c), want, 1e-6,
                    1e-6 * sqrt((double)k));
    }
    free(a);
    free(b);
    free(want);
}

static void matmul_of_all_forms(void **unused)
{
    (void)unused;
    static const int64_t sizes[][4] = {{1, 1, 1, 1},      {1, 5, 7, 3},     {3, 17, 33, 19},
                                       {1, 64, 48, 128},  {2, 1, 37, 65},   {4, 49, 49, 16},
                                       {1, 130, 1, 70},   {1, 3, 200, 1},   {1, 128, 400, 784},
                                       {1, 16, 401, 300}, {2, 41, 31, 270}, {1, 33, 1100, 5}};
    for (int variant = 0; variant < LAB_VARIANTS; variant++) {
        struct lab lab = lab_open_variant(variant);
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
            for (int form = 0; form < 4; form++)
                check_matmul(&lab, sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3], form & 1,
                             form >> 1);
        lab_close(&lab);
    }
}

/* argmax, gather and scatter of one geometry, inner in {1, 16} */
static void check_window(struct lab *lab, int64_t inner, int64_t h, int64_t w,
                         struct kiln_window window)
{
    int64_t outer = 3,
            oh = (h + window.pad[0] + window.pad[1] - window.size[0]) / window.stride[0] + 1,
            ow = (w + window.pad[2] + window.pad[3] - window.size[1]) / window.stride[1] + 1;
    int64_t nx = outer * h * w * inner, ny = outer * oh * ow * inner;
    float *x = lab_values(3, nx), *d_y = lab_values(4, ny);
    for (int64_t i = 0; i < nx; i++)
        x[i] = i % 61 == 7 ? NAN : i % 5 == 0 ? -INFINITY : roundf(x[i] * 4); /* with ties */
    double *gathered = calloc((size_t)ny, sizeof *gathered),
           *scattered = calloc((size_t)nx, sizeof *scattered);
    int32_t *index = calloc((size_t)ny, sizeof *index);
    for (int64_t at = 0; at < ny; at++) {
        int64_t i = at % inner, j = at / inner % ow, k = at / inner / ow % oh,
                o = at / inner / ow / oh;
        double best = -INFINITY;
        index[at] = -1;
        for (int64_t y = k * window.stride[0] - window.pad[0], y1 = y + window.size[0]; y < y1; y++)
            for (int64_t z = j * window.stride[1] - window.pad[2], z1 = z + window.size[1]; z < z1;
                 z++) {
                if (y < 0 || y >= h || z < 0 || z >= w)
                    continue;
                index[at] =
                    index[at] < 0 ? (int32_t)(y * w + z) : index[at]; /* of nothing but -inf */
                if (isnan(best) || x[((o * h + y) * w + z) * inner + i] <= best)
                    continue;
                best = x[((o * h + y) * w + z) * inner + i];
                index[at] = (int32_t)(y * w + z);
            }
        gathered[at] = best;
        scattered[(o * h * w + index[at]) * inner + i] += d_y[at];
    }
    struct kiln_step step = {.kind = KILN_STEP_WINDOW_ARGMAX};
    struct kiln_step_window *s = &step.as.window;
    *s = (struct kiln_step_window){
        .outer = outer, .inner = inner, .h = h, .w = w, .oh = oh, .ow = ow, .window = window};
    lab_clear(lab);
    s->x = lab_put(lab, KILN_F32, nx, x);
    s->index = lab_put(lab, KILN_I32, ny, NULL);
    s->y = lab_put(lab, KILN_F32, ny, d_y);
    lab_run_first(lab, &step);
    assert_memory_equal(lab_at(lab, s->index), index, (size_t)ny * sizeof *index);
    step.kind = KILN_STEP_WINDOW_GATHER;
    lab_run_first(lab, &step);
    lab_compare("gather", ny, lab_at(lab, s->y), gathered, 0, 0);
    memcpy(lab_at(lab, s->y), d_y, (size_t)ny * sizeof *d_y);
    step.kind = KILN_STEP_WINDOW_SCATTER;
    lab_run_first(lab, &step);
    lab_compare("scatter", nx, lab_at(lab, s->x), scattered, 1e-6, 1e-6);
    free(x);
    free(d_y);
    free(gathered);
    free(scattered);
    free(index);
}

static void windows(void **unused)
{
    (void)unused;
    for (int variant = 0; variant < LAB_VARIANTS; variant++) {
        struct lab lab = lab_open_variant(variant);
        for (int inner = 1; inner <= 37; inner += inner < 16 ? 5 : 21) {
            check_window(&lab, inner, 8, 8, (struct kiln_window){{2, 2}, {2, 2}, {0, 0, 0, 0}});
            check_window(&lab, inner, 9, 7, (struct kiln_window){{5, 5}, {1, 1}, {2, 2, 2, 2}});
            check_window(&lab, inner, 5, 11, (struct kiln_window){{3, 2}, {2, 3}, {1, 0, 0, 1}});
            check_window(&lab, inner, 40, 40, (struct kiln_window){{4, 4}, {4, 4}, {0, 0, 0, 0}});
        }
        lab_close(&lab);
    }
}

static void resampling(void **unused)
{
    (void)unused;
    /* 3 -> 5 rows, 4 -> 3 columns; an empty row, an uneven one */
    static const int32_t v_row[] = {0, 1, 3, 3, 6, 7}, v_column[] = {0, 0, 2, 0, 1, 2, 1};
    static const float v_weight[] = {1, 0.25f, 0.75f, 0.5f, -1, 2, 1.5f};
    static const int32_t u_row[] = {0, 2, 3, 7}, u_column[] = {0, 3, 1, 0, 1, 2, 3};
    static const float u_weight[] = {0.5f, 0.5f, 1, 0.25f, 0.25f, 0.25f, 0.25f};
    for (int variant = 0; variant < LAB_VARIANTS; variant++)
        for (int64_t inner = 1; inner <= 33; inner += 16) {
            struct lab lab = lab_open_variant(variant);
            int64_t outer = 70, nx = outer * 12 * inner, ny = outer * 15 * inner;
            float *x = lab_values(5, nx);
            double *want = calloc((size_t)ny, sizeof *want);
            for (int64_t at = 0; at < ny; at++) {
                int64_t c = at % inner, j = at / inner % 3, i = at / inner / 3 % 5,
                        o = at / inner / 15;
                for (int32_t p = v_row[i]; p < v_row[i + 1]; p++)
                    for (int32_t q = u_row[j]; q < u_row[j + 1]; q++)
                        want[at] += (double)v_weight[p] * u_weight[q] *
                                    x[((o * 3 + v_column[p]) * 4 + u_column[q]) * inner + c];
            }
            struct kiln_step step = {.kind = KILN_STEP_RESAMPLE};
            struct kiln_step_resample *s = &step.as.resample;
            *s = (struct kiln_step_resample){.outer = outer,
                                             .inner = inner,
                                             .vertical = {5, 3, v_row, v_column, v_weight},
                                             .horizontal = {3, 4, u_row, u_column, u_weight}};
            s->x = lab_put(&lab, KILN_F32, nx, x);
            s->y = lab_put(&lab, KILN_F32, ny, NULL);
            lab_run_first(&lab, &step);
            lab_compare("resample", ny, lab_at(&lab, s->y), want, 1e-6, 1e-6);
            free(x);
            free(want);
            lab_close(&lab);
        }
}

static void rows(void **unused)
{
    (void)unused;
    enum { N = 37, ROWS = 5, WIDTH = 301 };
    for (int variant = 0; variant < LAB_VARIANTS; variant++) {
        struct lab lab = lab_open_variant(variant);
        int32_t index[N];
        uint8_t table[ROWS * WIDTH], want_rows[N * WIDTH];
        double want[ROWS * WIDTH] = {0};
        float *values = lab_values(6, N * WIDTH);
        for (int i = 0; i < ROWS * WIDTH; i++)
            table[i] = (uint8_t)(i * 7);
        for (int i = 0; i < N; i++) {
            index[i] = i * 3 % 8 - 1; /* also outside */
            int row = index[i] < 0 ? 0 : index[i] >= ROWS ? ROWS - 1 : index[i];
            memcpy(want_rows + i * WIDTH, table + row * WIDTH, WIDTH);
            for (int c = 0; c < WIDTH; c++)
                want[row * WIDTH + c] += values[i * WIDTH + c];
        }
        struct kiln_step step = {.kind = KILN_STEP_GATHER_ROWS};
        struct kiln_step_rows *s = &step.as.rows;
        *s = (struct kiln_step_rows){.n = N, .rows = ROWS, .row_elements = WIDTH};
        s->index = lab_put(&lab, KILN_I32, N, index);
        s->table = lab_put(&lab, KILN_U8, ROWS * WIDTH, table);
        s->out = lab_put(&lab, KILN_U8, N * WIDTH, NULL);
        lab_run_first(&lab, &step);
        assert_memory_equal(lab_at(&lab, s->out), want_rows, sizeof want_rows);
        step.kind = KILN_STEP_SCATTER_ADD_ROWS;
        s->table = lab_put(&lab, KILN_F32, ROWS * WIDTH, NULL);
        s->out = lab_put(&lab, KILN_F32, N * WIDTH, values);
        lab_run_first(&lab, &step);
        lab_compare("scatter_add_rows", ROWS * WIDTH, lab_at(&lab, s->table), want, 1e-6, 1e-6);
        free(values);
        lab_close(&lab);
    }
}

static double wanted_random(const struct kiln_rng *rng, const int32_t *key, uint32_t sample,
                            uint32_t e)
{
    uint32_t counter[4] = {e / 4, (uint32_t)key[KILN_RNG_FIRST_SAMPLE] + sample,
                           (uint32_t)key[KILN_RNG_STEP], rng->stream};
    uint32_t seed[2] = {(uint32_t)key[0], (uint32_t)key[1]}, word[4];
    kiln_philox(counter, seed, word);
    if (rng->kind == KILN_RNG_INTEGER)
        return (double)(((uint64_t)word[e % 4] * rng->bound) >> 32);
    if (rng->kind == KILN_RNG_UNIFORM)
        return (double)kiln_uniform(word[e % 4]);
    double radius = sqrt(-2 * log((double)kiln_uniform(word[e % 4 & ~1u])));
    double angle = 2 * 3.14159265358979323846 * (double)kiln_uniform(word[(e % 4) | 1]);
    return radius * (e & 1 ? sin(angle) : cos(angle));
}

static void random_numbers(void **unused)
{
    (void)unused;
    static const int32_t key[KILN_RNG_KEY_WORDS] = {12345, -7, 99, 1000};
    for (int variant = 0; variant < LAB_VARIANTS; variant++)
        for (int kind = 0; kind < 3; kind++)
            for (int64_t per_sample = 1; per_sample < 2000; per_sample = per_sample * 5 + 2) {
                struct lab lab = lab_open_variant(variant);
                enum { SAMPLES = 11 };
                struct kiln_step step = {.kind = KILN_STEP_RNG};
                struct kiln_step_rng *s = &step.as.rng;
                *s = (struct kiln_step_rng){{(enum kiln_rng_kind)kind, 3, 10}, SAMPLES, per_sample};
                int64_t n = SAMPLES * per_sample;
                s->key = lab_put(&lab, KILN_I32, KILN_RNG_KEY_WORDS, key);
                s->out = lab_put(&lab, kind == KILN_RNG_INTEGER ? KILN_I32 : KILN_F32, n, NULL);
                lab_run_first(&lab, &step);
                double *want = calloc((size_t)n, sizeof *want);
                for (int64_t i = 0; i < n; i++) {
                    want[i] = wanted_random(&s->rng, key, (uint32_t)(i / per_sample),
                                            (uint32_t)(i % per_sample));
                    if (kind == KILN_RNG_INTEGER)
                        assert_int_equal(((int32_t *)lab_at(&lab, s->out))[i], (int32_t)want[i]);
                }
                if (kind != KILN_RNG_INTEGER)
                    lab_compare("random", n, lab_at(&lab, s->out), want, 2e-6, 2e-6);
                free(want);
                lab_close(&lab);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matmul_of_all_forms), cmocka_unit_test(windows),
        cmocka_unit_test(resampling),          cmocka_unit_test(rows),
        cmocka_unit_test(random_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
