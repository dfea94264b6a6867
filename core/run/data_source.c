/* The sources of a data set that are files or drawn. */
#include "core/run/data_source.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/run/cifar.h"
#include "core/run/idx.h"
#include "core/run/points.h"
#include "core/run/safetensors.h"
#include "core/run/shapes.h"

#define FASHION_MNIST "/usr/share/datasets/fashion-mnist/"

/* Sizes of drawn data sets where the config says 0. */
enum { POINTS_TRAIN = 10000, POINTS_TEST = 2000, SHAPES_TRAIN = 20000, SHAPES_TEST = 2000 };
enum { SHAPES_SIZE = 28, SHAPES_MIN_SIZE = 8, SHAPES_MAX_SIZE = 1024 };
/* Test samples of drawn sets start here, so that they do not depend on the
 * number of training samples. */
#define FIRST_TEST ((int64_t)1 << 40)

void kiln_data_part_finish(struct kiln_data_part *part)
{
    free(part->x);
    free(part->label);
    *part = (struct kiln_data_part){0};
}

void kiln_data_part_take(struct kiln_data_part *part, struct kiln_pictures *pictures)
{
    free(part->x);
    part->n = pictures->n;
    part->c = pictures->c;
    part->h = pictures->h;
    part->w = pictures->w;
    part->dtype = KILN_U8;
    part->x = pictures->data;
    *pictures = (struct kiln_pictures){0};
}

enum kiln_status kiln_data_part_create(struct kiln_data_part *part, bool labelled,
                                       struct kiln_error *error)
{
    int64_t bytes = (int64_t)kiln_dtype_bytes(part->dtype);
    const int64_t extents[] = {part->n, part->c, part->h, part->w};
    bool fits = true;
    for (int i = 0; i < 4; i++)
        fits = fits && extents[i] >= 1 && !__builtin_mul_overflow(bytes, extents[i], &bytes);
    if (!fits || bytes > KILN_PICTURES_MAX_BYTES)
        return kiln_fail(error, KILN_INPUT, "%lld samples of %lld x %lld x %lld are too many",
                         (long long)part->n, (long long)part->c, (long long)part->h,
                         (long long)part->w);
    part->x = malloc((size_t)bytes);
    part->label = labelled ? malloc((size_t)part->n * sizeof *part->label) : NULL;
    if (!part->x || (labelled && !part->label))
        return kiln_fail(error, KILN_MACHINE, "out of memory for %lld samples",
                         (long long)part->n);
    return KILN_OK;
}

static bool is_set(const char *text)
{
    return text && *text;
}

/* --- IDX ---------------------------------------------------------------------- */

static enum kiln_status read_idx_part(const char *images, const char *labels,
                                      struct kiln_data_part *part, struct kiln_error *error)
{
    struct kiln_pictures pictures;
    enum kiln_status status = kiln_idx_read_pictures(images, &pictures, error);
    if (status)
        return status;
    kiln_data_part_take(part, &pictures);
    if (!is_set(labels))
        return KILN_OK;
    int64_t n;
    status = kiln_idx_read_labels(labels, &n, &part->label, error);
    if (!status && n != part->n)
        status = kiln_fail(error, KILN_INPUT, "%s: %lld labels, but %s has %lld pictures", labels,
                           (long long)n, images, (long long)part->n);
    return status;
}

/* test data come with labels where the training data do */
static enum kiln_status check_test_keys(const struct kiln_dataset_spec *spec, bool labels_apart,
                                        struct kiln_error *error)
{
    if (!is_set(spec->images) && (is_set(spec->labels) || is_set(spec->test_images)))
        return kiln_fail(error, KILN_INPUT, "[data] %s: set without [data] images",
                         is_set(spec->labels) ? "labels" : "test_images");
    if (!is_set(spec->test_images) && is_set(spec->test_labels))
        return kiln_fail(error, KILN_INPUT, "[data] test_labels: set without [data] test_images");
    if (labels_apart && is_set(spec->test_images) &&
        is_set(spec->labels) != is_set(spec->test_labels))
        return kiln_fail(error, KILN_INPUT,
                         "[data] labels and test_labels: expected both or neither");
    return KILN_OK;
}

enum kiln_status kiln_data_read_idx(const struct kiln_dataset_spec *spec,
                                    struct kiln_data_parts *parts, struct kiln_error *error)
{
    enum kiln_status status = check_test_keys(spec, true, error);
    if (status)
        return status;
    if (is_set(spec->images)) {
        status = read_idx_part(spec->images, spec->labels, &parts->train, error);
        if (!status && is_set(spec->test_images))
            status = read_idx_part(spec->test_images, spec->test_labels, &parts->test, error);
        return status;
    }
    if (!kiln_file_exists(FASHION_MNIST "train-images-idx3-ubyte.gz"))
        return kiln_fail(error, KILN_INPUT,
                         FASHION_MNIST "train-images-idx3-ubyte.gz: not found; install the package "
                                       "dataset-fashion-mnist or set [data] images");
    parts->n_classes = 10;
    status = read_idx_part(FASHION_MNIST "train-images-idx3-ubyte.gz",
                           FASHION_MNIST "train-labels-idx1-ubyte.gz", &parts->train, error);
    if (!status)
        status = read_idx_part(FASHION_MNIST "t10k-images-idx3-ubyte.gz",
                               FASHION_MNIST "t10k-labels-idx1-ubyte.gz", &parts->test, error);
    return status;
}

/* --- CIFAR-10 ------------------------------------------------------------------ */

enum kiln_status kiln_data_read_cifar10(const struct kiln_dataset_spec *spec,
                                        struct kiln_data_parts *parts, struct kiln_error *error)
{
    if (!is_set(spec->folder))
        return kiln_fail(error, KILN_INPUT,
                         "[data] folder: not set; expected the folder of data_batch_1.bin");
    parts->n_classes = 10;
    struct kiln_data_part *part[] = {&parts->train, &parts->test};
    for (int i = 0; i < 2; i++) {
        struct kiln_pictures pictures;
        enum kiln_status status =
            kiln_cifar10_read(spec->folder, i == 0, &pictures, &part[i]->label, error);
        if (status)
            return status;
        kiln_data_part_take(part[i], &pictures);
    }
    return KILN_OK;
}

/* --- safetensors --------------------------------------------------------------- */

static enum kiln_status check_values(const char *path, const struct kiln_data_part *part,
                                     struct kiln_error *error)
{
    const float *x = part->x;
    int64_t n = part->n * part->c * part->h * part->w;
    for (int64_t i = 0; i < n; i++)
        if (!(x[i] >= 0 && x[i] <= 1))
            return kiln_fail(error, KILN_INPUT,
                             "%s: tensor images: picture %lld holds %g, expected 0..1", path,
                             (long long)(i / (part->c * part->h * part->w)), (double)x[i]);
    return KILN_OK;
}

static enum kiln_status read_tensor_images(const kiln_safetensors *file,
                                           struct kiln_data_part *part, struct kiln_error *error)
{
    const char *path = kiln_safetensors_path(file);
    const struct kiln_tensor *images = kiln_safetensors_find(file, "images");
    const struct kiln_tensor *labels = kiln_safetensors_find(file, "labels");
    if (!images)
        return kiln_fail(error, KILN_INPUT, "%s: has no tensor \"images\"", path);
    const int64_t *shape = images->shape;
    if (images->rank != 4 || images->count == 0 || (shape[1] != 1 && shape[1] != 3) ||
        shape[2] > KILN_IMAGE_MAX_SIDE || shape[3] > KILN_IMAGE_MAX_SIDE)
        return kiln_fail(error, KILN_INPUT, "%s: tensor images: expected [N, 1 or 3, H, W]", path);
    if (labels && (labels->rank != 1 || labels->count != shape[0]))
        return kiln_fail(error, KILN_INPUT, "%s: tensor labels: expected [%lld]", path,
                         (long long)shape[0]);
    *part = (struct kiln_data_part){.n = shape[0], .c = shape[1], .h = shape[2], .w = shape[3]};
    part->dtype = images->dtype == KILN_TENSOR_U8 ? KILN_U8 : KILN_F32;
    enum kiln_status status = kiln_data_part_create(part, labels != NULL, error);
    if (!status && part->dtype == KILN_U8)
        status = kiln_safetensors_read_raw(file, images, part->x, error);
    else if (!status)
        status = kiln_safetensors_read_f32(file, images, 0, images->count, part->x, error);
    if (!status && part->dtype == KILN_F32)
        status = check_values(path, part, error);
    if (!status && labels)
        status = kiln_safetensors_read_i32(file, labels, 0, labels->count, part->label, error);
    return status;
}

static enum kiln_status read_safetensors_part(const char *path, struct kiln_data_part *part,
                                              struct kiln_error *error)
{
    kiln_safetensors *file;
    enum kiln_status status = kiln_safetensors_open(path, &file, error);
    if (!status)
        status = read_tensor_images(file, part, error);
    kiln_safetensors_close(&file);
    return status;
}

enum kiln_status kiln_data_read_safetensors(const struct kiln_dataset_spec *spec,
                                            struct kiln_data_parts *parts,
                                            struct kiln_error *error)
{
    if (!is_set(spec->images))
        return kiln_fail(error, KILN_INPUT, "[data] images: not set; expected a safetensors file");
    enum kiln_status status = check_test_keys(spec, false, error);
    if (!status)
        status = read_safetensors_part(spec->images, &parts->train, error);
    if (!status && is_set(spec->test_images))
        status = read_safetensors_part(spec->test_images, &parts->test, error);
    return status;
}

/* --- drawn ---------------------------------------------------------------------- */

/* A part that is drawn; test: 0 or 1. Too many is the fault of a key. */
static enum kiln_status create_drawn(struct kiln_data_part *part, int test,
                                     struct kiln_error *error)
{
    struct kiln_error why = {""};
    enum kiln_status status = kiln_data_part_create(part, true, &why);
    if (!status)
        return KILN_OK;
    return status == KILN_INPUT
               ? kiln_fail(error, status, "[data] %s: %s", test ? "n_test" : "n_train", why.text)
               : kiln_fail(error, status, "%s", why.text);
}

enum kiln_status kiln_data_draw_points(const struct kiln_dataset_spec *spec,
                                       struct kiln_data_parts *parts, struct kiln_error *error)
{
    struct kiln_mixture mixture;
    struct kiln_error reason;
    enum kiln_status status =
        kiln_mixture_parse(spec->mixture ? spec->mixture : "", &mixture, &reason);
    if (status)
        return kiln_fail(error, status, "[data] %s", reason.text);
    parts->points = true;
    parts->n_classes = mixture.n;
    parts->train.n = spec->n_train ? spec->n_train : POINTS_TRAIN;
    parts->test.n = spec->n_test ? spec->n_test : POINTS_TEST;
    struct kiln_data_part *part[] = {&parts->train, &parts->test};
    for (int i = 0; i < 2 && !status; i++) {
        part[i]->c = 2;
        part[i]->h = part[i]->w = 1;
        part[i]->dtype = KILN_F32;
        status = create_drawn(part[i], i, error);
        if (!status)
            kiln_mixture_draw(&mixture, spec->seed, i ? FIRST_TEST : 0, part[i]->n, part[i]->x,
                              part[i]->label);
    }
    return status;
}

enum kiln_status kiln_data_draw_shapes(const struct kiln_dataset_spec *spec,
                                       struct kiln_data_parts *parts, struct kiln_error *error)
{
    int64_t size = spec->image_size ? spec->image_size : SHAPES_SIZE;
    if (size < SHAPES_MIN_SIZE || size > SHAPES_MAX_SIZE)
        return kiln_fail(error, KILN_INPUT, "[data] image_size: %lld, expected %d..%d for shapes",
                         (long long)size, SHAPES_MIN_SIZE, SHAPES_MAX_SIZE);
    parts->n_classes = KILN_SHAPES_CLASSES;
    parts->train.n = spec->n_train ? spec->n_train : SHAPES_TRAIN;
    parts->test.n = spec->n_test ? spec->n_test : SHAPES_TEST;
    struct kiln_data_part *part[] = {&parts->train, &parts->test};
    enum kiln_status status = KILN_OK;
    for (int i = 0; i < 2 && !status; i++) {
        part[i]->c = 1;
        part[i]->h = part[i]->w = size;
        part[i]->dtype = KILN_U8;
        status = create_drawn(part[i], i, error);
        if (!status)
            kiln_shapes_draw(spec->seed, i ? FIRST_TEST : 0, part[i]->n, (int)size, part[i]->x,
                             part[i]->label);
    }
    return status;
}
