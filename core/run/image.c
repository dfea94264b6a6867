/* Pictures in host memory. */
#include "core/run/image.h"

#include <stdlib.h>
#include <string.h>

enum kiln_status kiln_image_create(int64_t width, int64_t height, int64_t channels, uint8_t fill,
                                   struct kiln_image *image, struct kiln_error *error)
{
    *image = (struct kiln_image){0};
    if (width < 1 || height < 1 || width > KILN_IMAGE_MAX_SIDE || height > KILN_IMAGE_MAX_SIDE ||
        width * height > KILN_IMAGE_MAX_PIXELS)
        return kiln_fail(
            error, KILN_INPUT,
            "a picture of %lld x %lld pixels: expected sides of 1..%d and at most %lld "
            "pixels",
            (long long)width, (long long)height, KILN_IMAGE_MAX_SIDE,
            (long long)KILN_IMAGE_MAX_PIXELS);
    if (channels != 1 && channels != 3)
        return kiln_fail(error, KILN_INPUT, "a picture of %lld channels: expected 1 or 3",
                         (long long)channels);
    size_t bytes = (size_t)(width * height * channels);
    uint8_t *pixels = malloc(bytes);
    if (!pixels)
        return kiln_fail(error, KILN_MACHINE, "out of memory for a picture of %lld x %lld",
                         (long long)width, (long long)height);
    memset(pixels, fill, bytes);
    *image = (struct kiln_image){width, height, channels, pixels};
    return KILN_OK;
}

void kiln_image_finish(struct kiln_image *image)
{
    free(image->pixels);
    *image = (struct kiln_image){0};
}

enum kiln_status kiln_pictures_create(int64_t n, int64_t c, int64_t h, int64_t w,
                                      struct kiln_pictures *pictures, struct kiln_error *error)
{
    *pictures = (struct kiln_pictures){0};
    int64_t bytes;
    bool fits = n >= 1 && c >= 1 && h >= 1 && w >= 1 && !__builtin_mul_overflow(n, c, &bytes) &&
                !__builtin_mul_overflow(bytes, h, &bytes) &&
                !__builtin_mul_overflow(bytes, w, &bytes) && bytes <= KILN_PICTURES_MAX_BYTES;
    if (!fits)
        return kiln_fail(error, KILN_INPUT,
                         "%lld pictures of %lld x %lld x %lld: expected 1 byte to 64 GiB",
                         (long long)n, (long long)c, (long long)h, (long long)w);
    uint8_t *data = calloc((size_t)bytes, 1);
    if (!data)
        return kiln_fail(error, KILN_MACHINE, "out of memory for %lld pictures (%lld bytes)",
                         (long long)n, (long long)bytes);
    *pictures = (struct kiln_pictures){n, c, h, w, data};
    return KILN_OK;
}

void kiln_pictures_finish(struct kiln_pictures *pictures)
{
    free(pictures->data);
    *pictures = (struct kiln_pictures){0};
}

int64_t kiln_pictures_stride(const struct kiln_pictures *pictures)
{
    return pictures->c * pictures->h * pictures->w;
}
