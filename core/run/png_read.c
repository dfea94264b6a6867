/* Reading PNG files through libpng. */
#include "core/run/png_read.h"

#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"

enum { MAX_FILE_BYTES = 256 << 20, MAX_CHUNK_BYTES = 1 << 23, MAX_CACHED_CHUNKS = 64 };

/* A jump crosses only libpng's frames: it starts in fail() and ends in
 * decode(), whose variables live here, so none of them is lost. */
struct reader {
    const uint8_t *data;
    size_t bytes, position;
    const char *name;
    struct kiln_error *error;
    enum kiln_status status;
    png_structp png;
    png_infop info;
    png_bytep *rows;
    struct kiln_image image;
    jmp_buf escape;
};

static void fail(png_structp png, png_const_charp message)
{
    struct reader *reader = png_get_error_ptr(png);
    reader->status =
        kiln_fail(reader->error, KILN_INPUT, "%s: bad PNG: %s", reader->name, message);
    longjmp(reader->escape, 1);
}

/* libpng's warnings are about chunks that we do not use. */
static void ignore_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void read_bytes(png_structp png, png_bytep out, size_t bytes)
{
    struct reader *reader = png_get_io_ptr(png);
    if (bytes > reader->bytes - reader->position)
        png_error(png, "the file is truncated");
    memcpy(out, reader->data + reader->position, bytes);
    reader->position += bytes;
}

static void prepare(struct reader *reader)
{
    png_structp png = reader->png;
    png_set_user_limits(png, KILN_IMAGE_MAX_SIDE, KILN_IMAGE_MAX_SIDE);
    png_set_chunk_cache_max(png, MAX_CACHED_CHUNKS);
    png_set_chunk_malloc_max(png, MAX_CHUNK_BYTES);
    png_set_read_fn(png, reader, read_bytes);
    png_read_info(png, reader->info);
    png_set_expand(png);
    png_set_scale_16(png);
    png_set_strip_alpha(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, reader->info);
}

static void decode(struct reader *reader)
{
    png_structp png = reader->png;
    if (setjmp(reader->escape))
        return;
    prepare(reader);
    int64_t width = png_get_image_width(png, reader->info);
    int64_t height = png_get_image_height(png, reader->info);
    int64_t channels = png_get_channels(png, reader->info);
    struct kiln_error reason;
    reader->status = kiln_image_create(width, height, channels, 0, &reader->image, &reason);
    if (reader->status) {
        kiln_fail(reader->error, reader->status, "%s: %s", reader->name, reason.text);
        return;
    }
    size_t row_bytes = png_get_rowbytes(png, reader->info);
    if (row_bytes != (size_t)(width * channels))
        png_error(png, "unexpected row size");
    reader->rows = malloc((size_t)height * sizeof *reader->rows);
    if (!reader->rows) {
        reader->status = kiln_fail(reader->error, KILN_MACHINE, "%s: out of memory", reader->name);
        return;
    }
    for (int64_t y = 0; y < height; y++)
        reader->rows[y] = reader->image.pixels + (size_t)y * row_bytes;
    png_read_image(png, reader->rows);
    png_read_end(png, NULL);
}

enum kiln_status kiln_png_decode(const void *data, size_t bytes, const char *name,
                                 struct kiln_image *image, struct kiln_error *error)
{
    *image = (struct kiln_image){0};
    if (bytes < 8 || png_sig_cmp(data, 0, 8))
        return kiln_fail(error, KILN_INPUT, "%s: not a PNG file", name);
    struct reader *reader = calloc(1, sizeof *reader);
    if (!reader)
        return kiln_fail(error, KILN_MACHINE, "%s: out of memory", name);
    reader->data = data;
    reader->bytes = bytes;
    reader->name = name;
    reader->error = error;
    reader->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, reader, fail, ignore_warning);
    if (reader->png)
        reader->info = png_create_info_struct(reader->png);
    if (reader->info)
        decode(reader);
    else
        reader->status = kiln_fail(error, KILN_MACHINE, "%s: cannot start libpng", name);
    enum kiln_status status = reader->status;
    if (status)
        kiln_image_finish(&reader->image);
    *image = reader->image;
    if (reader->png)
        png_destroy_read_struct(&reader->png, &reader->info, NULL);
    free(reader->rows);
    free(reader);
    return status;
}

enum kiln_status kiln_png_read(const char *path, struct kiln_image *image,
                               struct kiln_error *error)
{
    *image = (struct kiln_image){0};
    char *data;
    size_t bytes;
    enum kiln_status status = kiln_file_read(path, MAX_FILE_BYTES, &data, &bytes, error);
    if (status)
        return status;
    status = kiln_png_decode(data, bytes, path, image, error);
    free(data);
    return status;
}
