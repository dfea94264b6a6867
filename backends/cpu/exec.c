/* Executions: choosing the algorithm of each step and running the steps in order. */
#include "backends/cpu/cpu.h"

#include <omp.h>
#include <stdlib.h>

#if defined(__SSE2__)
#include <xmmintrin.h>
/* Flush to zero and denormals are zero: a denormal operand costs ~150 cycles. */
#define FLUSH_BITS 0x8040u
static unsigned flush_denormals(void)
{
    unsigned old = _mm_getcsr();
    _mm_setcsr(old | FLUSH_BITS);
    return old;
}
static void restore_denormals(unsigned old)
{
    _mm_setcsr(old);
}
#else
static unsigned flush_denormals(void)
{
    return 0;
}
static void restore_denormals(unsigned old)
{
    (void)old;
}
#endif

const struct cpu_kind *cpu_kind_of(enum kiln_step_kind kind)
{
    static const struct cpu_kind *const kinds[KILN_STEP_KIND_COUNT] = {
        [KILN_STEP_LOOP] = &cpu_loop_kind,
        [KILN_STEP_MATMUL] = &cpu_matmul_kind,
        [KILN_STEP_CONV] = &cpu_conv_kind,
        [KILN_STEP_CONV_INPUT_GRAD] = &cpu_conv_input_grad_kind,
        [KILN_STEP_CONV_WEIGHT_GRAD] = &cpu_conv_weight_grad_kind,
        [KILN_STEP_WINDOW_ARGMAX] = &cpu_window_argmax_kind,
        [KILN_STEP_WINDOW_GATHER] = &cpu_window_gather_kind,
        [KILN_STEP_WINDOW_SCATTER] = &cpu_window_scatter_kind,
        [KILN_STEP_RESAMPLE] = &cpu_resample_kind,
        [KILN_STEP_GATHER_ROWS] = &cpu_gather_rows_kind,
        [KILN_STEP_SCATTER_ADD_ROWS] = &cpu_scatter_add_rows_kind,
        [KILN_STEP_RNG] = &cpu_rng_kind,
        [KILN_STEP_ATTENTION] = &cpu_attention_kind,
        [KILN_STEP_ATTENTION_GRAD] = &cpu_attention_grad_kind,
        [KILN_STEP_UPDATE] = &cpu_update_kind,
    };
    return kinds[kind];
}

/* The algorithms that a device may use: the reference only the last. */
static int first_algorithm(const kiln_device_state *device, const struct cpu_kind *kind)
{
    return device->reference ? kind->n - 1 : 0;
}

int cpu_candidates(kiln_device_state *device, const struct kiln_step *step,
                   struct kiln_candidate candidates[KILN_MAX_CANDIDATES])
{
    const struct cpu_kind *kind = cpu_kind_of(step->kind);
    int n = 0, max_threads = omp_get_max_threads();
    omp_set_num_threads(device->threads); /* oneDNN plans for this number */
    for (int i = first_algorithm(device, kind); i < kind->n && n < KILN_MAX_CANDIDATES; i++) {
        const struct cpu_algorithm *algorithm = &kind->algorithms[i];
        candidates[n] =
            (struct kiln_candidate){.algorithm = algorithm->id, .name = algorithm->name};
        n += !algorithm->accepts || algorithm->accepts(device, step, &candidates[n]);
    }
    omp_set_num_threads(max_threads);
    return n;
}

static enum kiln_status prepare(struct cpu_task *task, struct kiln_error *error)
{
    const struct kiln_step *step = task->step;
    const struct cpu_kind *kind = cpu_kind_of(step->kind);
    for (int i = first_algorithm(task->device, kind); i < kind->n; i++)
        if (kind->algorithms[i].id == step->algorithm)
            return kind->algorithms[i].prepare(task, error);
    return kiln_fail(error, KILN_MACHINE, "cpu: step %s: unknown algorithm %d", step->label,
                     step->algorithm);
}

enum kiln_status cpu_exec_create(kiln_device_state *device, const struct kiln_steps *steps,
                                 kiln_memory *const regions[KILN_REGION_COUNT], kiln_exec **result,
                                 struct kiln_error *error)
{
    *result = NULL;
    kiln_exec *exec = calloc(1, sizeof *exec);
    struct cpu_task *tasks = calloc((size_t)steps->n + 1, sizeof *tasks);
    if (!exec || !tasks) {
        free(exec);
        free(tasks);
        return kiln_fail(error, KILN_MACHINE, "cpu: no memory");
    }
    exec->device = device;
    exec->n = steps->n;
    exec->tasks = tasks;
    for (int i = 0; i < KILN_REGION_COUNT; i++)
        exec->region[i] = regions[i] ? regions[i]->data : NULL;

    int max_threads = omp_get_max_threads();
    omp_set_num_threads(device->threads);
    enum kiln_status status = KILN_OK;
    for (int i = 0; i < steps->n && status == KILN_OK; i++) {
        tasks[i] = (struct cpu_task){
            .step = &steps->steps[i], .device = device, .exec = exec, .threads = device->threads};
        status = prepare(&tasks[i], error);
    }
    omp_set_num_threads(max_threads);
    if (status != KILN_OK) {
        cpu_exec_destroy(device, exec);
        return status;
    }
    *result = exec;
    return KILN_OK;
}

void cpu_exec_destroy(kiln_device_state *device, kiln_exec *exec)
{
    (void)device;
    if (!exec)
        return;
    for (int i = 0; i < exec->n; i++)
        if (exec->tasks[i].release)
            exec->tasks[i].release(exec->tasks[i].data);
    free(exec->tasks);
    free(exec);
}

enum kiln_status cpu_exec_run(kiln_device_state *device, kiln_exec *exec, int first, int count,
                              struct kiln_error *error)
{
    int max_threads = omp_get_max_threads();
    omp_set_num_threads(device->threads);
    unsigned old = flush_denormals();
    if (device->threads > 1) {
        /* the workers too; they are this pool's, so their mode may stay */
#pragma omp parallel num_threads(device->threads)
        flush_denormals();
    }
    enum kiln_status status = KILN_OK;
    for (int i = first; i < first + count && status == KILN_OK; i++)
        status = exec->tasks[i].run(&exec->tasks[i], error);
    device->launches += count;
    restore_denormals(old);
    omp_set_num_threads(max_threads);
    return status;
}
