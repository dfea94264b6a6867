/*
 * Fuzz target: files of torch.save.
 *
 * The first byte 0: the rest is a file. Else the rest is the pickle of an
 * archive that the target makes, with one storage "0" of 128 bytes, so that
 * pickles are reached behind the archive's sums and offsets. Of what is
 * accepted, every element lies in the file, and it can be converted.
 */
#define _XOPEN_SOURCE 700 /* mkstemp */
#include <string.h>

#include "core/run/torch_file.h"
#include "fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STORAGE = 128, MAX_PICKLE = 1 << 16, MAX_WALK = 4096 };

struct archive {
    uint8_t bytes[MAX_PICKLE + 1024];
    size_t size;
    uint8_t directory[512];
    size_t directory_size;
    int n;
};

static size_t put(uint8_t *at, size_t offset, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[offset + (size_t)i] = (uint8_t)(value >> 8 * i);
    return offset + (size_t)bytes;
}

/* Zip headers of a stored entry: signature, then 0 but for sizes and name. */
static void add_entry(struct archive *archive, const char *name, const void *data, size_t size)
{
    size_t offset = archive->size, length = strlen(name);
    uint8_t *local = archive->bytes + offset;
    memset(local, 0, 30);
    put(local, 0, 0x04034b50, 4);
    put(local, put(local, 18, size, 4), size, 4);
    put(local, 26, length, 2);
    memcpy(local + 30, name, length);
    memcpy(local + 30 + length, data, size);
    archive->size += 30 + length + size;
    uint8_t *central = archive->directory + archive->directory_size;
    memset(central, 0, 46);
    put(central, 0, 0x02014b50, 4);
    put(central, put(central, 20, size, 4), size, 4);
    put(central, 28, length, 2);
    put(central, 42, offset, 4);
    memcpy(central + 46, name, length);
    archive->directory_size += 46 + length;
    archive->n++;
}

static void finish_archive(struct archive *archive)
{
    size_t offset = archive->size;
    memcpy(archive->bytes + offset, archive->directory, archive->directory_size);
    archive->size += archive->directory_size;
    uint8_t *end = archive->bytes + archive->size;
    memset(end, 0, 22);
    put(end, 0, 0x06054b50, 4);
    put(end, put(end, 8, (uint64_t)archive->n, 2), (uint64_t)archive->n, 2);
    put(end, put(end, 12, archive->directory_size, 4), offset, 4);
    archive->size += 22;
}

/* Reads the elements, or the corners of a large tensor; returns their number. */
static int64_t walk(const struct kiln_torch_tensor *tensor)
{
    int64_t width = kiln_tensor_dtype_bytes(tensor->dtype), last = 0;
    volatile uint8_t byte = 0;
    if (!tensor->count)
        return 0;
    for (int i = 0; i < tensor->rank; i++)
        last += (tensor->shape[i] - 1) * tensor->stride[i];
    byte = tensor->data[0];
    byte = tensor->data[last * width + width - 1];
    (void)byte;
    return tensor->count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct archive archive;
    static const uint8_t storage[STORAGE] = {1, 2, 3};
    if (size < 2 || size > MAX_PICKLE)
        return 0;
    archive.size = archive.directory_size = 0;
    archive.n = 0;
    if (data[0] == 0) {
        archive.size = size - 1;
        memcpy(archive.bytes, data + 1, size - 1);
    } else {
        add_entry(&archive, "a/data.pkl", data + 1, size - 1);
        add_entry(&archive, "a/data/0", storage, sizeof storage);
        finish_archive(&archive);
    }
    kiln_torch_file *file;
    struct kiln_error error = {""};
    const char *path = fuzz_file(archive.bytes, archive.size);
    enum kiln_status status = kiln_torch_open(path, NULL, &file, &error);
    require(status == (file ? KILN_OK : KILN_INPUT));
    require(file || error.text[0]);
    int64_t elements = 0;
    for (int i = 0; file && i < kiln_torch_count(file); i++)
        elements += walk(kiln_torch_at(file, i));
    char target[96];
    snprintf(target, sizeof target, "%s-out", path);
    if (file && elements < MAX_WALK) {
        status = kiln_torch_convert(file, target, &error);
        require(status == KILN_OK || status == KILN_INPUT);
        unlink(target);
    }
    kiln_torch_close(&file);
    return 0;
}
