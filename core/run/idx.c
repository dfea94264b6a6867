/* IDX files, plain or gzip. */
#include "core/run/idx.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "core/base/file.h"
#include "core/base/log.h"

enum { TYPE_U8 = 0x08, MAX_RANK = 4, BUFFER_BYTES = 1 << 17 };
/* The format of deflate cannot shrink anything by more. */
enum { MAX_DEFLATE_RATIO = 1032 };

struct idx_file {
    const char *path;
    int fd; /* the stream's */
    gzFile stream;
    int64_t bytes; /* of the file */
    int rank;
    int64_t shape[MAX_RANK];
    int64_t count;
};

/* What zlib says, else that the file is too short. */
static enum kiln_status fail_short(struct idx_file *file, int64_t got, int64_t wanted,
                                   struct kiln_error *error)
{
    int code;
    const char *text = gzerror(file->stream, &code);
    if (code == Z_MEM_ERROR || code == Z_ERRNO)
        return kiln_fail(error, KILN_MACHINE, "%s: cannot read: %s", file->path, text);
    if (code != Z_OK && code != Z_BUF_ERROR && code != Z_STREAM_END)
        return kiln_fail(error, KILN_INPUT, "%s: damaged gzip data: %s", file->path, text);
    return kiln_fail(error, KILN_INPUT, "%s: truncated: %lld bytes, expected %lld", file->path,
                     (long long)got, (long long)wanted);
}

/* Reads exactly bytes; already have been read before. */
static enum kiln_status read_exactly(struct idx_file *file, void *out, int64_t bytes,
                                     int64_t already, struct kiln_error *error)
{
    char *target = out;
    for (int64_t done = 0; done < bytes;) {
        int64_t piece = bytes - done < 1 << 30 ? bytes - done : 1 << 30;
        int got = gzread(file->stream, target + done, (unsigned)piece);
        if (got <= 0)
            return fail_short(file, already + done, already + bytes, error);
        done += got;
    }
    return KILN_OK;
}

static enum kiln_status read_shape(struct idx_file *file, struct kiln_error *error)
{
    unsigned char bytes[4 * MAX_RANK];
    enum kiln_status status = read_exactly(file, bytes, 4, 0, error);
    if (status)
        return status;
    if (bytes[0] || bytes[1])
        return kiln_fail(error, KILN_INPUT, "%s: not an IDX file: it starts with %02x%02x%02x%02x",
                         file->path, bytes[0], bytes[1], bytes[2], bytes[3]);
    if (bytes[2] != TYPE_U8)
        return kiln_fail(error, KILN_INPUT, "%s: element type 0x%02x, expected 0x08 (bytes)",
                         file->path, bytes[2]);
    file->rank = bytes[3];
    if (file->rank < 1 || file->rank > MAX_RANK)
        return kiln_fail(error, KILN_INPUT, "%s: has %d dimensions, expected 1 to %d", file->path,
                         file->rank, MAX_RANK);
    status = read_exactly(file, bytes, 4 * file->rank, 4, error);
    file->count = 1;
    for (int i = 0; i < file->rank && !status; i++) {
        const unsigned char *b = bytes + 4 * i;
        int64_t extent = (int64_t)b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3];
        file->shape[i] = extent;
        if (extent == 0)
            return kiln_fail(error, KILN_INPUT, "%s: dimension %d is 0", file->path, i + 1);
        /* both factors are below 2^32, so the product cannot overflow */
        if (extent > KILN_IDX_MAX_ELEMENTS / file->count)
            return kiln_fail(error, KILN_INPUT, "%s: more than %lld elements", file->path,
                             (long long)KILN_IDX_MAX_ELEMENTS);
        file->count *= extent;
    }
    return status;
}

/* Before memory is asked for: can the file hold what its header declares? */
static enum kiln_status check_size(struct idx_file *file, struct kiln_error *error)
{
    int64_t header = 4 + 4 * file->rank;
    int64_t most = gzdirect(file->stream) ? file->bytes : file->bytes * MAX_DEFLATE_RATIO;
    if (header + file->count <= most)
        return KILN_OK;
    return kiln_fail(error, KILN_INPUT, "%s: truncated: %lld bytes for %lld elements", file->path,
                     (long long)file->bytes, (long long)file->count);
}

/* zlib passes over bytes after the packed data. The packed data end with the
 * length of what they hold, so the file's last bytes tell. */
static void warn_of_garbage(struct idx_file *file)
{
    uint8_t last[4];
    uint32_t length = (uint32_t)(4 + 4 * file->rank + file->count);
    if (gzdirect(file->stream) || file->bytes < 4 ||
        kiln_file_read_at(file->fd, file->path, last, 4, file->bytes - 4, NULL))
        return;
    for (int i = 0; i < 4; i++)
        if (last[i] != (uint8_t)(length >> 8 * i)) {
            kiln_log_line(KILN_LOG_WARNING,
                          "%s: not one piece of gzip data; bytes after it are ignored", file->path);
            return;
        }
}

/* After the last element nothing may follow; reading on also checks the CRC. */
static enum kiln_status check_end(struct idx_file *file, struct kiln_error *error)
{
    char byte;
    int got = gzread(file->stream, &byte, 1);
    if (got > 0)
        return kiln_fail(error, KILN_INPUT, "%s: more bytes than the %lld elements it declares",
                         file->path, (long long)file->count);
    int code;
    gzerror(file->stream, &code);
    if (got == 0 && (code == Z_OK || code == Z_STREAM_END)) {
        warn_of_garbage(file);
        return KILN_OK;
    }
    return fail_short(file, file->bytes, file->bytes + 1, error);
}

static enum kiln_status idx_open(const char *path, struct idx_file *file, struct kiln_error *error)
{
    *file = (struct idx_file){.path = path};
    enum kiln_status status = kiln_file_open(path, &file->fd, &file->bytes, error);
    if (status)
        return status;
    if (file->bytes == 0)
        status = kiln_fail(error, KILN_INPUT, "%s: is empty", path);
    else if (!(file->stream = gzdopen(file->fd, "rb")))
        status = kiln_fail(error, KILN_MACHINE, "%s: out of memory", path);
    if (status) {
        close(file->fd);
        return status;
    }
    gzbuffer(file->stream, BUFFER_BYTES);
    status = read_shape(file, error);
    return status ? status : check_size(file, error);
}

static void idx_close(struct idx_file *file)
{
    if (file->stream)
        gzclose_r(file->stream);
    file->stream = NULL;
}

/* [n, h, w, c] to [n, c, h, w], picture by picture. */
static enum kiln_status to_planes(struct kiln_pictures *pictures, struct kiln_error *error)
{
    int64_t area = pictures->h * pictures->w, bytes = kiln_pictures_stride(pictures);
    uint8_t *copy = malloc((size_t)bytes);
    if (!copy)
        return kiln_fail(error, KILN_MACHINE, "out of memory for a picture");
    for (int64_t i = 0; i < pictures->n; i++) {
        uint8_t *picture = pictures->data + i * bytes;
        memcpy(copy, picture, (size_t)bytes);
        for (int64_t c = 0; c < pictures->c; c++)
            for (int64_t p = 0; p < area; p++)
                picture[c * area + p] = copy[p * pictures->c + c];
    }
    free(copy);
    return KILN_OK;
}

static enum kiln_status read_pictures(struct idx_file *file, struct kiln_pictures *pictures,
                                      struct kiln_error *error)
{
    const int64_t *shape = file->shape;
    int64_t channels = file->rank == 4 ? shape[3] : 1;
    if (file->rank < 3 || (channels != 1 && channels != 3))
        return kiln_fail(error, KILN_INPUT,
                         "%s: has %d dimensions, expected pictures [N, H, W] or [N, H, W, 1 or 3]",
                         file->path, file->rank);
    if (shape[1] > KILN_IMAGE_MAX_SIDE || shape[2] > KILN_IMAGE_MAX_SIDE)
        return kiln_fail(error, KILN_INPUT,
                         "%s: pictures of %lld x %lld, expected at most %d a side", file->path,
                         (long long)shape[1], (long long)shape[2], KILN_IMAGE_MAX_SIDE);
    struct kiln_error reason;
    enum kiln_status status =
        kiln_pictures_create(shape[0], channels, shape[1], shape[2], pictures, &reason);
    if (status)
        return kiln_fail(error, status, "%s: %s", file->path, reason.text);
    status = read_exactly(file, pictures->data, file->count, 4 + 4 * file->rank, error);
    if (!status)
        status = check_end(file, error);
    if (!status && channels > 1)
        status = to_planes(pictures, error);
    return status;
}

enum kiln_status kiln_idx_read_pictures(const char *path, struct kiln_pictures *pictures,
                                        struct kiln_error *error)
{
    *pictures = (struct kiln_pictures){0};
    struct idx_file file;
    enum kiln_status status = idx_open(path, &file, error);
    if (!status)
        status = read_pictures(&file, pictures, error);
    if (status)
        kiln_pictures_finish(pictures);
    idx_close(&file);
    return status;
}

static enum kiln_status read_labels(struct idx_file *file, int32_t *labels,
                                    struct kiln_error *error)
{
    unsigned char chunk[4096];
    for (int64_t done = 0; done < file->count;) {
        int64_t n = file->count - done;
        n = n < (int64_t)sizeof chunk ? n : (int64_t)sizeof chunk;
        enum kiln_status status = read_exactly(file, chunk, n, 8 + done, error);
        if (status)
            return status;
        for (int64_t i = 0; i < n; i++)
            labels[done++] = chunk[i];
    }
    return check_end(file, error);
}

enum kiln_status kiln_idx_read_labels(const char *path, int64_t *n, int32_t **labels,
                                      struct kiln_error *error)
{
    *n = 0;
    *labels = NULL;
    struct idx_file file;
    enum kiln_status status = idx_open(path, &file, error);
    if (!status && file.rank != 1)
        status = kiln_fail(error, KILN_INPUT, "%s: has %d dimensions, expected labels [N]", path,
                           file.rank);
    int32_t *values = NULL;
    if (!status && !(values = malloc((size_t)file.count * sizeof *values)))
        status = kiln_fail(error, KILN_MACHINE, "%s: out of memory", path);
    if (!status)
        status = read_labels(&file, values, error);
    if (!status) {
        *n = file.count;
        *labels = values;
        values = NULL;
    }
    free(values);
    idx_close(&file);
    return status;
}
