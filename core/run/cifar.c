/* CIFAR-10, binary version. */
#include "core/run/cifar.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"

enum { CHANNELS = 3, SIDE = 32, PICTURE_BYTES = CHANNELS * SIDE * SIDE };
enum { RECORD_BYTES = 1 + PICTURE_BYTES, CLASSES = 10, BATCHES = 5, MAX_RECORDS = 1 << 20 };

struct batch {
    char *path;
    int fd;
    int64_t n; /* records */
};

static enum kiln_status batch_open(const char *folder, const char *name, struct batch *batch,
                                   struct kiln_error *error)
{
    batch->path = kiln_path_join(folder, name);
    if (!batch->path)
        return kiln_fail(error, KILN_MACHINE, "%s: out of memory", folder);
    int64_t bytes;
    enum kiln_status status = kiln_file_open(batch->path, &batch->fd, &bytes, error);
    if (status)
        return status;
    batch->n = bytes / RECORD_BYTES;
    if (bytes % RECORD_BYTES || batch->n < 1 || batch->n > MAX_RECORDS)
        return kiln_fail(error, KILN_INPUT,
                         "%s: has %lld bytes, expected a whole number (1..%d) of records of %d",
                         batch->path, (long long)bytes, MAX_RECORDS, RECORD_BYTES);
    return KILN_OK;
}

static enum kiln_status batch_read(const struct batch *batch, uint8_t *pictures, int32_t *labels,
                                   struct kiln_error *error)
{
    uint8_t record[RECORD_BYTES];
    for (int64_t i = 0; i < batch->n; i++) {
        enum kiln_status status = kiln_file_read_at(batch->fd, batch->path, record, RECORD_BYTES,
                                                    i * RECORD_BYTES, error);
        if (status)
            return status;
        if (record[0] >= CLASSES)
            return kiln_fail(error, KILN_INPUT, "%s: record %lld has label %d, expected 0..%d",
                             batch->path, (long long)i, record[0], CLASSES - 1);
        labels[i] = record[0];
        memcpy(pictures + i * PICTURE_BYTES, record + 1, PICTURE_BYTES);
    }
    return KILN_OK;
}

static enum kiln_status open_batches(const char *folder, bool train, struct batch *batches,
                                     int64_t *n, struct kiln_error *error)
{
    char *inner = kiln_path_join(folder, "cifar-10-batches-bin");
    if (!inner)
        return kiln_fail(error, KILN_MACHINE, "%s: out of memory", folder);
    const char *from = kiln_directory_exists(inner) ? inner : folder;
    enum kiln_status status = KILN_OK;
    *n = 0;
    for (int i = 0; i < (train ? BATCHES : 1) && !status; i++) {
        char name[32] = "test_batch.bin";
        if (train)
            snprintf(name, sizeof name, "data_batch_%d.bin", i + 1);
        status = batch_open(from, name, &batches[i], error);
        *n += batches[i].n;
    }
    free(inner);
    return status;
}

enum kiln_status kiln_cifar10_read(const char *folder, bool train, struct kiln_pictures *pictures,
                                   int32_t **labels, struct kiln_error *error)
{
    *pictures = (struct kiln_pictures){0};
    *labels = NULL;
    struct batch batches[BATCHES];
    for (int i = 0; i < BATCHES; i++)
        batches[i] = (struct batch){.fd = -1};
    int64_t n = 0, done = 0;
    enum kiln_status status = open_batches(folder, train, batches, &n, error);
    if (!status)
        status = kiln_pictures_create(n, CHANNELS, SIDE, SIDE, pictures, error);
    if (!status && !(*labels = malloc((size_t)n * sizeof **labels)))
        status = kiln_fail(error, KILN_MACHINE, "%s: out of memory", folder);
    for (int i = 0; i < BATCHES; i++) {
        if (!status && batches[i].n)
            status = batch_read(&batches[i], pictures->data + done * PICTURE_BYTES, *labels + done,
                                error);
        done += batches[i].n;
        if (batches[i].fd >= 0)
            close(batches[i].fd);
        free(batches[i].path);
    }
    if (status) {
        kiln_pictures_finish(pictures);
        free(*labels);
        *labels = NULL;
    }
    return status;
}
