/*
 * How OpenMP's threads wait for each other.
 */
#ifndef KILN_DEVICE_WAITING_H
#define KILN_DEVICE_WAITING_H

#include <stdbool.h>

/*
 * Sets GOMP_SPINCOUNT unless the environment has it or OMP_WAIT_POLICY. To be
 * called before the first module that needs the OpenMP runtime is loaded, which
 * reads its settings then.
 */
void kiln_set_thread_waiting(void);

/* True if a text like /proc/loadavg ("0.20 0.18 0.12 3/80 11206") tells that
 * beside its reader more threads run than a machine of so many processors has
 * to spare: a sixteenth of them. */
bool kiln_loadavg_is_busy(const char *text, long processors);

#endif
