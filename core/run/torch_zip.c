/* The container of torch.save: a ZIP archive of stored entries. */
#include "core/run/torch_zip.h"

#include <stdlib.h>
#include <string.h>

enum {
    LOCAL_HEADER = 0x04034b50,
    CENTRAL_HEADER = 0x02014b50,
    END_RECORD = 0x06054b50,
    END_RECORD_64 = 0x06064b50,
    END_LOCATOR_64 = 0x07064b50,
    LOCAL_BYTES = 30,
    CENTRAL_BYTES = 46,
    END_BYTES = 22,
    END_64_BYTES = 56,
    LOCATOR_BYTES = 20,
    MAX_ENTRIES = 1 << 20
};

static uint64_t little(const uint8_t *p, int bytes)
{
    uint64_t value = 0;
    for (int i = bytes - 1; i >= 0; i--)
        value = value << 8 | p[i];
    return value;
}

static enum kiln_status damaged(struct kiln_error *error, const char *what)
{
    return kiln_fail(error, KILN_INPUT, "not a file of torch.save: %s", what);
}

/* What the end record says. */
struct directory {
    uint64_t n, offset, bytes;
};

static bool within(const struct kiln_zip *zip, uint64_t offset, uint64_t bytes)
{
    return offset <= zip->size && bytes <= zip->size - offset;
}

/* The ZIP64 end record stands before the locator that precedes the end record. */
static bool read_directory_64(const struct kiln_zip *zip, size_t end, struct directory *directory)
{
    if (end < LOCATOR_BYTES || little(zip->bytes + end - LOCATOR_BYTES, 4) != END_LOCATOR_64)
        return false;
    uint64_t record = little(zip->bytes + end - LOCATOR_BYTES + 8, 8);
    if (!within(zip, record, END_64_BYTES) || little(zip->bytes + record, 4) != END_RECORD_64)
        return false;
    directory->n = little(zip->bytes + record + 32, 8);
    directory->bytes = little(zip->bytes + record + 40, 8);
    directory->offset = little(zip->bytes + record + 48, 8);
    return true;
}

static enum kiln_status read_directory(const struct kiln_zip *zip, struct directory *directory,
                                       struct kiln_error *error)
{
    if (zip->size < END_BYTES)
        return damaged(error, "it is too short");
    /* the end record is followed by a comment of at most 65,535 bytes */
    size_t end = zip->size - END_BYTES, last = end > 65535 ? end - 65535 : 0;
    while (little(zip->bytes + end, 4) != END_RECORD) {
        if (end == last)
            return damaged(error, "no archive directory at its end");
        end--;
    }
    directory->n = little(zip->bytes + end + 10, 2);
    directory->bytes = little(zip->bytes + end + 12, 4);
    directory->offset = little(zip->bytes + end + 16, 4);
    bool is_64 =
        directory->n == 0xffff || directory->bytes == 0xffffffff || directory->offset == 0xffffffff;
    if (is_64 && !read_directory_64(zip, end, directory))
        return damaged(error, "its ZIP64 directory is damaged");
    if (directory->n > MAX_ENTRIES || !within(zip, directory->offset, directory->bytes) ||
        directory->n > directory->bytes / CENTRAL_BYTES)
        return damaged(error, "its directory does not fit into it");
    return KILN_OK;
}

/* Replaces sizes of 0xffffffff by those of the ZIP64 extra field. */
static bool read_extra_64(const uint8_t *extra, size_t size, uint64_t *bytes, uint64_t *stored,
                          uint64_t *offset)
{
    uint64_t *fields[3] = {bytes, stored, offset};
    while (size >= 4) {
        size_t id = (size_t)little(extra, 2), length = (size_t)little(extra + 2, 2);
        if (length > size - 4)
            return false;
        const uint8_t *p = extra + 4;
        for (int i = 0; id == 1 && i < 3; i++) {
            if (*fields[i] != 0xffffffff)
                continue;
            if (p + 8 > extra + 4 + length)
                return false;
            *fields[i] = little(p, 8);
            p += 8;
        }
        extra += 4 + length;
        size -= 4 + length;
    }
    return true;
}

static const char *read_entry(const struct kiln_zip *zip, const uint8_t *central, size_t left,
                              struct kiln_zip_entry *entry, size_t *used)
{
    if (left < CENTRAL_BYTES || little(central, 4) != CENTRAL_HEADER)
        return "its directory is damaged";
    uint64_t stored = little(central + 20, 4), bytes = little(central + 24, 4),
             offset = little(central + 42, 4);
    size_t name = (size_t)little(central + 28, 2), extra = (size_t)little(central + 30, 2);
    size_t comment = (size_t)little(central + 32, 2);
    if (name + extra + comment > left - CENTRAL_BYTES)
        return "its directory is damaged";
    if (little(central + 8, 2) & 1 || little(central + 10, 2) != 0)
        return "an entry is compressed or encrypted";
    if (!read_extra_64(central + CENTRAL_BYTES + name, extra, &bytes, &stored, &offset) ||
        bytes != stored)
        return "an entry's sizes are damaged";
    if (!within(zip, offset, LOCAL_BYTES) || little(zip->bytes + offset, 4) != LOCAL_HEADER)
        return "an entry's header is damaged";
    uint64_t skip =
        LOCAL_BYTES + little(zip->bytes + offset + 26, 2) + little(zip->bytes + offset + 28, 2);
    if (!within(zip, offset, skip) || !within(zip, offset + skip, bytes))
        return "an entry does not fit into it";
    *entry = (struct kiln_zip_entry){(const char *)central + CENTRAL_BYTES, name,
                                     zip->bytes + offset + skip, (size_t)bytes};
    *used = CENTRAL_BYTES + name + extra + comment;
    return NULL;
}

enum kiln_status kiln_zip_init(struct kiln_zip *zip, const uint8_t *bytes, size_t size,
                               struct kiln_error *error)
{
    *zip = (struct kiln_zip){.bytes = bytes, .size = size};
    struct directory directory = {0};
    enum kiln_status status = read_directory(zip, &directory, error);
    if (status)
        return status;
    zip->entries = calloc((size_t)directory.n + 1, sizeof *zip->entries);
    if (!zip->entries)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    size_t at = (size_t)directory.offset, left = (size_t)directory.bytes;
    for (uint64_t i = 0; i < directory.n; i++) {
        size_t used = 0;
        const char *wrong = read_entry(zip, bytes + at, left, &zip->entries[zip->n], &used);
        if (wrong)
            return damaged(error, wrong);
        zip->n++;
        at += used;
        left -= used;
    }
    return KILN_OK;
}

void kiln_zip_finish(struct kiln_zip *zip)
{
    free(zip->entries);
    *zip = (struct kiln_zip){0};
}

const struct kiln_zip_entry *kiln_zip_find(const struct kiln_zip *zip, const char *path)
{
    size_t length = strlen(path);
    for (size_t i = 0; i < zip->n; i++) {
        const struct kiln_zip_entry *entry = &zip->entries[i];
        const char *slash = memchr(entry->name, '/', entry->name_bytes);
        if (!slash)
            continue;
        size_t rest = entry->name_bytes - (size_t)(slash + 1 - entry->name);
        if (rest == length && !memcmp(slash + 1, path, length))
            return entry;
    }
    return NULL;
}
