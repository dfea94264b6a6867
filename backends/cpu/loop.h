/* Loop steps: the plain interpreter and the vectorised executor. */
#ifndef KILN_CPU_LOOP_H
#define KILN_CPU_LOOP_H

#include "backends/cpu/cpu.h"

enum kiln_status cpu_loop_plain_prepare(struct cpu_task *, struct kiln_error *);

#endif
