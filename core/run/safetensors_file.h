/*
 * An open safetensors file, shared by the files that implement reading.
 */
#ifndef KILN_RUN_SAFETENSORS_FILE_H
#define KILN_RUN_SAFETENSORS_FILE_H

#include <jansson.h>

#include "core/run/safetensors.h"

struct kiln_safetensors {
    char *path;
    int fd;
    int64_t bytes;                 /* of the file */
    json_t *header;                /* owns all names */
    json_t *metadata;              /* within header; NULL if absent */
    int n;
    struct kiln_tensor *tensors;   /* in order of offset */
    struct kiln_tensor **by_name;  /* sorted by name */
};

#endif
