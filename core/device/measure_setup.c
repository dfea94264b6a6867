/* Preparing the measurement of a step: memory, data, one execution for each
 * candidate. */
#include "core/device/measure_setup.h"

#include <stdlib.h>
#include <string.h>

#include "core/device/memory.h"

static bool is_conv(enum kiln_step_kind kind)
{
    return kind == KILN_STEP_CONV || kind == KILN_STEP_CONV_INPUT_GRAD ||
           kind == KILN_STEP_CONV_WEIGHT_GRAD;
}

/* The weight is the operand whose layout the candidates decide. */
static bool is_weight(const struct kiln_trial *trial, int operand)
{
    return is_conv(trial->step.kind) &&
           trial->operands[operand].place == &trial->step.as.conv.weight;
}

static struct kiln_shape weight_shape(const struct kiln_step_conv *conv)
{
    return KILN_SHAPE(conv->o, conv->c / conv->conv.groups, conv->kh, conv->kw);
}

/* dtypes that step.h fixes and a step without places may lack */
static void set_dtypes(struct kiln_step *step)
{
    if (is_conv(step->kind))
        step->as.conv.x.dtype = step->as.conv.weight.dtype = step->as.conv.y.dtype = KILN_F32;
    else if (step->kind == KILN_STEP_MATMUL)
        step->as.matmul.a.dtype = step->as.matmul.b.dtype = step->as.matmul.c.dtype = KILN_F32;
}

static int64_t aligned(int64_t bytes)
{
    return (bytes + KILN_PLACE_ALIGNMENT - 1) / KILN_PLACE_ALIGNMENT * KILN_PLACE_ALIGNMENT;
}

/* The places of a trial belong to its own copy of the step. */
static struct kiln_place *own_place(struct kiln_trial *trial, int operand)
{
    return (struct kiln_place *)trial->operands[operand].place;
}

static bool copy_step(struct kiln_trial *trial, const struct kiln_step *step,
                      const struct kiln_candidate *candidate)
{
    trial->step = *step;
    trial->step.algorithm = candidate->algorithm;
    trial->step.scratch_bytes = candidate->scratch_bytes;
    set_dtypes(&trial->step);
    if (is_conv(step->kind))
        trial->step.as.conv.weight_layout = candidate->weight_layout;
    if (step->kind == KILN_STEP_LOOP) {
        memcpy(trial->accesses, step->as.loop.accesses,
               (size_t)step->as.loop.n_accesses * sizeof *trial->accesses);
        trial->step.as.loop.accesses = trial->accesses;
    }
    trial->n_operands = kiln_step_operands(&trial->step, trial->operands);
    return trial->n_operands >= 0;
}

/* Decides all places: shared operands first, then each trial's weight, then
 * scratch, which all may share. */
static void place_operands(struct kiln_bench *bench)
{
    int64_t offset = 0, scratch = 0;
    for (int k = 0; k < bench->trials[0].n_operands; k++) {
        for (int i = 0; i < bench->n; i++) {
            struct kiln_trial *trial = &bench->trials[i];
            const struct kiln_operand *operand = &trial->operands[k];
            int64_t size = (int64_t)kiln_dtype_bytes(operand->place->dtype);
            int64_t bytes = aligned((operand->high - operand->low) * size);
            struct kiln_place *place = own_place(trial, k);
            place->region = KILN_REGION_WORKSPACE;
            place->offset = offset - operand->low * size;
            if (is_weight(trial, k) || i == bench->n - 1)
                offset += bytes;
            int64_t elements = operand->high - operand->low;
            bench->host_elements =
                elements > bench->host_elements ? elements : bench->host_elements;
        }
    }
    for (int i = 0; i < bench->n; i++) {
        struct kiln_step *step = &bench->trials[i].step;
        step->scratch = (struct kiln_place){.region = KILN_REGION_WORKSPACE, .offset = offset};
        scratch = step->scratch_bytes > scratch ? step->scratch_bytes : scratch;
    }
    bench->bytes = offset + aligned(scratch);
}

/* Random numbers whose period is prime, so that a wrong index shows. Signed
 * where only sums of products follow; else in [0.25, 1.25], where every
 * pointwise op is defined. */
static void fill_random(float *data, int64_t n, bool is_signed, uint32_t seed)
{
    enum { PERIOD = 65521 };
    uint32_t state = seed * 2654435761u + 1;
    for (int64_t i = 0; i < n && i < PERIOD; i++) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        float unit = (float)(state >> 8) * 0x1p-24f;
        data[i] = is_signed ? 2 * unit - 1 : unit + 0.25f;
    }
    for (int64_t i = PERIOD; i < n; i++)
        data[i] = data[i - PERIOD];
}

static enum kiln_status fill_operand(struct kiln_bench *bench, struct kiln_trial *trial, int k,
                                     struct kiln_error *error)
{
    const struct kiln_operand *operand = &trial->operands[k];
    enum kiln_step_kind kind = trial->step.kind;
    if (operand->place->dtype != KILN_F32 || !operand->read)
        return KILN_OK; /* zeros: valid indices, valid keys */
    bool sums = is_conv(kind) || kind == KILN_STEP_MATMUL || kind == KILN_STEP_ATTENTION;
    int64_t n = operand->high - operand->low;
    float *data = bench->host;
    fill_random(data, n, sums, (uint32_t)k + 1);
    if (is_weight(trial, k)) {
        struct kiln_shape shape = weight_shape(&trial->step.as.conv);
        data = bench->host + bench->host_elements;
        kiln_layout_pack(trial->step.as.conv.weight_layout, &shape, sizeof *data, bench->host,
                         data);
    }
    return kiln_device_backend(bench->device)
        ->write(kiln_device_backend_state(bench->device), bench->memory,
                operand->place->offset + operand->low * 4, data, n * 4, error);
}

enum kiln_status kiln_bench_create(kiln_device *device, const struct kiln_step *step, int n,
                                   const struct kiln_candidate *candidates,
                                   struct kiln_bench *bench, struct kiln_error *error)
{
    *bench = (struct kiln_bench){.device = device, .n = n};
    bench->trials = calloc((size_t)n, sizeof *bench->trials);
    if (!bench->trials)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    for (int i = 0; i < n; i++)
        if (!copy_step(&bench->trials[i], step, &candidates[i]))
            return kiln_fail(error, KILN_INPUT, "%s: a size is out of range",
                             step->label ? step->label : "step");
    place_operands(bench);
    bench->host = malloc((size_t)bench->host_elements * 2 * sizeof *bench->host);
    if (!bench->host)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    enum kiln_status status = kiln_device_memory_create(
        device, bench->bytes, "operands of a measurement", &bench->memory, error);
    for (int k = 0; k < bench->trials[0].n_operands && !status; k++)
        for (int i = 0; i < n && !status; i++)
            if (i == 0 || is_weight(&bench->trials[i], k))
                status = fill_operand(bench, &bench->trials[i], k, error);
    for (int i = 0; i < n && !status; i++) {
        struct kiln_trial *trial = &bench->trials[i];
        trial->step.label = trial->step.label ? trial->step.label : "";
        trial->steps = (struct kiln_steps){.n = 1, .steps = &trial->step};
        trial->steps.region_bytes[KILN_REGION_WORKSPACE] = bench->bytes;
    }
    return status;
}

void kiln_bench_finish(struct kiln_bench *bench)
{
    for (int i = 0; i < bench->n && bench->trials; i++)
        if (bench->trials[i].exec)
            kiln_device_backend(bench->device)
                ->exec_destroy(kiln_device_backend_state(bench->device), bench->trials[i].exec);
    kiln_device_memory_destroy(bench->device, bench->bytes, &bench->memory);
    free(bench->trials);
    free(bench->host);
}

int64_t kiln_bench_result(struct kiln_bench *bench, int i, float *out)
{
    struct kiln_trial *trial = &bench->trials[i];
    for (int k = 0; k < trial->n_operands; k++) {
        const struct kiln_operand *operand = &trial->operands[k];
        if (!operand->written || operand->place->dtype != KILN_F32)
            continue;
        int64_t n = operand->high - operand->low;
        bool weight = is_weight(trial, k);
        float *stored = weight ? malloc((size_t)n * sizeof *stored) : out;
        bool read =
            stored && kiln_device_backend(bench->device)
                              ->read(kiln_device_backend_state(bench->device), bench->memory,
                                     operand->place->offset + operand->low * 4, stored, n * 4,
                                     NULL) == KILN_OK;
        if (weight && read) {
            struct kiln_shape shape = weight_shape(&trial->step.as.conv);
            kiln_layout_unpack(trial->step.as.conv.weight_layout, &shape, sizeof *out, stored, out);
        }
        if (weight)
            free(stored);
        return read ? n : 0;
    }
    return 0;
}
