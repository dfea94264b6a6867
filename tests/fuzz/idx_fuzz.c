/*
 * Fuzz target: IDX files.
 *
 * The first byte says what the rest is: bit 0, labels instead of pictures;
 * bit 1, the target packs it by gzip first, so that attempts get past the
 * checksum.
 */
#define _XOPEN_SOURCE 700 /* mkstemp */
#include <string.h>
#include <zlib.h>

#include "core/run/idx.h"
#include "fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bytes of the gzip form. */
static size_t pack(const uint8_t *data, size_t size, uint8_t *out, size_t out_size)
{
    enum { GZIP_WINDOW = 15 + 16 };
    z_stream stream = {.next_in = (Bytef *)data,
                       .avail_in = (uInt)size,
                       .next_out = out,
                       .avail_out = (uInt)out_size};
    require(deflateInit2(&stream, 1, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    require(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    deflateEnd(&stream);
    return stream.total_out;
}

static void read_labels(const char *path)
{
    struct kiln_error error = {""};
    int64_t n;
    int32_t *labels;
    enum kiln_status status = kiln_idx_read_labels(path, &n, &labels, &error);
    require(status == (labels ? KILN_OK : KILN_INPUT));
    for (int64_t i = 0; labels && i < n; i++)
        require(labels[i] >= 0 && labels[i] <= 255);
    free(labels);
}

static void read_pictures(const char *path)
{
    struct kiln_error error = {""};
    struct kiln_pictures pictures;
    enum kiln_status status = kiln_idx_read_pictures(path, &pictures, &error);
    require(status == (pictures.data ? KILN_OK : KILN_INPUT));
    static volatile uint8_t sink; /* every byte is there and set */
    for (int64_t i = 0; i < pictures.n * kiln_pictures_stride(&pictures); i++)
        sink = pictures.data[i];
    (void)sink;
    kiln_pictures_finish(&pictures);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t packed[(1 << 20) + 4096];
    if (size < 1 || size > 1 << 20)
        return 0;
    int kind = *data++;
    size--;
    if (kind & 2) {
        size = pack(data, size, packed, sizeof packed);
        data = packed;
    }
    const char *path = fuzz_file(data, size);
    if (kind & 1)
        read_labels(path);
    else
        read_pictures(path);
    return 0;
}
