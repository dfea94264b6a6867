/*
 * The OpenCL probe: drivers are first tried in a process of their own, since a
 * driver that crashes or hangs when it is enumerated or opened cannot be
 * caught in this one.
 *
 * The child is Kiln itself with the hidden command KILN_PROBE_COMMAND. Its
 * answer is kept in the cache directory under a key of everything that decides
 * it (driver files and devices with their times, environment), so that a warm
 * start costs a few file lookups. A failure is kept for ten minutes only.
 */
#ifndef KILN_DEVICE_PROBE_H
#define KILN_DEVICE_PROBE_H

#include <stdio.h>

#include "core/api/backend.h"

#define KILN_PROBE_COMMAND "--probe-opencl"
#define KILN_PROBE_MAX     64

/* What is needed to choose a device before its driver is loaded. */
struct kiln_probe_device {
    struct kiln_caps caps; /* name, vendor, driver, version, platform, type, sizes */
    bool usable;           /* it was opened and closed */
    char reason[256];      /* why not */
};

struct kiln_probe {
    bool done;        /* false: no probe was made (no program to spawn) */
    bool usable;      /* OpenCL can be loaded and enumerated in this process */
    char reason[512]; /* why not, or what else went wrong; "" = all is well */
    int n;
    struct kiln_probe_device devices[KILN_PROBE_MAX];
};

/* The absolute path of the program to spawn; the kiln program names itself at
 * its start. KILN_PROBE_PROGRAM in the environment goes before it. Without
 * either there is no probe. */
void kiln_probe_program(const char *path);

/* Fills probe from the cache, or by asking the child (fresh: always). It waits
 * 10 s, or KILN_PROBE_TIMEOUT seconds, for each sign of life. */
void kiln_probe_opencl(bool fresh, struct kiln_probe *probe);

/*
 * The child's work, one JSON object a line: each device enumerated, then
 * {"enumerated": n}, each device opened and closed, then {"done": true}; or
 * {"failed": reason}. Returns the exit status.
 */
int kiln_probe_child(FILE *out);

/* The program to spawn, or NULL; lives as long as the environment. */
const char *kiln_probe_program_path(void);

#define KILN_PROBE_LIBRARY_COMMAND "--probe-library"
/* Another child's work: loads a shared library by the name that an ICD file
 * gives; prints the loader's reason if that fails. Returns the exit status. */
int kiln_probe_library_child(const char *library, FILE *out);

/* Appends everything that decides the answer; for the cache key. */
struct kiln_text;
void kiln_probe_key(struct kiln_text *);

#endif
