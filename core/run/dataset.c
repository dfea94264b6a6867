/* Data sets: from a source to two checked splits of one shape. */
#include "core/run/dataset.h"

#include <stdlib.h>
#include <string.h>

#include "core/run/data_source.h"

/* A share of 1 / TEST_SHARE is for testing, if the source has nothing else. */
enum { TEST_SHARE = 10, MAX_CLASSES = 1000000 };

static enum kiln_status read_source(const struct kiln_dataset_spec *spec,
                                    struct kiln_data_parts *parts, struct kiln_error *error)
{
    switch (spec->source) {
    case KILN_DATA_IDX:
        return kiln_data_read_idx(spec, parts, error);
    case KILN_DATA_CIFAR10:
        return kiln_data_read_cifar10(spec, parts, error);
    case KILN_DATA_IMAGES:
        return kiln_data_read_folder(spec, parts, error);
    case KILN_DATA_SAFETENSORS:
        return kiln_data_read_safetensors(spec, parts, error);
    case KILN_DATA_POINTS:
        return kiln_data_draw_points(spec, parts, error);
    case KILN_DATA_SHAPES:
        return kiln_data_draw_shapes(spec, parts, error);
    }
    return kiln_fail(error, KILN_INPUT, "[data] source: unknown");
}

static int64_t row_bytes(const struct kiln_data_part *part)
{
    return part->c * part->h * part->w * (int64_t)kiln_dtype_bytes(part->dtype);
}

/* Moves the last samples of train to test. */
static enum kiln_status split(struct kiln_data_part *train, struct kiln_data_part *test,
                              struct kiln_error *error)
{
    int64_t n = train->n / TEST_SHARE;
    if (n == 0)
        return KILN_OK;
    *test = *train;
    test->n = n;
    test->x = NULL;
    test->label = NULL;
    enum kiln_status status = kiln_data_part_create(test, train->label != NULL, error);
    if (status)
        return status;
    train->n -= n;
    memcpy(test->x, (char *)train->x + train->n * row_bytes(train), (size_t)(n * row_bytes(train)));
    if (train->label)
        memcpy(test->label, train->label + train->n, (size_t)n * sizeof *test->label);
    return KILN_OK;
}

/* Keeps the first samples; giving memory back may fail, which is no harm. */
static void limit(struct kiln_data_part *part, int64_t n)
{
    if (n == 0 || n >= part->n)
        return;
    part->n = n;
    void *x = realloc(part->x, (size_t)(n * row_bytes(part)));
    part->x = x ? x : part->x;
}

/* image_size and channels */
static enum kiln_status fit(const struct kiln_dataset_spec *spec, struct kiln_data_part *part,
                            struct kiln_error *error)
{
    int64_t c = spec->channels ? spec->channels : part->c;
    int64_t h = spec->image_size ? spec->image_size : part->h;
    int64_t w = spec->image_size ? spec->image_size : part->w;
    if (part->n == 0 || (c == part->c && h == part->h && w == part->w))
        return KILN_OK;
    if (part->dtype != KILN_U8)
        return kiln_fail(error, KILN_INPUT,
                         "[data] image_size and channels: cannot change pictures of f32, which "
                         "have %lld channels and %lld x %lld pixels",
                         (long long)part->c, (long long)part->w, (long long)part->h);
    struct kiln_pictures pictures = {part->n, part->c, part->h, part->w, part->x};
    part->x = NULL;
    enum kiln_status status = kiln_pictures_fit(&pictures, c, h, w, error);
    kiln_data_part_take(part, &pictures);
    return status;
}

static enum kiln_status check_equal(const struct kiln_data_parts *parts, struct kiln_error *error)
{
    const struct kiln_data_part *a = &parts->train, *b = &parts->test;
    if (b->n == 0)
        return KILN_OK;
    if (a->c != b->c || a->h != b->h || a->w != b->w || a->dtype != b->dtype)
        return kiln_fail(error, KILN_INPUT,
                         "[data] test_images: %s %lld x %lld x %lld, the training data have %s "
                         "%lld x %lld x %lld",
                         kiln_dtype_name(b->dtype), (long long)b->c, (long long)b->h,
                         (long long)b->w, kiln_dtype_name(a->dtype), (long long)a->c,
                         (long long)a->h, (long long)a->w);
    if (!a->label != !b->label)
        return kiln_fail(error, KILN_INPUT,
                         "[data]: only one of training and test data has labels");
    return KILN_OK;
}

/* Labels are in 0 .. classes-1; *largest is raised to the largest. */
static enum kiln_status check_labels(const struct kiln_data_part *part, const char *name,
                                     int64_t classes, int32_t *largest, struct kiln_error *error)
{
    for (int64_t i = 0; part->label && i < part->n; i++) {
        int32_t label = part->label[i];
        if (label < 0 || label >= classes)
            return kiln_fail(error, KILN_INPUT,
                             "[data] %s sample %lld has label %d, expected 0..%lld", name,
                             (long long)i, label, (long long)classes - 1);
        *largest = label > *largest ? label : *largest;
    }
    return KILN_OK;
}

static enum kiln_status count_classes(const struct kiln_dataset_spec *spec,
                                      struct kiln_data_parts *parts, struct kiln_error *error)
{
    if (!parts->train.label) {
        parts->n_classes = 0;
        return KILN_OK;
    }
    if (spec->n_classes)
        parts->n_classes = spec->n_classes;
    int64_t classes = parts->n_classes ? parts->n_classes : MAX_CLASSES;
    int32_t largest = 0;
    enum kiln_status status = check_labels(&parts->train, "training", classes, &largest, error);
    if (!status)
        status = check_labels(&parts->test, "test", classes, &largest, error);
    if (!parts->n_classes)
        parts->n_classes = largest + 1;
    return status;
}

static enum kiln_status check_spec(const struct kiln_dataset_spec *spec, struct kiln_error *error)
{
    if (spec->channels != 0 && spec->channels != 1 && spec->channels != 3)
        return kiln_fail(error, KILN_INPUT, "[data] channels: %lld, expected 0, 1 or 3",
                         (long long)spec->channels);
    if (spec->image_size < 0 || spec->image_size > KILN_IMAGE_MAX_SIDE / 4)
        return kiln_fail(error, KILN_INPUT, "[data] image_size: %lld, expected 0..%d",
                         (long long)spec->image_size, KILN_IMAGE_MAX_SIDE / 4);
    if (spec->n_train < 0 || spec->n_test < 0 || spec->n_train > INT32_MAX ||
        spec->n_test > INT32_MAX || spec->n_classes < 0 || spec->n_classes > MAX_CLASSES)
        return kiln_fail(error, KILN_INPUT, "[data] n_train, n_test or n_classes: out of range");
    return KILN_OK;
}

static enum kiln_status prepare(const struct kiln_dataset_spec *spec, struct kiln_data_parts *parts,
                                struct kiln_error *error)
{
    enum kiln_status status = check_spec(spec, error);
    if (!status)
        status = read_source(spec, parts, error);
    if (!status && parts->test.n == 0)
        status = split(&parts->train, &parts->test, error);
    limit(&parts->train, spec->n_train);
    limit(&parts->test, spec->n_test);
    if (!status && !parts->points)
        status = fit(spec, &parts->train, error);
    if (!status && !parts->points)
        status = fit(spec, &parts->test, error);
    if (!status && parts->train.n > INT32_MAX)
        status = kiln_fail(error, KILN_INPUT, "[data]: more than %d samples", INT32_MAX);
    if (!status)
        status = check_equal(parts, error);
    return status ? status : count_classes(spec, parts, error);
}

static struct kiln_data_split to_split(struct kiln_data_part *part)
{
    struct kiln_data_split taken = {part->n, part->x, part->label};
    *part = (struct kiln_data_part){0};
    return taken;
}

enum kiln_status kiln_dataset_create(const struct kiln_dataset_spec *spec,
                                     struct kiln_dataset **result, struct kiln_error *error)
{
    *result = NULL;
    struct kiln_data_parts parts = {0};
    enum kiln_status status = prepare(spec, &parts, error);
    struct kiln_dataset *dataset = status ? NULL : calloc(1, sizeof *dataset);
    if (!status && !dataset)
        status = kiln_fail(error, KILN_MACHINE, "out of memory for a data set");
    if (!status) {
        dataset->info = (struct kiln_data_info){.points = parts.points,
                                                .channels = parts.train.c,
                                                .height = parts.train.h,
                                                .width = parts.train.w,
                                                .n_classes = parts.n_classes,
                                                .n_train = parts.train.n,
                                                .n_test = parts.test.n};
        dataset->dtype = parts.train.dtype;
        dataset->train = to_split(&parts.train);
        dataset->test = to_split(&parts.test);
    }
    kiln_data_part_finish(&parts.train);
    kiln_data_part_finish(&parts.test);
    *result = dataset;
    return status;
}

void kiln_dataset_destroy(struct kiln_dataset **dataset)
{
    if (!dataset || !*dataset)
        return;
    free((*dataset)->train.x);
    free((*dataset)->train.label);
    free((*dataset)->test.x);
    free((*dataset)->test.label);
    free(*dataset);
    *dataset = NULL;
}

int64_t kiln_dataset_sample_bytes(const struct kiln_dataset *dataset)
{
    const struct kiln_data_info *info = &dataset->info;
    return info->channels * info->height * info->width * (int64_t)kiln_dtype_bytes(dataset->dtype);
}
