/* Loop steps: the ways to execute them. */
#include "backends/cpu/loop.h"

#include <stdlib.h>

struct fast_loop {
    int n;
    struct loop_kernel *kernels[2];
};

static enum kiln_status fast_run(struct cpu_task *task, struct kiln_error *error)
{
    (void)error;
    const struct fast_loop *fast = task->data;
    const kiln_device_state *device = task->device;
    for (int i = 0; i < fast->n; i++)
        cpu_loop_run(fast->kernels[i], task->threads, device->thread_memory, device->thread_bytes);
    return KILN_OK;
}

static void fast_release(void *data)
{
    struct fast_loop *fast = data;
    for (int i = 0; i < fast->n; i++)
        cpu_loop_release(fast->kernels[i]);
    free(fast);
}

static enum kiln_status fast_prepare(struct cpu_task *task, struct kiln_error *error)
{
    const struct kiln_loop *loop = &task->step->as.loop;
    struct loop_range ranges[2];
    struct fast_loop *fast = calloc(1, sizeof *fast);
    if (!fast)
        return kiln_fail(error, KILN_MACHINE, "cpu: no memory");
    task->data = fast;
    task->release = fast_release;
    task->run = fast_run;
    fast->n = cpu_loop_ranges(loop, ranges);
    for (int i = 0; i < fast->n; i++) {
        fast->kernels[i] = cpu_loop_compile(loop, ranges[i], task->device->simd->loop, task->exec);
        if (!fast->kernels[i] || !cpu_reserve(task->device, fast->kernels[i]->thread_bytes))
            return kiln_fail(error, KILN_MACHINE, "cpu: no memory for step %s", task->step->label);
    }
    int64_t elements = 1;
    for (int d = 0; d < loop->n_dims; d++)
        elements *= loop->extent[d];
    task->threads = cpu_threads(task->device, elements * loop->n_instructions);
    return KILN_OK;
}

static bool fast_accepts(kiln_device_state *device, const struct kiln_step *step,
                         struct kiln_candidate *candidate)
{
    (void)step;
    (void)candidate;
    return !device->reference;
}

CPU_KIND(cpu_loop_kind, {CPU_PLAIN, "vectors", fast_accepts, fast_prepare},
         {CPU_PLAIN, "plain", NULL, cpu_loop_plain_prepare});
