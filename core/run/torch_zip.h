/*
 * The container of torch.save: a ZIP archive of stored (uncompressed) entries.
 *
 * Only what torch writes is accepted: no compression, no encryption, one disk;
 * ZIP64 records where torch uses them. Every offset and size is checked
 * against the file before it is used. A bad file is KILN_INPUT.
 */
#ifndef KILN_RUN_TORCH_ZIP_H
#define KILN_RUN_TORCH_ZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/api/status.h"

struct kiln_zip_entry {
    const char *name; /* of name_bytes, not terminated; in the archive's bytes */
    size_t name_bytes;
    const uint8_t *data;
    size_t bytes;
};

struct kiln_zip {
    const uint8_t *bytes; /* the whole file, not owned */
    size_t size;
    size_t n;
    struct kiln_zip_entry *entries; /* owned */
};

/* bytes must outlive the archive. kiln_zip_finish frees, also after failure. */
enum kiln_status kiln_zip_init(struct kiln_zip *, const uint8_t *bytes, size_t size,
                               struct kiln_error *);
void kiln_zip_finish(struct kiln_zip *);
/* The entry whose name is "<archive>/<path>" for any archive name; NULL if
 * there is none. */
const struct kiln_zip_entry *kiln_zip_find(const struct kiln_zip *, const char *path);

#endif
