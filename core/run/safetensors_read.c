/* Opening safetensors files: the header, checked completely. */
#include "core/run/safetensors.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/json_read.h"
#include "core/run/safetensors_file.h"

enum { MAX_HEADER = 16 << 20, MAX_TENSORS = 65536, PREFIX_BYTES = 8 };

static bool has_control_character(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7F)
            return true;
    return false;
}

static bool find_dtype(const char *name, enum kiln_tensor_dtype *dtype)
{
    for (int i = 0; i < KILN_TENSOR_DTYPE_COUNT; i++) {
        *dtype = (enum kiln_tensor_dtype)i;
        if (strcmp(name, kiln_tensor_dtype_name(*dtype)) == 0)
            return true;
    }
    return false;
}

/* A JSON integer >= 0; false if it is anything else. */
static bool get_size(const json_t *value, int64_t *size)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *size = json_integer_value(value);
    return true;
}

/* The shape's product and the bytes it needs; NULL or what is wrong. */
static const char *read_shape(const json_t *shape, struct kiln_tensor *tensor)
{
    if (!json_is_array(shape))
        return "its shape is not a list";
    if (json_array_size(shape) > KILN_TENSOR_MAX_RANK)
        return "it has more than 8 dimensions";
    tensor->rank = (int)json_array_size(shape);
    tensor->count = 1;
    for (int i = 0; i < tensor->rank; i++) {
        if (!get_size(json_array_get(shape, (size_t)i), &tensor->shape[i]))
            return "an extent of its shape is not a whole number";
        if (__builtin_mul_overflow(tensor->count, tensor->shape[i], &tensor->count))
            return "its shape is too large";
    }
    if (__builtin_mul_overflow(tensor->count, kiln_tensor_dtype_bytes(tensor->dtype),
                               &tensor->bytes))
        return "its shape is too large";
    return NULL;
}

/* NULL or what is wrong. The offset is left relative to the buffer. */
static const char *read_tensor(const char *name, const json_t *entry, struct kiln_tensor *tensor)
{
    tensor->name = name;
    if (strlen(name) > KILN_TENSOR_MAX_NAME)
        return "its name is longer than 512 bytes";
    if (has_control_character(name))
        return "its name has a control character";
    if (!json_is_object(entry))
        return "expected an object of dtype, shape and data_offsets";
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    if (!dtype)
        return "its dtype is missing";
    if (!find_dtype(dtype, &tensor->dtype))
        return "its dtype is unknown";
    const char *wrong = read_shape(json_object_get(entry, "shape"), tensor);
    if (wrong)
        return wrong;
    const json_t *offsets = json_object_get(entry, "data_offsets");
    int64_t end;
    if (!json_is_array(offsets) || json_array_size(offsets) != 2 ||
        !get_size(json_array_get(offsets, 0), &tensor->offset) ||
        !get_size(json_array_get(offsets, 1), &end))
        return "its data_offsets are not two whole numbers";
    if (end < tensor->offset)
        return "its data_offsets are reversed";
    if (end - tensor->offset != tensor->bytes)
        return "its data_offsets do not match its shape and dtype";
    return NULL;
}

static int by_offset(const void *a, const void *b)
{
    const struct kiln_tensor *x = a, *y = b;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    /* empty tensors before the one that starts where they are */
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int by_name(const void *a, const void *b)
{
    const struct kiln_tensor *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

/* Tensors must cover the buffer in order, with no hole and no overlap. */
static enum kiln_status place_tensors(struct kiln_safetensors *file, int64_t start,
                                      struct kiln_error *error)
{
    qsort(file->tensors, (size_t)file->n, sizeof *file->tensors, by_offset);
    int64_t end = 0;
    for (int i = 0; i < file->n; i++) {
        struct kiln_tensor *tensor = &file->tensors[i];
        if (tensor->offset != end)
            return kiln_fail(error, KILN_INPUT,
                             "%s: tensor %.100s: its data start at %lld, expected %lld", file->path,
                             tensor->name, (long long)tensor->offset, (long long)end);
        /* cannot overflow: get_size gave this sum */
        end += tensor->bytes;
        file->by_name[i] = tensor;
    }
    if (end != file->bytes - start)
        return kiln_fail(error, KILN_INPUT, "%s: has %lld bytes of data, its header tells of %lld",
                         file->path, (long long)(file->bytes - start), (long long)end);
    for (int i = 0; i < file->n; i++)
        file->tensors[i].offset += start;
    qsort(file->by_name, (size_t)file->n, sizeof *file->by_name, by_name);
    return KILN_OK;
}

static enum kiln_status check_metadata(struct kiln_safetensors *file, struct kiln_error *error)
{
    if (!file->metadata)
        return KILN_OK;
    if (!json_is_object(file->metadata))
        return kiln_fail(error, KILN_INPUT, "%s: __metadata__ is not an object", file->path);
    const char *key;
    json_t *value;
    json_object_foreach(file->metadata, key, value)
    {
        if (!json_is_string(value))
            return kiln_fail(error, KILN_INPUT, "%s: __metadata__ %.100s is not a string",
                             file->path, key);
    }
    return KILN_OK;
}

static enum kiln_status read_tensors(struct kiln_safetensors *file, int64_t start,
                                     struct kiln_error *error)
{
    file->metadata = json_object_get(file->header, "__metadata__");
    enum kiln_status status = check_metadata(file, error);
    if (status)
        return status;
    size_t n = json_object_size(file->header) - (file->metadata != NULL);
    if (n > MAX_TENSORS)
        return kiln_fail(error, KILN_INPUT, "%s: has %zu tensors, at most %d are accepted",
                         file->path, n, MAX_TENSORS);
    file->tensors = calloc(n ? n : 1, sizeof *file->tensors);
    file->by_name = calloc(n ? n : 1, sizeof *file->by_name);
    if (!file->tensors || !file->by_name)
        return kiln_fail(error, KILN_MACHINE, "%s: out of memory", file->path);
    const char *name;
    json_t *entry;
    json_object_foreach(file->header, name, entry)
    {
        if (entry == file->metadata)
            continue;
        const char *wrong = read_tensor(name, entry, &file->tensors[file->n++]);
        if (wrong)
            return kiln_fail(error, KILN_INPUT, "%s: tensor %.100s: %s", file->path, name, wrong);
    }
    return place_tensors(file, start, error);
}

/* Reads the header's length and text; *text is malloc'd. */
static enum kiln_status read_header(struct kiln_safetensors *file, char **text, size_t *length,
                                    struct kiln_error *error)
{
    if (file->bytes < PREFIX_BYTES)
        return kiln_fail(error, KILN_INPUT, "%s: not a safetensors file: it has %lld bytes",
                         file->path, (long long)file->bytes);
    unsigned char prefix[PREFIX_BYTES];
    enum kiln_status status =
        kiln_file_read_at(file->fd, file->path, prefix, sizeof prefix, 0, error);
    if (status)
        return status;
    uint64_t n = 0;
    for (int i = PREFIX_BYTES - 1; i >= 0; i--)
        n = n << 8 | prefix[i];
    if (n > MAX_HEADER || (int64_t)n > file->bytes - PREFIX_BYTES)
        return kiln_fail(error, KILN_INPUT,
                         "%s: not a safetensors file: a header of %llu bytes in a file of %lld",
                         file->path, (unsigned long long)n, (long long)file->bytes);
    *length = (size_t)n;
    *text = malloc(*length + 1);
    if (!*text)
        return kiln_fail(error, KILN_MACHINE, "%s: out of memory", file->path);
    status = kiln_file_read_at(file->fd, file->path, *text, *length, PREFIX_BYTES, error);
    if (!status && (*length == 0 || **text != '{'))
        status = kiln_fail(error, KILN_INPUT, "%s: not a safetensors file: no header", file->path);
    return status;
}

static enum kiln_status parse(struct kiln_safetensors *file, struct kiln_error *error)
{
    char *text = NULL;
    size_t length = 0;
    enum kiln_status status = read_header(file, &text, &length, error);
    if (!status) {
        json_error_t reason;
        status = kiln_json_read(text, length, JSON_REJECT_DUPLICATES, &file->header, &reason);
        if (status == KILN_MACHINE)
            kiln_fail(error, status, "%s: header: out of memory", file->path);
        else if (status)
            status = kiln_fail(error, KILN_INPUT, "%s: header: %s (byte %d)", file->path,
                               reason.text, PREFIX_BYTES + reason.position);
    }
    free(text);
    return status ? status : read_tensors(file, PREFIX_BYTES + (int64_t)length, error);
}

enum kiln_status kiln_safetensors_open(const char *path, kiln_safetensors **result,
                                       struct kiln_error *error)
{
    *result = NULL;
    kiln_safetensors *file = calloc(1, sizeof *file);
    if (!file || !(file->path = strdup(path))) {
        free(file);
        return kiln_fail(error, KILN_MACHINE, "%s: out of memory", path);
    }
    enum kiln_status status = kiln_file_open(path, &file->fd, &file->bytes, error);
    if (!status)
        status = parse(file, error);
    if (status)
        kiln_safetensors_close(&file);
    *result = file;
    return status;
}

void kiln_safetensors_close(kiln_safetensors **file)
{
    if (!file || !*file)
        return;
    if ((*file)->fd >= 0)
        close((*file)->fd);
    json_decref((*file)->header);
    free((*file)->tensors);
    free((*file)->by_name);
    free((*file)->path);
    free(*file);
    *file = NULL;
}

const char *kiln_safetensors_path(const kiln_safetensors *file)
{
    return file->path;
}

int kiln_safetensors_count(const kiln_safetensors *file)
{
    return file->n;
}

const struct kiln_tensor *kiln_safetensors_at(const kiln_safetensors *file, int index)
{
    return &file->tensors[index];
}

const struct kiln_tensor *kiln_safetensors_find(const kiln_safetensors *file, const char *name)
{
    const struct kiln_tensor key = {.name = name}, *wanted = &key;
    struct kiln_tensor **found =
        bsearch(&wanted, file->by_name, (size_t)file->n, sizeof *file->by_name, by_name);
    return found ? *found : NULL;
}

const char *kiln_safetensors_metadata(const kiln_safetensors *file, const char *key)
{
    return json_string_value(json_object_get(file->metadata, key));
}

bool kiln_safetensors_metadata_at(const kiln_safetensors *file, int index, const char **key,
                                  const char **value)
{
    const char *name;
    json_t *text;
    json_object_foreach(file->metadata, name, text)
    {
        if (index-- > 0)
            continue;
        *key = name;
        *value = json_string_value(text);
        return true;
    }
    return false;
}
