/* Attention steps: operands, the plain and the tiled way. */
#ifndef KILN_CPU_ATTENTION_H
#define KILN_CPU_ATTENTION_H

#include "backends/cpu/cpu.h"

/* [batch, rows, columns] with strides. */
struct attention_operand {
    const float *data;
    const int64_t *stride;
};

struct attention {
    const struct kiln_step_attention *s;
    struct attention_operand q, k, v, d_out;
    float *out, *log_sum_exp, *d_q, *d_k, *d_v;
};

struct attention cpu_attention_of(const struct cpu_task *);
enum kiln_status cpu_attention_tiled_prepare(struct cpu_task *, struct kiln_error *);

#endif
