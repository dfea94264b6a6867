/*
 * The backends of this process: found and loaded once, by name.
 */
#ifndef KILN_DEVICE_BACKENDS_H
#define KILN_DEVICE_BACKENDS_H

#include "core/api/backend.h"

enum kiln_backend_id { KILN_BACKEND_CPU, KILN_BACKEND_OPENCL, KILN_BACKEND_COUNT };

/* "cpu", "opencl". */
const char *kiln_backend_name(enum kiln_backend_id);

/*
 * Loads the backend's module at the first call, from the first of
 *     $KILN_BACKEND_PATH/NAME.so      (each directory of a ':' list, absolute)
 *     BUILD/backends/NAME/NAME.so     (kiln_module_build_dir)
 *     INSTALLED/backends/NAME.so      (kiln_module_install_dir)
 * that exists. A file that is there but does not load ends the search: the
 * reason is what the user needs to see. The result, good or bad, is kept for
 * the life of the process.
 *
 * Returns NULL with a message that names the path and the reason.
 */
const struct kiln_backend *kiln_backend_load(enum kiln_backend_id, struct kiln_error *);

/* As kiln_backend_load from one file, not kept: the part that checks. */
const struct kiln_backend *kiln_backend_open(const char *path, const char *name,
                                             struct kiln_error *);

#endif
