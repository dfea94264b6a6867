/* Making an operation ready: layout, algorithm, verification. */
#include "core/bench/op_run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/device/measure.h"

/* Bound of an element's error over the sum of its terms' absolute values: f32
 * sums, functions and Winograd's F(4,3) were measured at up to 2e-7; inputs
 * rounded to 11 bits, as matrix engines may do silently, are beyond it. */
#define BOUND 2e-6
/* Where operands may be rounded to 8 bits, 2^-9 of each and twice in attention. */
#define ROUNDED_BOUND 0x1p-7

enum { CHECKED = 64 };

/* --- numbers --------------------------------------------------------------------------------- */

static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static void fill(float *data, int64_t n, uint32_t seed)
{
    uint32_t state = seed * 2654435761u + 1;
    for (int64_t i = 0; i < n; i++)
        data[i] = (float)(next_random(&state) >> 8) * 0x1p-23f - 1;
}

/* --- verification ------------------------------------------------------------------------------
 */

static enum kiln_status check_element(struct kiln_op_run *run, const float *const *inputs,
                                      const float *result, int64_t index, struct kiln_error *error)
{
    double magnitude;
    double wanted = kiln_op_expect(run->op_case, run->family, inputs, index, &magnitude);
    double share = fabs(result[index] - wanted) / (run->bound * magnitude + 1e-30);
    if (share > run->error || isnan(share))
        run->error = share;
    if (share <= 1)
        return KILN_OK;
    return kiln_fail(error, KILN_MACHINE,
                     "wrong result: element %lld is %.9g instead of %.9g (algorithm %s)",
                     (long long)index, result[index], wanted, run->algorithm);
}

static enum kiln_status check_result(struct kiln_op_run *run, const float *const *inputs,
                                     struct kiln_error *error)
{
    int64_t n = kiln_shape_count(&run->shapes.output);
    float *result = malloc((size_t)n * sizeof *result);
    uint32_t state = 12345;
    if (!result)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    for (int64_t i = 0; i < n; i++)
        result[i] = NAN;
    enum kiln_status status = kiln_executable_run(run->executable, error);
    if (!status)
        status =
            kiln_executable_read(run->executable, "y", result, n * (int64_t)sizeof *result, error);
    for (int i = 0; i < CHECKED && !status; i++) /* the first, the last, and others */
        status = check_element(run, inputs, result,
                               i < 2 ? i * (n - 1) : (int64_t)(next_random(&state) % (uint64_t)n),
                               error);
    free(result);
    return status;
}

static enum kiln_status write_and_check(struct kiln_op_run *run, struct kiln_error *error)
{
    float *inputs[KILN_OP_MAX_INPUTS] = {NULL};
    enum kiln_status status = KILN_OK;
    for (int i = 0; i < run->shapes.n_inputs && !status; i++) {
        char name[8];
        int64_t n = kiln_shape_count(&run->shapes.inputs[i]);
        snprintf(name, sizeof name, "x%d", i);
        inputs[i] = malloc((size_t)n * sizeof **inputs);
        if (!inputs[i]) {
            status = kiln_fail(error, KILN_MACHINE, "out of memory");
            break;
        }
        fill(inputs[i], n, (uint32_t)i + 1);
        status = kiln_executable_write(run->executable, name, inputs[i],
                                       n * (int64_t)sizeof **inputs, error);
    }
    if (!status)
        status = check_result(run, (const float *const *)inputs, error);
    for (int i = 0; i < KILN_OP_MAX_INPUTS; i++)
        free(inputs[i]);
    return status;
}

/* --- steps
 * ----------------------------------------------------------------------------------------- */

/* The kind of step that does the work, or -1: the whole execution counts. */
static int kind_of(enum kiln_op_family family)
{
    switch (family) {
    case KILN_FAMILY_MATMUL:
        return KILN_STEP_MATMUL;
    case KILN_FAMILY_CONV:
        return KILN_STEP_CONV;
    case KILN_FAMILY_CONV_INPUT_GRAD:
        return KILN_STEP_CONV_INPUT_GRAD;
    case KILN_FAMILY_CONV_WEIGHT_GRAD:
        return KILN_STEP_CONV_WEIGHT_GRAD;
    default:
        return -1;
    }
}

static void describe_step(struct kiln_op_run *run, const struct kiln_step *step)
{
    struct kiln_candidate candidates[KILN_MAX_CANDIDATES];
    int n = kiln_device_backend(run->device)
                ->candidates(kiln_device_backend_state(run->device), step, candidates);
    bool conv = step->kind != KILN_STEP_MATMUL;
    for (int i = 0; i < n; i++)
        if (candidates[i].algorithm == step->algorithm && candidates[i].name &&
            (!conv || candidates[i].weight_layout == step->as.conv.weight_layout))
            snprintf(run->algorithm, sizeof run->algorithm, "%s", candidates[i].name);
    if (conv)
        snprintf(run->layout, sizeof run->layout, "%s",
                 kiln_layout_name(step->as.conv.x_layout != KILN_LAYOUT_DENSE
                                      ? step->as.conv.x_layout
                                      : step->as.conv.y_layout));
}

static void find_steps(struct kiln_op_run *run)
{
    const struct kiln_steps *steps = &kiln_executable_plan(run->executable)->steps;
    int kind = kind_of(run->family), first = -1, last = -1;
    for (int i = 0; i < steps->n && kind >= 0; i++)
        if (steps->steps[i].kind == (enum kiln_step_kind)kind) {
            first = first < 0 ? i : first;
            last = i;
        }
    run->first = first < 0 ? 0 : first;
    run->count = first < 0 ? steps->n : last - first + 1;
    if (first >= 0)
        describe_step(run, &steps->steps[first]);
}

/* --- compiling
 * ---------------------------------------------------------------------------------------- */

static enum kiln_status compile(struct kiln_op_run *run, bool tune, bool force,
                                enum kiln_layout layout, struct kiln_error *error)
{
    const struct kiln_session_options options = {
        .fuse = true,
        .tune = tune,
        .tune_seconds = 10,
        .force_layout = force,
        .layout = layout,
    };
    const struct kiln_compile_options compile_options = {0};
    enum kiln_status status = kiln_session_create(run->device, &options, &run->session, error);
    if (!status)
        status = kiln_session_prepare(run->session, 1, &run->graph, 0, NULL, error);
    if (!status)
        status = kiln_session_initialise(run->session, 1, error);
    if (!status)
        status = kiln_executable_create(run->session, run->graph, &compile_options,
                                        &run->executable, error);
    if (!status)
        find_steps(run);
    return status;
}

static void forget(struct kiln_op_run *run)
{
    kiln_executable_destroy(&run->executable);
    kiln_session_destroy(&run->session);
    run->algorithm[0] = run->layout[0] = '\0';
}

/* The least of a few executions; infinite if it fails. */
static double try_once(struct kiln_op_run *run)
{
    double least = INFINITY;
    for (int i = 0; i < 6; i++) {
        double start = kiln_seconds();
        if (kiln_op_run_time(run, 1, NULL))
            return INFINITY;
        least = fmin(least, kiln_seconds() - start);
    }
    return least;
}

/* The device's layouts that the operation can have, timed against each other. */
static enum kiln_status compile_fastest(struct kiln_op_run *run,
                                        const struct kiln_op_run_options *options,
                                        struct kiln_error *error)
{
    const struct kiln_caps *caps = kiln_device_caps(run->device);
    bool choose = options->tune && options->every_layout && kind_of(run->family) > KILN_STEP_MATMUL;
    int best = 0, n = caps->n_feature_layouts;
    double least = INFINITY;
    for (int i = 0; choose && i < n; i++) {
        double seconds =
            compile(run, true, true, caps->feature_layouts[i], NULL) ? INFINITY : try_once(run);
        if (seconds < least) {
            least = seconds;
            best = i;
        }
        forget(run);
    }
    return compile(run, options->tune, n > 0, n > 0 ? caps->feature_layouts[best] : 0, error);
}

enum kiln_status kiln_op_run_create(kiln_device *device, const struct kiln_op_case *op_case,
                                    enum kiln_op_family family,
                                    const struct kiln_op_run_options *options,
                                    struct kiln_op_run *run, struct kiln_error *error)
{
    *run = (struct kiln_op_run){
        .op_case = op_case,
        .family = family,
        .shapes = kiln_op_shapes(op_case, family),
        .device = device,
        .graph = kiln_graph_create(),
        .bound = options->rounded ? ROUNDED_BOUND : BOUND,
    };
    if (!run->graph)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    kiln_op_build(run->graph, op_case, family);
    enum kiln_status status = kiln_graph_error(run->graph, error);
    if (!status)
        status = compile_fastest(run, options, error);
    return status ? status : write_and_check(run, error);
}

void kiln_op_run_finish(struct kiln_op_run *run)
{
    forget(run);
    kiln_graph_destroy(&run->graph);
}

enum kiln_status kiln_op_run_time(void *user, int repetitions, struct kiln_error *error)
{
    struct kiln_op_run *run = user;
    enum kiln_status status = KILN_OK;
    for (int i = 0; i < repetitions && !status; i++)
        status = kiln_executable_run_steps(run->executable, run->first, run->count, error);
    enum kiln_status finished =
        kiln_device_backend(run->device)->finish(kiln_device_backend_state(run->device), error);
    return status ? status : finished;
}
