/*
 * JSON files of other programs.
 */
#ifndef KILN_RUN_FOLDER_JSON_H
#define KILN_RUN_FOLDER_JSON_H

#include <stddef.h>

#include <jansson.h>

#include "core/api/status.h"

/* Reads a file of at most 1 MiB that is one JSON object, without duplicate
 * keys. The caller releases *object (json_decref). */
enum kiln_status kiln_folder_json(const char *path, json_t **object, struct kiln_error *);
/* The same of bytes, which are changed; path stands in messages. */
enum kiln_status kiln_folder_json_parse(const char *path, char *bytes, size_t n, json_t **object,
                                        struct kiln_error *);

#endif
