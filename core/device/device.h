/*
 * Devices: finding and loading backends, choosing a device by name.
 */
#ifndef KILN_DEVICE_DEVICE_H
#define KILN_DEVICE_DEVICE_H

#include "core/api/backend.h"

typedef struct kiln_device kiln_device;

struct kiln_device_entry {
    char name[64]; /* "cpu", "cpu:ref", "opencl:0" */
    const struct kiln_backend *backend;
    int index;
    bool reference;
    struct kiln_caps caps;
};

/* All devices of all backends that load; cpu first, cpu:ref second. A backend
 * that does not load is left out; its reason goes to notes (one line each,
 * may be NULL). Returns the number written, at most max. */
int kiln_device_list(int max, struct kiln_device_entry *, char *notes, size_t notes_size);

/*
 * Opens a device by specification: "cpu", "cpu:ref", "opencl:0", "opencl" (its
 * best), a unique part of a device's name (case-insensitive), "" or "auto"
 * (the best by type: GPU, accelerator, then cpu). Unknown or ambiguous:
 * KILN_INPUT with the list of names; a device that fails: KILN_MACHINE.
 */
enum kiln_status kiln_device_open(const char *spec, const struct kiln_device_options *,
                                  kiln_device **, struct kiln_error *);
void kiln_device_close(kiln_device **);

const char *kiln_device_name(const kiln_device *);
const struct kiln_caps *kiln_device_caps(const kiln_device *);
const struct kiln_backend *kiln_device_backend(const kiln_device *);
kiln_device_state *kiln_device_backend_state(const kiln_device *);
/* The thread count it was opened with; 0 = the backend's choice. */
int kiln_device_threads(const kiln_device *);
/* True if every override is masked ("cpu:ref"). */
bool kiln_device_is_reference(const kiln_device *);

/* $XDG_CACHE_HOME/kiln or ~/.cache/kiln, created 0700 and owned by the user;
 * false (and "") if it cannot be had. */
bool kiln_cache_dir(char *path, size_t size);

#endif
