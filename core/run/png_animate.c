/* Writing animated PNG files. */
#include "core/run/png_animate.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "core/run/png_stream.h"

/*
 * libpng writes the signature, the header and each chunk's frame; the pixels
 * of every frame, the first too, are filtered and deflated here, because
 * libpng knows one picture only.
 */
struct kiln_png_animation {
    struct kiln_png_stream stream;
    int64_t width, height, channels;
    int n_frames, written;
    uint32_t sequence; /* of fcTL and fdAT chunks */
    uint8_t *filtered; /* [height, 1 + row] */
    uint8_t *packed;   /* 4 bytes for the sequence number, then deflated data */
    uLong packed_bytes;
};

static void put_u32(uint8_t *out, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(value >> (24 - 8 * i));
}

static void put_u16(uint8_t *out, unsigned value)
{
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
}

static void write_chunk(kiln_png_animation *animation, const char *name, const uint8_t *data,
                        size_t bytes)
{
    png_write_chunk(animation->stream.png, (png_const_bytep)name, data, bytes);
}

static enum kiln_status write_start(kiln_png_animation *animation, int plays, int n_texts,
                                    const struct kiln_png_text *texts)
{
    struct kiln_png_stream *stream = &animation->stream;
    if (setjmp(stream->escape))
        return stream->status;
    kiln_png_write_header(stream, animation->width, animation->height, animation->channels, n_texts,
                          texts);
    uint8_t control[8];
    put_u32(control, (uint32_t)animation->n_frames);
    put_u32(control + 4, (uint32_t)plays);
    write_chunk(animation, "acTL", control, sizeof control);
    return KILN_OK;
}

enum kiln_status kiln_png_animation_begin(const char *path, int64_t width, int64_t height,
                                          int64_t channels, int n_frames, int plays, int n_texts,
                                          const struct kiln_png_text *texts,
                                          kiln_png_animation **result, struct kiln_error *error)
{
    *result = NULL;
    if (n_frames < 1 || plays < 0)
        return kiln_fail(error, KILN_INPUT, "%s: an animation of %d frames", path, n_frames);
    struct kiln_image probe; /* the limits of pictures are those of frames */
    enum kiln_status status = kiln_image_create(width, height, channels, 0, &probe, error);
    if (status)
        return status;
    kiln_image_finish(&probe);
    kiln_png_animation *animation = calloc(1, sizeof *animation);
    if (!animation)
        return kiln_fail(error, KILN_MACHINE, "%s: out of memory", path);
    animation->width = width;
    animation->height = height;
    animation->channels = channels;
    animation->n_frames = n_frames;
    uLong bytes = (uLong)(height * (1 + width * channels));
    animation->packed_bytes = compressBound(bytes);
    animation->filtered = malloc(bytes);
    animation->packed = malloc(4 + animation->packed_bytes);
    if (!animation->filtered || !animation->packed)
        status = kiln_fail(error, KILN_MACHINE, "%s: out of memory", path);
    if (!status)
        status = kiln_png_stream_begin(path, &animation->stream, error);
    if (!status)
        status = write_start(animation, plays, n_texts, texts);
    if (status)
        kiln_png_animation_abort(&animation);
    *result = animation;
    return status;
}

/* Filter type 2 (up): small for the blocks of an enlarged grid. */
static void filter_rows(kiln_png_animation *animation, const uint8_t *pixels)
{
    int64_t row = animation->width * animation->channels;
    uint8_t *out = animation->filtered;
    for (int64_t y = 0; y < animation->height; y++) {
        const uint8_t *line = pixels + y * row;
        *out++ = 2;
        for (int64_t x = 0; x < row; x++)
            *out++ = (uint8_t)(line[x] - (y ? line[x - row] : 0));
    }
}

static void write_control(kiln_png_animation *animation, int delay_ms)
{
    uint8_t control[26] = {0}; /* offsets, dispose and blend operations are 0 */
    put_u32(control, animation->sequence++);
    put_u32(control + 4, (uint32_t)animation->width);
    put_u32(control + 8, (uint32_t)animation->height);
    put_u16(control + 20, (unsigned)delay_ms);
    put_u16(control + 22, 1000);
    write_chunk(animation, "fcTL", control, sizeof control);
}

static enum kiln_status write_frame(kiln_png_animation *animation, int delay_ms, size_t bytes)
{
    if (setjmp(animation->stream.escape))
        return animation->stream.status;
    write_control(animation, delay_ms);
    if (animation->written++ == 0) {
        write_chunk(animation, "IDAT", animation->packed + 4, bytes);
    } else {
        put_u32(animation->packed, animation->sequence++);
        write_chunk(animation, "fdAT", animation->packed, bytes + 4);
    }
    return KILN_OK;
}

enum kiln_status kiln_png_animation_frame(kiln_png_animation *animation,
                                          const struct kiln_image *image, int delay_ms,
                                          struct kiln_error *error)
{
    const char *path = kiln_output_path(animation->stream.output);
    if (image->width != animation->width || image->height != animation->height ||
        image->channels != animation->channels)
        return kiln_fail(error, KILN_INPUT, "%s: a frame of another size", path);
    if (animation->written == animation->n_frames || delay_ms < 0 || delay_ms > 65535)
        return kiln_fail(error, KILN_INPUT, "%s: too many frames, or a delay of %d ms", path,
                         delay_ms);
    filter_rows(animation, image->pixels);
    uLongf bytes = animation->packed_bytes;
    uLong raw = (uLong)(image->height * (1 + image->width * image->channels));
    if (compress2(animation->packed + 4, &bytes, animation->filtered, raw, Z_BEST_SPEED + 5) !=
        Z_OK)
        return kiln_fail(error, KILN_MACHINE, "%s: out of memory", path);
    animation->stream.error = error;
    return write_frame(animation, delay_ms, bytes);
}

static enum kiln_status write_end(kiln_png_animation *animation)
{
    if (setjmp(animation->stream.escape))
        return animation->stream.status;
    write_chunk(animation, "IEND", NULL, 0);
    return KILN_OK;
}

enum kiln_status kiln_png_animation_commit(kiln_png_animation **result, struct kiln_error *error)
{
    kiln_png_animation *animation = *result;
    enum kiln_status status = KILN_OK;
    animation->stream.error = error;
    if (animation->written != animation->n_frames)
        status = kiln_fail(error, KILN_INPUT, "%s: %d frames of %d are missing",
                           kiln_output_path(animation->stream.output),
                           animation->n_frames - animation->written, animation->n_frames);
    if (!status)
        status = write_end(animation);
    if (!status)
        status = kiln_png_stream_commit(&animation->stream, error);
    kiln_png_animation_abort(result);
    return status;
}

void kiln_png_animation_abort(kiln_png_animation **animation)
{
    if (!animation || !*animation)
        return;
    kiln_png_stream_abort(&(*animation)->stream);
    free((*animation)->filtered);
    free((*animation)->packed);
    free(*animation);
    *animation = NULL;
}
