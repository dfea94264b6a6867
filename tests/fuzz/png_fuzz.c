/*
 * Fuzz target: PNG files.
 *
 * The first byte: not 0, the target corrects the checksum of each chunk, so
 * that attempts get past it. What is accepted is within the limits and goes
 * through the changes of size that data sets make.
 */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "core/run/png_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIGNATURE = 8, OVERHEAD = 12, SIDE = 9 };

static void require(int condition)
{
    if (!condition)
        abort();
}

static void correct_checksums(uint8_t *file, size_t size)
{
    for (size_t at = SIGNATURE; at + OVERHEAD <= size;) {
        uint8_t *chunk = file + at;
        size_t n = 0;
        for (int i = 0; i < 4; i++)
            n = n << 8 | chunk[i];
        if (n > size - at - OVERHEAD)
            return;
        uLong crc = crc32(0, chunk + 4, (uInt)n + 4);
        for (int i = 0; i < 4; i++)
            chunk[8 + n + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
        at += OVERHEAD + n;
    }
}

static void check_image(const struct kiln_image *image)
{
    static uint8_t planes[3 * SIDE * SIDE];
    struct kiln_error error;
    require(image->width >= 1 && image->width <= KILN_IMAGE_MAX_SIDE);
    require(image->height >= 1 && image->height <= KILN_IMAGE_MAX_SIDE);
    require(image->channels == 1 || image->channels == 3);
    require(image->width * image->height <= KILN_IMAGE_MAX_PIXELS);
    if (image->width * image->height <= 1 << 16)
        require(kiln_image_fit(image, 4 - image->channels, SIDE, SIDE, planes, &error) == KILN_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    uint8_t *file = malloc(size);
    require(file != NULL);
    memcpy(file, data + 1, size - 1);
    if (data[0])
        correct_checksums(file, size - 1);
    struct kiln_image image;
    struct kiln_error error = {""};
    enum kiln_status status = kiln_png_decode(file, size - 1, "fuzz", &image, &error);
    require(status == (image.pixels ? KILN_OK : KILN_INPUT));
    require(image.pixels || error.text[0]);
    if (image.pixels)
        check_image(&image);
    kiln_image_finish(&image);
    free(file);
    return 0;
}
