/*
 * Device memory with an account: drivers promise more than they have and fail
 * late, so Kiln counts itself and refuses in time.
 */
#ifndef KILN_DEVICE_MEMORY_H
#define KILN_DEVICE_MEMORY_H

#include "core/device/device.h"

/*
 * Zero-filled memory of bytes >= 0 (0 gives NULL). what names it in the
 * message ("states", "workspace"), which says need, what is in use and the
 * limit. KILN_MACHINE on failure. Freed by kiln_device_memory_destroy with the
 * same byte count.
 */
enum kiln_status kiln_device_memory_create(kiln_device *, int64_t bytes, const char *what,
                                           kiln_memory **memory, struct kiln_error *);
/* Sets *memory to NULL; accepts NULL. */
void kiln_device_memory_destroy(kiln_device *, int64_t bytes, kiln_memory **memory);
/* Bytes in use through this account. */
int64_t kiln_device_memory_used(const kiln_device *);

#endif
