/* How OpenMP's threads wait: spinning, unless the machine is busy. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "core/device/waiting.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { SAMPLES = 10, BETWEEN_NS = 2000000 };

bool kiln_loadavg_is_busy(const char *text, long processors)
{
    int running;
    if (sscanf(text, "%*f %*f %*f %d/", &running) != 1)
        return false;
    return running - 1 > processors / 16;
}

/* Busy in every sample: what runs for a moment does not count, nor do threads of
 * another program that still spin. */
static bool machine_is_busy(void)
{
    for (int i = 0; i < SAMPLES; i++) {
        char text[128];
        FILE *file = fopen("/proc/loadavg", "r");
        bool busy = file && fgets(text, sizeof text, file) &&
                    kiln_loadavg_is_busy(text, sysconf(_SC_NPROCESSORS_ONLN));
        if (file)
            fclose(file);
        if (!busy)
            return false;
        nanosleep(&(struct timespec){.tv_nsec = BETWEEN_NS}, NULL);
    }
    return true;
}

/*
 * The runtime's default spins for milliseconds between parallel regions, which
 * stalls everything when another thread wants the processor (a driver's, or a
 * neighbour's on a shared machine). Some 100 microseconds are enough where
 * Kiln is alone; never spinning costs a futex wake per region there. Where it
 * is not, a thread that spins takes the time that the one it waits for needs.
 */
void kiln_set_thread_waiting(void)
{
    if (!getenv("OMP_WAIT_POLICY") && !getenv("GOMP_SPINCOUNT"))
        setenv("GOMP_SPINCOUNT", machine_is_busy() ? "0" : "10000", 0);
}
