/* The probe of the processor: multiply-adds in registers on every thread. */
#include "backends/cpu/cpu.h"

enum { MOST_LANES = 16 };

enum kiln_status cpu_arithmetic(kiln_device_state *device, double flops, double *done,
                                struct kiln_error *error)
{
    (void)error;
    const int64_t unit = 4096;
    float one[MOST_LANES] = {0.5f};
    int64_t each = device->simd->arithmetic(1, one); /* of a round */
    int64_t tasks = (int64_t)(flops / (double)(unit * each)) + 1;
    if (tasks < device->threads)
        tasks = device->threads;
    double total = 0;
#pragma omp parallel for num_threads(device->threads) schedule(dynamic) reduction(+ : total)
    for (int64_t i = 0; i < tasks; i++) {
        float sink[MOST_LANES];
        for (int k = 0; k < MOST_LANES; k++)
            sink[k] = 0.5f + (float)k / 64; /* below 1: the chains converge */
        total += (double)device->simd->arithmetic(unit, sink);
    }
    device->launches++;
    *done = total;
    return KILN_OK;
}
