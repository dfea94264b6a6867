/*
 * The files of an export, shared by the parts that write it.
 */
#ifndef KILN_RUN_EXPORT_FOLDER_H
#define KILN_RUN_EXPORT_FOLDER_H

#include "core/run/export.h"

/* Writes the states whose names begin with prefix, without it. */
enum kiln_status kiln_export_weights(const struct kiln_export *, const kiln_states *,
                                     const char *prefix, const char *path, struct kiln_error *);
/* Writes a JSON object, a key a line; its class is the file's. */
enum kiln_status kiln_export_json(const struct kiln_export *, const struct kiln_exchange_file *,
                                  const char *path, struct kiln_error *);

#endif
