/* Pictures to be painted into. */
#include <stdlib.h>

#include "core/run/png_read.h"
#include "core/run/sample.h"

enum { WHITE = 128 }; /* and above: painted */

static enum kiln_status check_size(const char *path, const struct kiln_image *image,
                                   const struct kiln_shape *samples, struct kiln_error *error)
{
    int64_t height = samples->d[2], width = samples->d[3];
    if (image->width == width && image->height == height)
        return KILN_OK;
    return kiln_fail(error, KILN_INPUT,
                     "%s: %lld x %lld pixels, but the model's pictures have %lld x %lld", path,
                     (long long)image->width, (long long)image->height, (long long)width,
                     (long long)height);
}

static bool has_colours(const struct kiln_image *image)
{
    const uint8_t *p = image->pixels;
    if (image->channels == 1)
        return false;
    for (int64_t i = 0; i < image->width * image->height; i++, p += 3)
        if (p[0] != p[1] || p[0] != p[2])
            return true;
    return false;
}

static enum kiln_status read_picture(const char *path, const struct kiln_shape *samples,
                                     float *picture, struct kiln_error *error)
{
    struct kiln_image image;
    enum kiln_status status = kiln_png_read(path, &image, error);
    if (status)
        return status;
    status = check_size(path, &image, samples, error);
    if (!status && samples->d[1] == 1 && has_colours(&image))
        status = kiln_fail(error, KILN_INPUT, "%s: has colours, but the model's pictures are grey",
                           path);
    int64_t plane = image.width * image.height;
    for (int64_t i = 0; i < samples->d[1] * plane && !status; i++) {
        int64_t channel = image.channels == 1 ? 0 : i / plane;
        picture[i] = (float)image.pixels[i % plane * image.channels + channel] / 255;
    }
    kiln_image_finish(&image);
    return status;
}

static enum kiln_status read_mask(const char *path, const struct kiln_shape *samples, float *mask,
                                  struct kiln_error *error)
{
    struct kiln_image image;
    enum kiln_status status = kiln_png_read(path, &image, error);
    if (status)
        return status;
    status = check_size(path, &image, samples, error);
    if (!status && has_colours(&image))
        status = kiln_fail(error, KILN_INPUT, "%s: a mask is grey: white is painted", path);
    bool paints = false;
    for (int64_t i = 0; i < image.width * image.height && !status; i++) {
        mask[i] = image.pixels[i * image.channels] >= WHITE;
        paints = paints || mask[i] != 0;
    }
    if (!status && !paints)
        status =
            kiln_fail(error, KILN_INPUT, "%s: nothing is white, so nothing would be painted", path);
    kiln_image_finish(&image);
    return status;
}

enum kiln_status kiln_known_read(const char *picture, const char *mask,
                                 const struct kiln_shape *samples, struct kiln_known *known,
                                 struct kiln_error *error)
{
    *known = (struct kiln_known){0};
    if (samples->n != 4 || (samples->d[1] != 1 && samples->d[1] != 3))
        return kiln_fail(error, KILN_INPUT, "%s: the model draws no grey or RGB pictures", picture);
    size_t plane = (size_t)(samples->d[2] * samples->d[3]);
    known->picture = calloc((size_t)samples->d[1] * plane, sizeof *known->picture);
    known->mask = calloc(plane, sizeof *known->mask);
    enum kiln_status status = known->picture && known->mask
                                  ? read_picture(picture, samples, known->picture, error)
                                  : kiln_fail(error, KILN_MACHINE, "%s: out of memory", picture);
    if (!status)
        status = read_mask(mask, samples, known->mask, error);
    if (status)
        kiln_known_finish(known);
    return status;
}

void kiln_known_finish(struct kiln_known *known)
{
    free(known->picture);
    free(known->mask);
    *known = (struct kiln_known){0};
}
