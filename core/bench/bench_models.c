#include "core/bench/bench.h"
int kiln_bench_count_models(const struct kiln_bench_options *o)
{
    (void)o;
    return 0;
}
enum kiln_status kiln_bench_models(struct kiln_bench_run *r, struct kiln_error *e)
{
    (void)r;
    (void)e;
    return KILN_OK;
}
