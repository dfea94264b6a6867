/* Writing safetensors files. */
#include "core/run/safetensors.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/file.h"
#include "core/base/json.h"

/* As the reader's. */
enum { MAX_HEADER = 16 << 20, MAX_TENSORS = 65536 };

struct kiln_safetensors_writer {
    kiln_output *output;
    kiln_arena *names;
    const char **keys; /* of metadata and tensors, for the check of doubles */
    size_t n_keys, keys_capacity;
    size_t n_tensors;
    struct kiln_text metadata, tensors; /* members of the two JSON objects */
    int64_t declared, written;          /* bytes of data */
    bool begun;
    enum kiln_status status; /* the first failure */
    struct kiln_error error;
};

enum kiln_status kiln_safetensors_writer_create(const char *path,
                                                kiln_safetensors_writer **result,
                                                struct kiln_error *error)
{
    *result = NULL;
    kiln_safetensors_writer *writer = calloc(1, sizeof *writer);
    if (!writer || !(writer->names = kiln_arena_create())) {
        free(writer);
        return kiln_fail(error, KILN_MACHINE, "%s: out of memory", path);
    }
    enum kiln_status status = kiln_output_begin(path, &writer->output, error);
    if (status)
        kiln_safetensors_writer_abort(&writer);
    *result = writer;
    return status;
}

static void fail(kiln_safetensors_writer *writer, enum kiln_status status, const char *name,
                 const char *what)
{
    if (writer->status)
        return;
    writer->status = kiln_fail(&writer->error, status, "%s: %.100s: %s",
                               kiln_output_path(writer->output), name, what);
}

/* Remembers a key, prefixed so that metadata and tensors cannot clash. */
static void remember(kiln_safetensors_writer *writer, char kind, const char *name)
{
    if (!kiln_array_grow(&writer->keys, &writer->keys_capacity, writer->n_keys,
                         sizeof *writer->keys) ||
        !(writer->keys[writer->n_keys] = kiln_arena_printf(writer->names, "%c%s", kind, name)))
        fail(writer, KILN_MACHINE, name, "out of memory");
    else
        writer->n_keys++;
}

static const char *separator(const struct kiln_text *members)
{
    return members->length ? "," : "";
}

void kiln_safetensors_writer_metadata(kiln_safetensors_writer *writer, const char *key,
                                      const char *value)
{
    if (writer->status)
        return;
    if (writer->begun)
        return fail(writer, KILN_INPUT, key, "metadata after the header was written");
    remember(writer, 'm', key);
    kiln_text_append(&writer->metadata, "%s", separator(&writer->metadata));
    kiln_json_quote(&writer->metadata, key);
    kiln_text_append(&writer->metadata, ":");
    kiln_json_quote(&writer->metadata, value);
}

/* Bytes of a tensor, -1 if the shape is impossible. */
static int64_t tensor_bytes(enum kiln_tensor_dtype dtype, int rank, const int64_t *shape)
{
    int64_t bytes = kiln_tensor_dtype_bytes(dtype);
    if (rank < 0 || rank > KILN_TENSOR_MAX_RANK)
        return -1;
    for (int i = 0; i < rank; i++)
        if (shape[i] < 0 || __builtin_mul_overflow(bytes, shape[i], &bytes))
            return -1;
    return bytes;
}

static bool name_is_valid(const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7F)
            return false;
    return n <= KILN_TENSOR_MAX_NAME && strcmp(name, "__metadata__") != 0;
}

void kiln_safetensors_writer_tensor(kiln_safetensors_writer *writer, const char *name,
                                    enum kiln_tensor_dtype dtype, int rank, const int64_t *shape)
{
    if (writer->status)
        return;
    int64_t bytes = tensor_bytes(dtype, rank, shape), end;
    if (writer->begun)
        return fail(writer, KILN_INPUT, name, "declared after the header was written");
    if (!name_is_valid(name))
        return fail(writer, KILN_INPUT, name, "not a tensor's name");
    if (bytes < 0 || __builtin_add_overflow(writer->declared, bytes, &end))
        return fail(writer, KILN_INPUT, name, "its shape is too large");
    if (++writer->n_tensors > MAX_TENSORS)
        return fail(writer, KILN_INPUT, name, "too many tensors");
    remember(writer, 't', name);
    struct kiln_text *text = &writer->tensors;
    kiln_text_append(text, "%s", separator(text));
    kiln_json_quote(text, name);
    kiln_text_append(text, ":{\"dtype\":\"%s\",\"shape\":[", kiln_tensor_dtype_name(dtype));
    for (int i = 0; i < rank; i++)
        kiln_text_append(text, "%s%lld", i ? "," : "", (long long)shape[i]);
    kiln_text_append(text, "],\"data_offsets\":[%lld,%lld]}", (long long)writer->declared,
                     (long long)end);
    writer->declared = end;
}

void kiln_safetensors_writer_declare(kiln_safetensors_writer *writer, const char *name,
                                     enum kiln_dtype dtype, const struct kiln_shape *shape)
{
    static const enum kiln_tensor_dtype stored[KILN_DTYPE_COUNT] = {
        [KILN_F32] = KILN_TENSOR_F32,
        [KILN_I32] = KILN_TENSOR_I32,
        [KILN_U8] = KILN_TENSOR_U8,
        [KILN_F16] = KILN_TENSOR_F16};
    kiln_safetensors_writer_tensor(writer, name, stored[dtype], shape->n, shape->d);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void check_doubles(kiln_safetensors_writer *writer)
{
    if (writer->n_keys)
        qsort(writer->keys, writer->n_keys, sizeof *writer->keys, by_text);
    for (size_t i = 1; i < writer->n_keys; i++)
        if (strcmp(writer->keys[i - 1], writer->keys[i]) == 0)
            return fail(writer, KILN_INPUT, writer->keys[i] + 1, "declared twice");
}

static void write_bytes(kiln_safetensors_writer *writer, const void *data, size_t bytes)
{
    if (!kiln_output_write(writer->output, data, bytes))
        fail(writer, KILN_MACHINE, "cannot write", strerror(errno));
}

void kiln_safetensors_writer_begin(kiln_safetensors_writer *writer)
{
    if (writer->status)
        return;
    if (writer->begun)
        return fail(writer, KILN_INPUT, "header", "written twice");
    writer->begun = true;
    check_doubles(writer);
    struct kiln_text header = {0};
    kiln_text_append(&header, "{");
    if (writer->metadata.length) {
        kiln_text_append(&header, "\"__metadata__\":{");
        kiln_text_bytes(&header, writer->metadata.data, writer->metadata.length);
        kiln_text_append(&header, "}%s", separator(&writer->tensors));
    }
    if (writer->tensors.length)
        kiln_text_bytes(&header, writer->tensors.data, writer->tensors.length);
    kiln_text_append(&header, "}");
    while (!header.failed && header.length % 8)
        kiln_text_append(&header, " ");
    if (header.failed || writer->metadata.failed || writer->tensors.failed)
        fail(writer, KILN_MACHINE, "header", "out of memory");
    else if (header.length > MAX_HEADER)
        fail(writer, KILN_INPUT, "header", "larger than 16 MiB");
    unsigned char prefix[8];
    for (int i = 0; i < 8; i++)
        prefix[i] = (unsigned char)((uint64_t)header.length >> 8 * i);
    if (!writer->status) {
        write_bytes(writer, prefix, sizeof prefix);
        write_bytes(writer, header.data, header.length);
    }
    kiln_text_finish(&header);
}

void kiln_safetensors_writer_data(kiln_safetensors_writer *writer, const void *data, int64_t bytes)
{
    if (writer->status || bytes == 0)
        return;
    if (!writer->begun || bytes < 0 || bytes > writer->declared - writer->written)
        return fail(writer, KILN_INPUT, "data", "more bytes than were declared");
    write_bytes(writer, data, (size_t)bytes);
    writer->written += bytes;
}

enum kiln_status kiln_safetensors_writer_status(const kiln_safetensors_writer *writer,
                                                struct kiln_error *error)
{
    return writer->status ? kiln_fail(error, writer->status, "%s", writer->error.text) : KILN_OK;
}

enum kiln_status kiln_safetensors_writer_commit(kiln_safetensors_writer **result,
                                                struct kiln_error *error)
{
    kiln_safetensors_writer *writer = *result;
    if (!writer->begun)
        kiln_safetensors_writer_begin(writer);
    if (writer->written != writer->declared)
        fail(writer, KILN_INPUT, "data", "fewer bytes than were declared");
    enum kiln_status status = kiln_safetensors_writer_status(writer, error);
    if (!status)
        status = kiln_output_commit(&writer->output, error);
    kiln_safetensors_writer_abort(result);
    return status;
}

void kiln_safetensors_writer_abort(kiln_safetensors_writer **writer)
{
    if (!writer || !*writer)
        return;
    kiln_output_abort(&(*writer)->output);
    kiln_arena_destroy(&(*writer)->names);
    kiln_text_finish(&(*writer)->metadata);
    kiln_text_finish(&(*writer)->tensors);
    free((*writer)->keys);
    free(*writer);
    *writer = NULL;
}
