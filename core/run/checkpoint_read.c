/* Opening checkpoints and bare state_dicts. */
#include "core/run/checkpoint.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xxhash.h>

#include "core/base/file.h"
#include "core/base/json_read.h"
#include "core/run/checkpoint_names.h"

struct kiln_checkpoint {
    kiln_safetensors *file;
    struct kiln_run_state run;
    const char *config;
    struct kiln_checkpoint_names names;
    bool not_finite; /* accepted */
};

/* --- metadata --------------------------------------------------------------------- */

static bool parse_number(const char *text, uint64_t limit, uint64_t *value)
{
    if (!text || !*text || strspn(text, "0123456789") != strlen(text) || strlen(text) > 20)
        return false;
    errno = 0;
    unsigned long long number = strtoull(text, NULL, 10);
    *value = number;
    return !errno && number <= limit;
}

static bool json_field(const json_t *object, const char *key, int64_t min, int64_t max,
                       int64_t *value)
{
    const json_t *field = json_object_get(object, key);
    *value = json_is_integer(field) ? json_integer_value(field) : min - 1;
    return *value >= min && *value <= max;
}

/* KILN_INPUT: the text does not describe data. */
static enum kiln_status parse_data(const char *text, struct kiln_data_info *info)
{
    const int64_t side = 1 << 14, many = (int64_t)1 << 40;
    json_t *json = NULL;
    if (text &&
        kiln_json_read(text, strlen(text), JSON_REJECT_DUPLICATES, &json, NULL) == KILN_MACHINE)
        return KILN_MACHINE;
    info->points = json_is_true(json_object_get(json, "points"));
    bool good = json_field(json, "channels", 1, 4096, &info->channels) &&
                json_field(json, "height", 1, side, &info->height) &&
                json_field(json, "width", 1, side, &info->width) &&
                json_field(json, "n_classes", 0, 1 << 20, &info->n_classes) &&
                json_field(json, "n_train", 0, many, &info->n_train) &&
                json_field(json, "n_test", 0, many, &info->n_test);
    json_decref(json);
    return good ? KILN_OK : KILN_INPUT;
}

static enum kiln_status read_metadata(kiln_checkpoint *checkpoint, struct kiln_error *error)
{
    const kiln_safetensors *file = checkpoint->file;
    const char *path = kiln_safetensors_path(file),
               *version = kiln_safetensors_metadata(file, "kiln_format");
    uint64_t number, step;
    if (!version)
        return KILN_OK;
    if (!parse_number(version, KILN_CHECKPOINT_FORMAT, &number))
        return kiln_fail(error, KILN_INPUT,
                         "%s: checkpoint format %.20s, but this program reads up to %d", path,
                         version, KILN_CHECKPOINT_FORMAT);
    enum kiln_status status =
        parse_data(kiln_safetensors_metadata(file, "data"), &checkpoint->run.info);
    if (status == KILN_MACHINE)
        return kiln_fail(error, status, "%s: out of memory", path);
    if (status || !parse_number(kiln_safetensors_metadata(file, "step"), INT64_MAX / 2, &step) ||
        !parse_number(kiln_safetensors_metadata(file, "seed"), UINT64_MAX, &checkpoint->run.seed))
        return kiln_fail(error, KILN_INPUT,
                         "%s: damaged checkpoint: bad step, seed or data in its metadata", path);
    checkpoint->run.step = (int64_t)step;
    checkpoint->config = kiln_safetensors_metadata(file, "config");
    if (!checkpoint->config)
        return kiln_fail(error, KILN_INPUT, "%s: damaged checkpoint: no config in its metadata",
                         path);
    return KILN_OK;
}

enum kiln_status kiln_checkpoint_open(const char *path, kiln_checkpoint **out,
                                      struct kiln_error *error)
{
    kiln_checkpoint *checkpoint = calloc(1, sizeof *checkpoint);
    bool directory = kiln_directory_exists(path);
    char *file = kiln_path_join(directory ? path : "", directory ? "checkpoint.safetensors" : path);
    enum kiln_status status = KILN_OK;
    *out = NULL;
    if (!checkpoint || !file)
        status = kiln_fail(error, KILN_MACHINE, "out of memory");
    else if (directory && !kiln_file_exists(file))
        status =
            kiln_fail(error, KILN_INPUT, "%s: no checkpoint.safetensors in this directory", path);
    if (!status)
        status = kiln_safetensors_open(file, &checkpoint->file, error);
    if (!status)
        status = read_metadata(checkpoint, error);
    free(file);
    if (status)
        kiln_checkpoint_close(&checkpoint);
    *out = checkpoint;
    return status;
}

void kiln_checkpoint_close(kiln_checkpoint **checkpoint)
{
    if (!checkpoint || !*checkpoint)
        return;
    kiln_safetensors_close(&(*checkpoint)->file);
    free(*checkpoint);
    *checkpoint = NULL;
}

const kiln_safetensors *kiln_checkpoint_tensors(const kiln_checkpoint *checkpoint)
{
    return checkpoint->file;
}

const char *kiln_checkpoint_path(const kiln_checkpoint *checkpoint)
{
    return kiln_safetensors_path(checkpoint->file);
}

void kiln_checkpoint_accept_not_finite(kiln_checkpoint *checkpoint)
{
    checkpoint->not_finite = true;
}

bool kiln_checkpoint_accepts_not_finite(const kiln_checkpoint *checkpoint)
{
    return checkpoint->not_finite;
}

enum kiln_status kiln_checkpoint_map(kiln_checkpoint *checkpoint, const struct kiln_model *model,
                                     const char *part, struct kiln_error *error)
{
    struct kiln_checkpoint_names *names = &checkpoint->names;
    names->exchange = model->exchange;
    bool whole = !part || !*part;
    int n =
        snprintf(names->prefix, sizeof names->prefix, "%s%s", whole ? "" : part, whole ? "" : ".");
    if (n >= 0 && (size_t)n < sizeof names->prefix)
        return KILN_OK;
    return kiln_fail(error, KILN_INPUT, "--part: a name is at most %zu letters long",
                     sizeof names->prefix - 2);
}

const struct kiln_checkpoint_names *kiln_checkpoint_names(const kiln_checkpoint *checkpoint)
{
    return &checkpoint->names;
}

const struct kiln_tensor *kiln_checkpoint_find(const kiln_checkpoint *checkpoint, const char *name)
{
    return kiln_checkpoint_names_find(&checkpoint->names, checkpoint->file, name);
}

bool kiln_checkpoint_foreign(const kiln_checkpoint *checkpoint)
{
    return !checkpoint->config;
}

const struct kiln_run_state *kiln_checkpoint_run(const kiln_checkpoint *checkpoint)
{
    return &checkpoint->run;
}

const char *kiln_checkpoint_config(const kiln_checkpoint *checkpoint)
{
    return checkpoint->config;
}

enum kiln_status kiln_checkpoint_hash(const kiln_checkpoint *checkpoint, char hash[33],
                                      struct kiln_error *error)
{
    enum { CHUNK = 1 << 20 };
    const char *path = kiln_checkpoint_path(checkpoint);
    int fd = -1;
    int64_t bytes = 0;
    enum kiln_status status = kiln_file_open(path, &fd, &bytes, error);
    if (status)
        return status;
    XXH3_state_t *state = XXH3_createState();
    char *chunk = malloc(CHUNK);
    if (!state || !chunk)
        status = kiln_fail(error, KILN_MACHINE, "%s: out of memory", path);
    else
        XXH3_128bits_reset(state);
    for (int64_t at = 0; at < bytes && !status; at += CHUNK) {
        size_t n = bytes - at < CHUNK ? (size_t)(bytes - at) : CHUNK;
        status = kiln_file_read_at(fd, path, chunk, n, at, error);
        if (!status)
            XXH3_128bits_update(state, chunk, n);
    }
    if (!status) {
        XXH128_hash_t digest = XXH3_128bits_digest(state);
        snprintf(hash, 33, "%016" PRIx64 "%016" PRIx64, (uint64_t)digest.high64,
                 (uint64_t)digest.low64);
    }
    XXH3_freeState(state);
    free(chunk);
    close(fd);
    return status;
}
