/* Samples and initial noise as files. */
#include "core/run/sample_image.h"

#include <stdlib.h>

#include "core/run/image_grid.h"
#include "core/run/plot.h"

enum kiln_status kiln_samples_draw(const float *samples, const struct kiln_shape *shape,
                                   int columns, const double range[4], struct kiln_image *image,
                                   struct kiln_error *error)
{
    const struct kiln_grid_options grid = {.columns = columns};
    const struct kiln_series points = {.mark = KILN_MARK_POINTS, .n = shape->d[0], .data = samples};
    struct kiln_panel plot = {.equal = true, .n_series = 1, .series = &points};
    if (range) {
        plot.x_min = range[0];
        plot.x_max = range[1];
        plot.y_min = range[2];
        plot.y_max = range[3];
    }
    return shape->n == 2
               ? kiln_plot_draw(1, (const struct kiln_panel *const[]){&plot}, 1, image, error)
               : kiln_image_grid(samples, shape->d[0], shape->d[1], shape->d[2], shape->d[3], &grid,
                                 image, error);
}

enum kiln_status kiln_samples_write_png(const char *path, const float *samples,
                                        const struct kiln_shape *shape, int columns, int n_texts,
                                        const struct kiln_png_text *texts, struct kiln_error *error)
{
    struct kiln_image image = {0};
    enum kiln_status status = kiln_samples_draw(samples, shape, columns, NULL, &image, error);
    if (!status)
        status = kiln_png_write(path, &image, n_texts, texts, error);
    kiln_image_finish(&image);
    return status;
}

enum kiln_status kiln_samples_begin_raw(const char *path, const struct kiln_shape *shape,
                                        const int32_t *label, kiln_safetensors_writer **result,
                                        struct kiln_error *error)
{
    enum kiln_status status = kiln_safetensors_writer_create(path, result, error);
    if (status)
        return status;
    kiln_safetensors_writer *writer = *result;
    const struct kiln_shape labels = {.n = 1, .d = {shape->d[0]}};
    if (label)
        kiln_safetensors_writer_tensor(writer, "labels", KILN_TENSOR_I64, 1, labels.d);
    kiln_safetensors_writer_declare(writer, "samples", KILN_F32, shape);
    kiln_safetensors_writer_begin(writer);
    for (int64_t i = 0; label && i < shape->d[0]; i++) {
        int64_t wide = label[i];
        kiln_safetensors_writer_data(writer, &wide, sizeof wide);
    }
    return KILN_OK;
}

static bool fits(const struct kiln_tensor *tensor, const struct kiln_shape *shape)
{
    bool same = tensor->rank == shape->n && tensor->shape[0] >= 1;
    for (int i = 1; same && i < shape->n; i++)
        same = tensor->shape[i] == shape->d[i];
    return same;
}

enum kiln_status kiln_noise_read(const char *path, const struct kiln_shape *shape, float **noise,
                                 int64_t *n, struct kiln_error *error)
{
    kiln_safetensors *file;
    *noise = NULL;
    enum kiln_status status = kiln_safetensors_open(path, &file, error);
    if (status)
        return status;
    char expected[128];
    const struct kiln_tensor *tensor = kiln_safetensors_find(file, "noise");
    if (!tensor || !fits(tensor, shape)) {
        status = kiln_fail(error, KILN_INPUT,
                           "%s: a tensor \"noise\" is expected, like %s with any first extent",
                           path, kiln_shape_text(shape, expected, sizeof expected));
    } else {
        *n = tensor->shape[0];
        *noise = malloc((size_t)tensor->count * sizeof **noise);
        status = *noise ? kiln_safetensors_read_f32(file, tensor, 0, tensor->count, *noise, error)
                        : kiln_fail(error, KILN_MACHINE, "%s: out of memory", path);
    }
    if (status) {
        free(*noise);
        *noise = NULL;
    }
    kiln_safetensors_close(&file);
    return status;
}
