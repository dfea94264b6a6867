/*
 * The laboratory's backend: plan steps by the naive interpreter. A matrix
 * product has four ways: right and slow, right and fast, fast but wrong,
 * and one that cannot be prepared.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/api/backend.h"
#include "tests/lib/steps.h"

enum algorithm { SLOW, FAST, WRONG, BROKEN };

struct kiln_memory {
    int64_t bytes;
    unsigned char *data;
};

struct kiln_exec {
    const struct kiln_steps *steps;
    struct steps_memory memory;
};

struct kiln_device_state {
    int64_t launches;
};

static enum kiln_status lab_enumerate(int max, struct kiln_caps *caps, int *n,
                                      struct kiln_error *error)
{
    (void)error;
    *n = max > 0;
    if (max > 0)
        *caps = (struct kiln_caps){.name = "laboratory",
                                   .driver = "1",
                                   .compute_units = 1,
                                   .memory_bytes = 1 << 24,
                                   .allocation_bytes = 1 << 23,
                                   .n_feature_layouts = 2,
                                   .feature_layouts = {KILN_LAYOUT_NHWC, KILN_LAYOUT_DENSE},
                                   .loop_instructions = 64,
                                   .loop_accesses = 16,
                                   .parallelism = 4};
    return KILN_OK;
}

static enum kiln_status lab_open(int index, const struct kiln_device_options *options,
                                 kiln_device_state **state, struct kiln_caps *caps,
                                 struct kiln_error *error)
{
    (void)index;
    (void)options;
    int n;
    *state = calloc(1, sizeof **state);
    return *state ? lab_enumerate(1, caps, &n, error)
                  : kiln_fail(error, KILN_MACHINE, "out of memory");
}

static void lab_close(kiln_device_state *state)
{
    free(state);
}

static enum kiln_status lab_memory_create(kiln_device_state *state, int64_t bytes,
                                          kiln_memory **memory, struct kiln_error *error)
{
    (void)state;
    *memory = malloc(sizeof **memory);
    unsigned char *data = calloc(1, (size_t)bytes);
    if (!*memory || !data) {
        free(*memory);
        free(data);
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    }
    **memory = (kiln_memory){bytes, data};
    return KILN_OK;
}

static void lab_memory_destroy(kiln_device_state *state, kiln_memory *memory)
{
    (void)state;
    free(memory->data);
    free(memory);
}

static enum kiln_status lab_write(kiln_device_state *state, kiln_memory *memory, int64_t offset,
                                  const void *source, int64_t bytes, struct kiln_error *error)
{
    (void)state;
    if (offset < 0 || bytes > memory->bytes - offset)
        return kiln_fail(error, KILN_MACHINE, "write outside the memory");
    memcpy(memory->data + offset, source, (size_t)bytes);
    return KILN_OK;
}

static enum kiln_status lab_read(kiln_device_state *state, kiln_memory *memory, int64_t offset,
                                 void *target, int64_t bytes, struct kiln_error *error)
{
    (void)state;
    if (offset < 0 || bytes > memory->bytes - offset)
        return kiln_fail(error, KILN_MACHINE, "read outside the memory");
    memcpy(target, memory->data + offset, (size_t)bytes);
    return KILN_OK;
}

static int lab_candidates(kiln_device_state *state, const struct kiln_step *step,
                          struct kiln_candidate candidates[KILN_MAX_CANDIDATES])
{
    (void)state;
    static const char *const names[] = {"slow", "fast", "wrong", "broken"};
    int n = step->kind == KILN_STEP_MATMUL ? 4 : 1;
    for (int i = 0; i < n; i++)
        candidates[i] =
            (struct kiln_candidate){.algorithm = (uint16_t)i,
                                    .name = names[i],
                                    .scratch_bytes = step->kind == KILN_STEP_MATMUL ? 256 : 0};
    return n;
}

static enum kiln_status lab_exec_create(kiln_device_state *state, const struct kiln_steps *steps,
                                        kiln_memory *const regions[KILN_REGION_COUNT],
                                        kiln_exec **exec, struct kiln_error *error)
{
    (void)state;
    *exec = NULL;
    for (int i = 0; i < steps->n; i++)
        if (steps->steps[i].algorithm == BROKEN)
            return kiln_fail(error, KILN_MACHINE, "it is broken");
    *exec = calloc(1, sizeof **exec);
    if (!*exec)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    (*exec)->steps = steps;
    for (int r = 0; r < KILN_REGION_COUNT; r++)
        if (regions[r]) {
            (*exec)->memory.region[r] = regions[r]->data;
            (*exec)->memory.bytes[r] = steps->region_bytes[r];
        }
    return KILN_OK;
}

static void lab_exec_destroy(kiln_device_state *state, kiln_exec *exec)
{
    (void)state;
    free(exec);
}

static enum kiln_status lab_exec_run(kiln_device_state *state, kiln_exec *exec, int first,
                                     int count, struct kiln_error *error)
{
    for (int i = first; i < first + count; i++) {
        const struct kiln_step *step = &exec->steps->steps[i];
        state->launches++;
        steps_run(exec->steps, &exec->memory, i, 1);
        if (exec->memory.error)
            return kiln_fail(error, KILN_MACHINE, "step %d: %s", i, exec->memory.error);
        if (step->kind != KILN_STEP_MATMUL)
            continue;
        if (step->algorithm == SLOW)
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        if (step->algorithm == WRONG)
            steps_store(&exec->memory, &step->as.matmul.c, 1, 1e3);
    }
    return KILN_OK;
}

static enum kiln_status lab_finish(kiln_device_state *state, struct kiln_error *error)
{
    (void)state;
    (void)error;
    return KILN_OK;
}

static const char *lab_libraries(kiln_device_state *state)
{
    (void)state;
    return "laboratory 1";
}

static void lab_stats(kiln_device_state *state, int64_t *launches, int64_t *waits, int64_t *bytes,
                      int64_t *peak)
{
    *launches = state->launches;
    *waits = *bytes = *peak = 0;
}

KILN_API const struct kiln_backend *kiln_backend_entry(void);

const struct kiln_backend *kiln_backend_entry(void)
{
    static const struct kiln_backend backend = {
        .abi = KILN_BACKEND_ABI,
        .size = sizeof(struct kiln_backend),
        .name = "cpu",
        .enumerate = lab_enumerate,
        .open = lab_open,
        .close = lab_close,
        .memory_create = lab_memory_create,
        .memory_destroy = lab_memory_destroy,
        .write = lab_write,
        .read = lab_read,
        .candidates = lab_candidates,
        .exec_create = lab_exec_create,
        .exec_destroy = lab_exec_destroy,
        .exec_run = lab_exec_run,
        .finish = lab_finish,
        .libraries = lab_libraries,
        .stats = lab_stats,
    };
    return &backend;
}
