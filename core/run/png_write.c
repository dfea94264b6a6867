/* Writing PNG files through libpng. */
#include "core/run/png_write.h"

#include <errno.h>
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/run/png_stream.h"

void kiln_png_fail(png_structp png, png_const_charp message)
{
    struct kiln_png_stream *stream = png_get_error_ptr(png);
    stream->status =
        kiln_fail(stream->error, KILN_MACHINE,
                  "%s: cannot write PNG: %s", kiln_output_path(stream->output), message);
    longjmp(stream->escape, 1);
}

static void ignore_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void write_bytes(png_structp png, png_bytep data, size_t bytes)
{
    struct kiln_png_stream *stream = png_get_io_ptr(png);
    if (!kiln_output_write(stream->output, data, bytes))
        png_error(png, strerror(errno));
}

/* Nothing: the output is flushed, with its errors seen, at commit. */
static void flush(png_structp png)
{
    (void)png;
}

enum kiln_status kiln_png_stream_begin(const char *path, struct kiln_png_stream *stream,
                                       struct kiln_error *error)
{
    *stream = (struct kiln_png_stream){.error = error};
    enum kiln_status status = kiln_output_begin(path, &stream->output, error);
    if (status)
        return status;
    stream->png = png_create_write_struct(PNG_LIBPNG_VER_STRING, stream, kiln_png_fail,
                                          ignore_warning);
    if (stream->png)
        stream->info = png_create_info_struct(stream->png);
    if (!stream->info) {
        kiln_png_stream_abort(stream);
        return kiln_fail(error, KILN_MACHINE, "%s: cannot start libpng", path);
    }
    png_set_write_fn(stream->png, stream, write_bytes, flush);
    return KILN_OK;
}

static void close_png(struct kiln_png_stream *stream)
{
    if (stream->png)
        png_destroy_write_struct(&stream->png, &stream->info);
}

enum kiln_status kiln_png_stream_commit(struct kiln_png_stream *stream, struct kiln_error *error)
{
    close_png(stream);
    return kiln_output_commit(&stream->output, error);
}

void kiln_png_stream_abort(struct kiln_png_stream *stream)
{
    close_png(stream);
    kiln_output_abort(&stream->output);
}

/* Latin-1 from UTF-8: what lies beyond becomes '?'; control characters but
 * the newline become spaces. */
static void to_latin1(const char *utf8, char *out)
{
    for (const unsigned char *s = (const unsigned char *)utf8; *s; s++) {
        if ((*s == 0xC2 || *s == 0xC3) && (s[1] & 0xC0) == 0x80) {
            *out++ = (char)(*s << 6 | (s[1] & 0x3F));
            s++;
        } else if (*s >= 0xC0) {
            *out++ = '?';
        } else if (*s < 0x80) {
            *out++ = (char)(*s == '\n' || *s >= 0x20 ? *s : ' ');
        }
    }
    *out = '\0';
}

static void set_text(struct kiln_png_stream *stream, const struct kiln_png_text *text)
{
    char key[80], *value = png_malloc(stream->png, strlen(text->value) + 1);
    snprintf(key, sizeof key, "%s", text->key);
    to_latin1(text->value, value);
    png_text entry = {.compression = PNG_TEXT_COMPRESSION_NONE, .key = key, .text = value};
    png_set_text(stream->png, stream->info, &entry, 1); /* copies */
    png_free(stream->png, value);
}

void kiln_png_write_header(struct kiln_png_stream *stream, int64_t width, int64_t height,
                           int64_t channels, int n_texts, const struct kiln_png_text *texts)
{
    png_set_IHDR(stream->png, stream->info, (png_uint_32)width, (png_uint_32)height, 8,
                 channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    for (int i = 0; i < n_texts; i++)
        set_text(stream, &texts[i]);
    png_write_info(stream->png, stream->info);
}

static enum kiln_status write_image(struct kiln_png_stream *stream, const struct kiln_image *image,
                                    int n_texts, const struct kiln_png_text *texts)
{
    if (setjmp(stream->escape))
        return stream->status;
    kiln_png_write_header(stream, image->width, image->height, image->channels, n_texts, texts);
    for (int64_t y = 0; y < image->height; y++)
        png_write_row(stream->png, image->pixels + y * image->width * image->channels);
    png_write_end(stream->png, stream->info);
    return KILN_OK;
}

enum kiln_status kiln_png_write(const char *path, const struct kiln_image *image, int n_texts,
                                const struct kiln_png_text *texts, struct kiln_error *error)
{
    struct kiln_png_stream stream;
    enum kiln_status status = kiln_png_stream_begin(path, &stream, error);
    if (status)
        return status;
    status = write_image(&stream, image, n_texts, texts);
    if (!status)
        return kiln_png_stream_commit(&stream, error);
    kiln_png_stream_abort(&stream);
    return status;
}
