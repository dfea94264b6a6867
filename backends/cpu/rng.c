/* Random numbers: Philox by counter (core/api/rng.h). */
#include "backends/cpu/cpu.h"

#include "core/api/rng.h"

#include <math.h>
#include <string.h>

/* The four elements of one counter value. */
static void plain_block(const struct kiln_rng *rng, const uint32_t word[4], int32_t out[4])
{
    float x[4];
    for (int i = 0; i < 4; i++) {
        switch (rng->kind) {
        case KILN_RNG_INTEGER:
            out[i] = (int32_t)(((uint64_t)word[i] * rng->bound) >> 32);
            break;
        case KILN_RNG_UNIFORM:
            x[i] = kiln_uniform(word[i]);
            break;
        case KILN_RNG_NORMAL: {
            float radius = sqrtf(-2.0f * logf(kiln_uniform(word[i & ~1])));
            float angle = 6.28318530717958647692f * kiln_uniform(word[i | 1]);
            x[i] = radius * (i & 1 ? sinf(angle) : cosf(angle));
            break;
        }
        }
    }
    if (rng->kind != KILN_RNG_INTEGER)
        memcpy(out, x, sizeof x);
}

static enum kiln_status plain_run(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    const struct kiln_step_rng *s = &task->step->as.rng;
    const int32_t *key = cpu_at(task->exec, &s->key);
    char *out = cpu_at(task->exec, &s->out);
    const uint32_t seed[2] = {(uint32_t)key[KILN_RNG_SEED_LOW], (uint32_t)key[KILN_RNG_SEED_HIGH]};
    int64_t blocks = (s->per_sample + 3) / 4;
#pragma omp parallel for schedule(dynamic, 256) num_threads(task->threads)
    for (int64_t n = 0; n < s->samples * blocks; n++) {
        int64_t sample = n / blocks, block = n % blocks;
        const uint32_t counter[4] = {(uint32_t)block,
                                     (uint32_t)key[KILN_RNG_FIRST_SAMPLE] + (uint32_t)sample,
                                     (uint32_t)key[KILN_RNG_STEP], s->rng.stream};
        uint32_t word[4];
        int32_t element[4];
        kiln_philox(counter, seed, word);
        plain_block(&s->rng, word, element);
        int64_t count = cpu_min(4, s->per_sample - 4 * block);
        memcpy(out + 4 * (sample * s->per_sample + 4 * block), element, 4 * (size_t)count);
    }
    return KILN_OK;
}

/* Elements of a sample that a thread takes at a time. */
#define PART 4096

static enum kiln_status fast_run(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    const struct kiln_step_rng *s = &task->step->as.rng;
    const int32_t *key = cpu_at(task->exec, &s->key);
    char *out = cpu_at(task->exec, &s->out);
    const uint32_t seed[2] = {(uint32_t)key[KILN_RNG_SEED_LOW], (uint32_t)key[KILN_RNG_SEED_HIGH]};
    int64_t parts = (s->per_sample + PART - 1) / PART;
#pragma omp parallel for schedule(dynamic, 4) num_threads(task->threads)
    for (int64_t n = 0; n < s->samples * parts; n++) {
        int64_t sample = n / parts, first = n % parts * PART;
        task->device->simd->random(
            &s->rng, seed, (uint32_t)key[KILN_RNG_FIRST_SAMPLE] + (uint32_t)sample,
            (uint32_t)key[KILN_RNG_STEP], first, cpu_min(PART, s->per_sample - first),
            out + 4 * (sample * s->per_sample + first));
    }
    return KILN_OK;
}

static enum kiln_status prepare(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    const struct kiln_step_rng *s = &task->step->as.rng;
    task->run = task->device->reference ? plain_run : fast_run;
    task->threads = cpu_threads(task->device, 16 * s->samples * s->per_sample);
    return KILN_OK;
}

CPU_KIND(cpu_rng_kind, {CPU_PLAIN, "plain", NULL, prepare});
