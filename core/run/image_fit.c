/* Bringing pictures to a wanted size and number of channels. */
#include "core/run/image.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The most that a border may add to a side before resampling is better. */
enum { MAX_BORDER_GROWTH = 4 };

/* One output pixel of one axis: a few input pixels, weighted; weights sum to 1. */
struct taps {
    int64_t first, n;
    const double *weight;
};

/* Filter of one axis, the wanted span [start, start + length) to size pixels. */
struct filter {
    struct taps *taps; /* [size] */
    double *weights;
};

static void filter_finish(struct filter *filter)
{
    free(filter->taps);
    free(filter->weights);
    *filter = (struct filter){0};
}

/* Area mean: each input pixel counts by the part of it that is covered. */
static int64_t area_taps(double low, double high, int64_t input, double *weight, int64_t *first)
{
    *first = (int64_t)floor(low);
    int64_t last = (int64_t)ceil(high) - 1;
    last = last > input - 1 ? input - 1 : last;
    *first = *first > last ? last : *first;
    double sum = 0;
    for (int64_t i = *first; i <= last; i++) {
        double covered = fmin(high, (double)i + 1) - fmax(low, (double)i);
        sum += weight[i - *first] = fmax(covered, 0);
    }
    for (int64_t i = *first; i <= last; i++)
        weight[i - *first] /= sum;
    return last - *first + 1;
}

/* Bilinear between the centres of two pixels; the edge is repeated. */
static int64_t linear_taps(double centre, int64_t input, double *weight, int64_t *first)
{
    double position = fmin(fmax(centre - 0.5, 0), (double)(input - 1));
    *first = (int64_t)position;
    double fraction = position - (double)*first;
    weight[0] = 1 - fraction;
    weight[1] = fraction;
    return fraction > 0 ? 2 : 1;
}

/* The filter that maps the centred span of length input pixels to size. */
static bool filter_create(int64_t input, double length, int64_t size, struct filter *filter)
{
    double ratio = length / (double)size, start = ((double)input - length) / 2;
    int64_t most = (int64_t)ceil(ratio) + 2;
    *filter = (struct filter){malloc((size_t)size * sizeof *filter->taps),
                              malloc((size_t)(size * most) * sizeof *filter->weights)};
    if (!filter->taps || !filter->weights)
        return false;
    for (int64_t i = 0; i < size; i++) {
        double *weight = filter->weights + i * most;
        struct taps *taps = &filter->taps[i];
        double low = start + (double)i * ratio;
        taps->weight = weight;
        taps->n = ratio > 1 ? area_taps(low, low + ratio, input, weight, &taps->first)
                            : linear_taps(low + ratio / 2, input, weight, &taps->first);
    }
    return true;
}

/* One plane of the picture as [height, width] doubles in 0..255. */
static void take_plane(const struct kiln_image *image, int64_t channels, int64_t channel,
                       double *plane)
{
    int64_t n = image->width * image->height, c = image->channels;
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *p = image->pixels + i * c;
        if (c == 3 && channels == 1)
            plane[i] = 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
        else
            plane[i] = p[c == 1 ? 0 : channel];
    }
}

static uint8_t to_byte(double value)
{
    double rounded = floor(value + 0.5);
    return (uint8_t)(rounded < 0 ? 0 : rounded > 255 ? 255 : rounded);
}

/* rows: scratch of [input height, width] */
static void resample(const double *plane, int64_t in_height, int64_t in_width,
                     const struct filter *vertical, const struct filter *horizontal,
                     int64_t height, int64_t width, double *rows, uint8_t *out)
{
    for (int64_t y = 0; y < in_height; y++)
        for (int64_t x = 0; x < width; x++) {
            const struct taps *taps = &horizontal->taps[x];
            double sum = 0;
            for (int64_t k = 0; k < taps->n; k++)
                sum += taps->weight[k] * plane[y * in_width + taps->first + k];
            rows[y * width + x] = sum;
        }
    for (int64_t y = 0; y < height; y++)
        for (int64_t x = 0; x < width; x++) {
            const struct taps *taps = &vertical->taps[y];
            double sum = 0;
            for (int64_t k = 0; k < taps->n; k++)
                sum += taps->weight[k] * rows[(taps->first + k) * width + x];
            out[y * width + x] = to_byte(sum);
        }
}

/* Copies the plane into the middle of a plane of zeros that is as large or
 * larger. */
static void centre(const double *plane, int64_t in_height, int64_t in_width, int64_t height,
                   int64_t width, uint8_t *out)
{
    int64_t top = (height - in_height) / 2, left = (width - in_width) / 2;
    memset(out, 0, (size_t)(height * width));
    for (int64_t y = 0; y < in_height; y++)
        for (int64_t x = 0; x < in_width; x++)
            out[(y + top) * width + x + left] = to_byte(plane[y * in_width + x]);
}

enum kiln_status kiln_image_fit(const struct kiln_image *image, int64_t channels, int64_t height,
                                int64_t width, uint8_t *planes, struct kiln_error *error)
{
    int64_t grown = height - image->height;
    bool border = grown == width - image->width && grown >= 0 && grown <= MAX_BORDER_GROWTH &&
                  grown % 2 == 0;
    /* the largest centred span of the wanted proportions */
    double scale = fmin((double)image->height / (double)height,
                        (double)image->width / (double)width);
    struct filter vertical = {0}, horizontal = {0};
    double *plane = malloc((size_t)(image->height * image->width) * sizeof *plane);
    double *rows = malloc((size_t)(image->height * width) * sizeof *rows);
    bool ready = plane && rows &&
                 (border ||
                  (filter_create(image->height, scale * (double)height, height, &vertical) &&
                   filter_create(image->width, scale * (double)width, width, &horizontal)));
    for (int64_t c = 0; ready && c < channels; c++) {
        uint8_t *out = planes + c * height * width;
        take_plane(image, channels, c, plane);
        if (border)
            centre(plane, image->height, image->width, height, width, out);
        else
            resample(plane, image->height, image->width, &vertical, &horizontal, height, width,
                     rows, out);
    }
    filter_finish(&vertical);
    filter_finish(&horizontal);
    free(plane);
    free(rows);
    return ready ? KILN_OK : kiln_fail(error, KILN_MACHINE, "out of memory for a picture");
}

/* Planes [c, h, w] to interleaved rows. */
static void interleave(const uint8_t *planes, struct kiln_image *image)
{
    int64_t n = image->width * image->height;
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < image->channels; c++)
            image->pixels[i * image->channels + c] = planes[c * n + i];
}

enum kiln_status kiln_pictures_fit(struct kiln_pictures *pictures, int64_t channels,
                                   int64_t height, int64_t width, struct kiln_error *error)
{
    channels = channels ? channels : pictures->c;
    height = height ? height : pictures->h;
    width = width ? width : pictures->w;
    if (channels == pictures->c && height == pictures->h && width == pictures->w)
        return KILN_OK;
    struct kiln_pictures fitted = {0};
    struct kiln_image image = {0};
    enum kiln_status status =
        kiln_pictures_create(pictures->n, channels, height, width, &fitted, error);
    if (!status)
        status = kiln_image_create(pictures->w, pictures->h, pictures->c, 0, &image, error);
    for (int64_t i = 0; i < pictures->n && !status; i++) {
        interleave(pictures->data + i * kiln_pictures_stride(pictures), &image);
        status = kiln_image_fit(&image, channels, height, width,
                                fitted.data + i * kiln_pictures_stride(&fitted), error);
    }
    kiln_image_finish(&image);
    if (status) {
        kiln_pictures_finish(&fitted);
        return status;
    }
    kiln_pictures_finish(pictures);
    *pictures = fitted;
    return KILN_OK;
}
