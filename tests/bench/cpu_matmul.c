/* GFLOP/s of matrix products on the CPU backend, every candidate. */
#include "cpu_bench.h"

#include <stdio.h>
#include <stdlib.h>

struct size {
    int64_t batch, m, n, k;
};

static const struct size sizes[] = {
    {1, 1024, 1024, 1024}, {1, 128, 400, 784}, {1, 128, 784, 400}, {1, 400, 784, 128},
    {1, 64, 6272, 100},    {64, 49, 49, 64},   {64, 49, 64, 49},   {256, 64, 64, 32},
    {1, 128, 40, 400},     {1, 16, 400, 784},  {1, 16, 784, 400},  {1, 256, 400, 784},
};

int main(int argc, char **argv)
{
    struct bench bench = bench_open(argc > 1 ? atoi(argv[1]) : 2);
    printf("%s\n", bench.backend->libraries(bench.device));
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (int form = 0; form < 3; form++) {
            const struct size *z = &sizes[i];
            bool ta = form == 1, tb = form == 2;
            struct kiln_step step = {.kind = KILN_STEP_MATMUL};
            struct kiln_step_matmul *s = &step.as.matmul;
            bench.bytes = 0;
            *s = (struct kiln_step_matmul){.batch = z->batch,
                                           .m = z->m,
                                           .n = z->n,
                                           .k = z->k,
                                           .a_stride = {z->m * z->k, ta ? 1 : z->k, ta ? z->m : 1},
                                           .b_stride = {z->k * z->n, tb ? 1 : z->n, tb ? z->k : 1},
                                           .c_stride = {z->m * z->n, z->n, 1}};
            s->a = bench_place(&bench, KILN_F32, z->batch * z->m * z->k);
            s->b = bench_place(&bench, KILN_F32, z->batch * z->k * z->n);
            s->c = bench_place(&bench, KILN_F32, z->batch * z->m * z->n);
            struct kiln_candidate candidates[KILN_MAX_CANDIDATES];
            int n = bench.backend->candidates(bench.device, &step, candidates);
            printf("%4lld x %5lld x %5lld x %5lld %s", (long long)z->batch, (long long)z->m,
                   (long long)z->n, (long long)z->k,
                   ta   ? "TN"
                   : tb ? "NT"
                        : "NN");
            for (int k = 0; k < n; k++) {
                step.algorithm = candidates[k].algorithm;
                if (step.algorithm == 0 && n > 1)
                    continue;
                double t = bench_steps(&bench, 1, &step);
                double flops = 2.0 * (double)(z->batch * z->m * z->n * z->k);
                printf("  %s %.0f", candidates[k].name, flops / t * 1e-9);
            }
            printf("\n");
        }
    bench.backend->close(bench.device);
    return 0;
}
