/* Loop steps: the ways to execute them. */
#include "backends/cpu/loop.h"

CPU_KIND(cpu_loop_kind, {CPU_PLAIN, "plain", NULL, cpu_loop_plain_prepare});
