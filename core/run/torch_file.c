/* Tensors of a torch.save file. */
#include "core/run/torch_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/run/torch_pickle.h"
#include "core/run/torch_zip.h"

static const size_t max_file = (size_t)16 << 30;
/* Containers may hold themselves, many times: the search for dictionaries is
 * bounded in depth and in all. */
enum { MAX_DEPTH = 8, MAX_PATH = 256, MAX_SEARCH = 1 << 17 };

struct kiln_torch_file {
    kiln_arena *arena;
    char *bytes;
    struct kiln_zip zip;
    int n;
    struct kiln_torch_tensor *tensors;
    char dictionary[MAX_PATH];
};

/* --- one tensor ------------------------------------------------------------------ */

static const struct {
    const char *class;
    enum kiln_tensor_dtype dtype;
} storages[] = {
    {"torch FloatStorage", KILN_TENSOR_F32}, {"torch DoubleStorage", KILN_TENSOR_F64},
    {"torch HalfStorage", KILN_TENSOR_F16},  {"torch BFloat16Storage", KILN_TENSOR_BF16},
    {"torch LongStorage", KILN_TENSOR_I64},  {"torch IntStorage", KILN_TENSOR_I32},
    {"torch ShortStorage", KILN_TENSOR_I16}, {"torch CharStorage", KILN_TENSOR_I8},
    {"torch ByteStorage", KILN_TENSOR_U8},   {"torch BoolStorage", KILN_TENSOR_BOOL},
};

static bool is_call(const struct kiln_pickle_value *v, const char *class, size_t min_arguments)
{
    return v->kind == KILN_PICKLE_CALL && kiln_pickle_is(v->items[0], class) &&
           v->items[1]->n >= min_arguments;
}

/* The call that rebuilds a tensor, also inside a parameter; NULL if v is none. */
static const struct kiln_pickle_value *tensor_call(const struct kiln_pickle_value *v)
{
    if (is_call(v, "torch._utils _rebuild_parameter", 1))
        v = v->items[1]->items[0];
    return is_call(v, "torch._utils _rebuild_tensor_v2", 4) ? v : NULL;
}

/* The storage's bytes: its id is ("storage", class, key, device, elements). */
static const struct kiln_zip_entry *storage_entry(const struct kiln_torch_file *file,
                                                  const struct kiln_pickle_value *storage,
                                                  enum kiln_tensor_dtype *dtype)
{
    if (storage->kind != KILN_PICKLE_STORAGE || storage->items[0]->n < 3)
        return NULL;
    struct kiln_pickle_value **id = storage->items[0]->items;
    if (!kiln_pickle_is(id[0], "storage") || id[1]->kind != KILN_PICKLE_CLASS ||
        id[2]->kind != KILN_PICKLE_TEXT || id[2]->length > 64)
        return NULL;
    for (size_t i = 0; i < sizeof storages / sizeof *storages; i++) {
        if (!kiln_pickle_is(id[1], storages[i].class))
            continue;
        char path[80];
        *dtype = storages[i].dtype;
        snprintf(path, sizeof path, "data/%s", id[2]->text);
        return kiln_zip_find(&file->zip, path);
    }
    return NULL;
}

/* Reads shape and strides; false if a number is out of range. reach becomes the
 * number of elements from the first to beyond the last. */
static bool read_geometry(const struct kiln_pickle_value *shape,
                          const struct kiln_pickle_value *stride, struct kiln_torch_tensor *tensor,
                          int64_t *reach)
{
    const int64_t limit = (int64_t)1 << 40;
    if (shape->kind != KILN_PICKLE_TUPLE || stride->kind != KILN_PICKLE_TUPLE ||
        shape->n != stride->n || shape->n > KILN_TENSOR_MAX_RANK)
        return false;
    tensor->rank = (int)shape->n;
    tensor->count = 1;
    *reach = 1;
    for (int i = 0; i < tensor->rank; i++) {
        const struct kiln_pickle_value *extent = shape->items[i], *step = stride->items[i];
        if (extent->kind != KILN_PICKLE_INT || step->kind != KILN_PICKLE_INT ||
            extent->integer < 0 || step->integer < 0 || extent->integer > limit ||
            step->integer > limit)
            return false;
        tensor->shape[i] = extent->integer;
        tensor->stride[i] = step->integer;
        if (extent->integer && tensor->count > limit / extent->integer)
            return false;
        tensor->count *= extent->integer;
        if (extent->integer > 1 && step->integer > limit / extent->integer)
            return false;
        *reach += (extent->integer > 0 ? extent->integer - 1 : 0) * step->integer;
    }
    return true;
}

static enum kiln_status read_tensor(const struct kiln_torch_file *file,
                                    const struct kiln_pickle_value *call, const char *name,
                                    struct kiln_torch_tensor *tensor, struct kiln_error *error)
{
    struct kiln_pickle_value **arguments = call->items[1]->items;
    const struct kiln_zip_entry *entry = storage_entry(file, arguments[0], &tensor->dtype);
    if (!entry)
        return kiln_fail(error, KILN_INPUT,
                         "tensor '%s': its storage is missing or of an unknown type", name);
    int64_t reach, width = kiln_tensor_dtype_bytes(tensor->dtype), offset = arguments[1]->integer;
    if (arguments[1]->kind != KILN_PICKLE_INT ||
        !read_geometry(arguments[2], arguments[3], tensor, &reach))
        return kiln_fail(error, KILN_INPUT, "tensor '%s': its shape is damaged", name);
    int64_t stored = (int64_t)entry->bytes / width;
    if (offset < 0 || offset > stored || (tensor->count && reach > stored - offset))
        return kiln_fail(error, KILN_INPUT, "tensor '%s': it does not fit into its storage", name);
    tensor->name = name;
    tensor->data = entry->data + offset * width;
    return KILN_OK;
}

/* --- which dictionary -------------------------------------------------------------- */

static int count_tensors(const struct kiln_pickle_value *dict)
{
    int n = 0;
    for (size_t i = 0; i + 1 < dict->n; i += 2)
        n += dict->items[i]->kind == KILN_PICKLE_TEXT && tensor_call(dict->items[i + 1]) != NULL;
    return n;
}

struct choice {
    const char *wanted; /* NULL = the best */
    const struct kiln_pickle_value *dict;
    int tensors;
    bool average;
    int64_t seen; /* values looked at */
    char path[MAX_PATH];
};

/* Averages are named so by most; ncsnv2 saves a list whose last element is one. */
static bool looks_like_average(const char *path, bool last_of_list)
{
    return last_of_list || strstr(path, "ema") != NULL || strstr(path, "average") != NULL;
}

static bool is_container(const struct kiln_pickle_value *v)
{
    return v->kind == KILN_PICKLE_DICT || v->kind == KILN_PICKLE_LIST ||
           v->kind == KILN_PICKLE_TUPLE;
}

/* Looks at a container and at those in it. */
static void search(struct choice *choice, const struct kiln_pickle_value *v, const char *path,
                   bool last, int depth)
{
    bool dict = v->kind == KILN_PICKLE_DICT;
    if (dict) {
        int n = count_tensors(v);
        bool average = looks_like_average(path, last);
        bool better = choice->wanted
                          ? !strcmp(path, choice->wanted)
                          : n > choice->tensors * (choice->average && !average ? 2 : 1) ||
                                (average && !choice->average && 2 * n >= choice->tensors);
        if (n && better) {
            choice->dict = v;
            choice->tensors = n;
            choice->average = average;
            snprintf(choice->path, sizeof choice->path, "%s", path);
        }
    }
    choice->seen += (int64_t)v->n;
    size_t step = dict ? 2 : 1;
    for (size_t i = 0; i + step <= v->n && choice->seen <= MAX_SEARCH; i += step) {
        char inner[MAX_PATH];
        const struct kiln_pickle_value *key = v->items[i], *item = v->items[i + step - 1];
        if (depth == MAX_DEPTH || !is_container(item) || (dict && key->kind != KILN_PICKLE_TEXT))
            continue;
        if (dict)
            snprintf(inner, sizeof inner, "%s%s%s", path, *path ? "." : "", key->text);
        else
            snprintf(inner, sizeof inner, "%s%s%zu", path, *path ? "." : "", i);
        search(choice, item, inner, !dict && v->n >= 5 && i == v->n - 1, depth + 1);
    }
}

/* Names without the prefixes of wrappers. */
static const char *stripped(const char *name)
{
    static const char *const prefixes[] = {"module.", "nn_model.", "_orig_mod."};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes;) {
        size_t length = strlen(prefixes[i]);
        if (strncmp(name, prefixes[i], length)) {
            i++;
            continue;
        }
        name += length;
        i = 0;
    }
    return name;
}

static enum kiln_status read_all(struct kiln_torch_file *file, const char *dictionary,
                                 struct kiln_error *error)
{
    const struct kiln_zip_entry *pickle = kiln_zip_find(&file->zip, "data.pkl");
    const struct kiln_zip_entry *order = kiln_zip_find(&file->zip, "byteorder");
    if (!pickle)
        return kiln_fail(error, KILN_INPUT, "not a file of torch.save: no data.pkl");
    if (order && (order->bytes < 6 || memcmp(order->data, "little", 6)))
        return kiln_fail(error, KILN_INPUT, "its numbers are not little-endian");
    struct kiln_pickle_value *root;
    enum kiln_status status =
        kiln_pickle_read(pickle->data, pickle->bytes, file->arena, &root, error);
    if (status)
        return status;
    struct choice choice = {.wanted = dictionary};
    if (is_container(root))
        search(&choice, root, "", false, 0);
    if (choice.seen > MAX_SEARCH)
        return kiln_fail(error, KILN_INPUT, "more than %d values in its containers", MAX_SEARCH);
    if (!choice.dict)
        return kiln_fail(error, KILN_INPUT,
                         dictionary ? "no dictionary of tensors '%s'" : "no dictionary of tensors",
                         dictionary);
    snprintf(file->dictionary, sizeof file->dictionary, "%s", choice.path);
    file->tensors = KILN_ARENA_NEW(file->arena, struct kiln_torch_tensor, (size_t)choice.tensors);
    if (!file->tensors)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    for (size_t i = 0; i + 1 < choice.dict->n; i += 2) {
        const struct kiln_pickle_value *key = choice.dict->items[i];
        const struct kiln_pickle_value *call = tensor_call(choice.dict->items[i + 1]);
        if (key->kind != KILN_PICKLE_TEXT || !call)
            continue;
        status = read_tensor(file, call, stripped(key->text), &file->tensors[file->n], error);
        if (status)
            return status;
        file->n++;
    }
    return KILN_OK;
}

/* --- the file ------------------------------------------------------------------------ */

enum kiln_status kiln_torch_open(const char *path, const char *dictionary, kiln_torch_file **out,
                                 struct kiln_error *error)
{
    struct kiln_torch_file *file = calloc(1, sizeof *file);
    *out = NULL;
    if (!file || !(file->arena = kiln_arena_create())) {
        free(file);
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    }
    size_t size;
    enum kiln_status status = kiln_file_read(path, max_file, &file->bytes, &size, error);
    if (!status) {
        struct kiln_error why;
        status = kiln_zip_init(&file->zip, (const uint8_t *)file->bytes, size, &why);
        if (!status)
            status = read_all(file, dictionary, &why);
        if (status)
            kiln_fail(error, status, "%s: %s", path, why.text);
    }
    if (status) {
        kiln_torch_close(&file);
        return status;
    }
    *out = file;
    return KILN_OK;
}

void kiln_torch_close(kiln_torch_file **file)
{
    if (!file || !*file)
        return;
    kiln_zip_finish(&(*file)->zip);
    kiln_arena_destroy(&(*file)->arena);
    free((*file)->bytes);
    free(*file);
    *file = NULL;
}

int kiln_torch_count(const kiln_torch_file *file)
{
    return file->n;
}

const struct kiln_torch_tensor *kiln_torch_at(const kiln_torch_file *file, int index)
{
    return &file->tensors[index];
}

const char *kiln_torch_dictionary(const kiln_torch_file *file)
{
    return file->dictionary;
}

/* Appends the elements in row-major order. */
static void write_dense(kiln_safetensors_writer *writer, const struct kiln_torch_tensor *tensor)
{
    int64_t width = kiln_tensor_dtype_bytes(tensor->dtype), index[KILN_TENSOR_MAX_RANK] = {0};
    for (int64_t i = 0; i < tensor->count; i++) {
        int64_t at = 0;
        for (int j = 0; j < tensor->rank; j++)
            at += index[j] * tensor->stride[j];
        kiln_safetensors_writer_data(writer, tensor->data + at * width, width);
        for (int j = tensor->rank - 1; j >= 0 && ++index[j] == tensor->shape[j]; j--)
            index[j] = 0;
    }
}

static bool is_dense(const struct kiln_torch_tensor *tensor)
{
    int64_t expected = 1;
    for (int i = tensor->rank - 1; i >= 0; i--) {
        if (tensor->shape[i] != 1 && tensor->stride[i] != expected)
            return false;
        expected *= tensor->shape[i];
    }
    return true;
}

enum kiln_status kiln_torch_convert(const kiln_torch_file *file, const char *path,
                                    struct kiln_error *error)
{
    kiln_safetensors_writer *writer;
    enum kiln_status status = kiln_safetensors_writer_create(path, &writer, error);
    if (status)
        return status;
    kiln_safetensors_writer_metadata(writer, "format", "pt");
    for (int i = 0; i < file->n; i++) {
        const struct kiln_torch_tensor *tensor = &file->tensors[i];
        kiln_safetensors_writer_tensor(writer, tensor->name, tensor->dtype, tensor->rank,
                                       tensor->shape);
    }
    kiln_safetensors_writer_begin(writer);
    for (int i = 0; i < file->n; i++) {
        const struct kiln_torch_tensor *tensor = &file->tensors[i];
        if (is_dense(tensor))
            kiln_safetensors_writer_data(writer, tensor->data,
                                         tensor->count * kiln_tensor_dtype_bytes(tensor->dtype));
        else
            write_dense(writer, tensor);
    }
    return kiln_safetensors_writer_commit(&writer, error);
}
