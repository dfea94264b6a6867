/* IDX and CIFAR-10 files: good ones, and every way to be bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <zlib.h>

#include "core/base/log.h"
#include "core/run/cifar.h"
#include "core/run/idx.h"
#include "scratch.h"

static struct kiln_error error;

static void assert_message(const char *part)
{
    if (!strstr(error.text, part))
        fail_msg("\"%s\" lacks \"%s\"", error.text, part);
}

/* A file's bytes: header and then data of 0, 1, 2, ... */
struct bytes {
    unsigned char data[8192];
    size_t n;
};

static struct bytes make_idx(int type, int rank, const uint32_t *shape, size_t data_bytes)
{
    struct bytes file = {{0, 0, (unsigned char)type, (unsigned char)rank}, 4};
    for (int i = 0; i < rank; i++)
        for (int shift = 24; shift >= 0; shift -= 8)
            file.data[file.n++] = (unsigned char)(shape[i] >> shift);
    for (size_t i = 0; i < data_bytes; i++)
        file.data[file.n++] = (unsigned char)i;
    return file;
}

static const char *write_gzip(const char *name, const void *data, size_t n)
{
    const char *path = scratch_path(name);
    gzFile file = gzopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, data, (unsigned)n), n);
    assert_int_equal(gzclose(file), Z_OK);
    return path;
}

static size_t read_bytes(const char *path, unsigned char *data, size_t most)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t n = fread(data, 1, most, file);
    fclose(file);
    return n;
}

static void assert_pictures_refused(const char *path, const char *message)
{
    struct kiln_pictures pictures;
    assert_int_equal(kiln_idx_read_pictures(path, &pictures, &error), KILN_INPUT);
    assert_null(pictures.data);
    assert_message(message);
}

static void assert_labels_refused(const char *path, const char *message)
{
    int64_t n;
    int32_t *labels;
    assert_int_equal(kiln_idx_read_labels(path, &n, &labels, &error), KILN_INPUT);
    assert_null(labels);
    assert_message(message);
}

static void assert_pictures_good(const char *path)
{
    struct kiln_pictures pictures;
    if (kiln_idx_read_pictures(path, &pictures, &error))
        fail_msg("%s", error.text);
    assert_int_equal(pictures.n, 3);
    assert_int_equal(pictures.c, 1);
    assert_int_equal(pictures.h, 4);
    assert_int_equal(pictures.w, 5);
    for (int i = 0; i < 60; i++)
        assert_int_equal(pictures.data[i], i);
    kiln_pictures_finish(&pictures);
}

static void plain_and_gzip_are_read(void **unused)
{
    (void)unused;
    struct bytes file = make_idx(8, 3, (const uint32_t[]){3, 4, 5}, 60);
    assert_pictures_good(scratch_write("plain", file.data, file.n));
    assert_pictures_good(write_gzip("gzip", file.data, file.n));
}

static void colour_becomes_planes(void **unused)
{
    (void)unused;
    struct bytes file = make_idx(8, 4, (const uint32_t[]){2, 2, 2, 3}, 24);
    struct kiln_pictures pictures;
    assert_int_equal(
        kiln_idx_read_pictures(scratch_write("rgb", file.data, file.n), &pictures, &error),
        KILN_OK);
    assert_int_equal(pictures.c, 3);
    assert_memory_equal(pictures.data,
                        ((const uint8_t[]){0,  3,  6,  9,  1,  4,  7,  10, 2,  5,  8,  11,
                                           12, 15, 18, 21, 13, 16, 19, 22, 14, 17, 20, 23}),
                        24);
    kiln_pictures_finish(&pictures);
}

static void labels_are_read(void **unused)
{
    (void)unused;
    struct bytes file = make_idx(8, 1, (const uint32_t[]){5000}, 5000);
    int64_t n;
    int32_t *labels;
    assert_int_equal(
        kiln_idx_read_labels(write_gzip("labels", file.data, file.n), &n, &labels, &error),
        KILN_OK);
    assert_int_equal(n, 5000);
    for (int i = 0; i < 5000; i++)
        assert_int_equal(labels[i], i % 256);
    free(labels);
}

static void wrong_headers_are_refused(void **unused)
{
    (void)unused;
    struct bytes file = make_idx(8, 3, (const uint32_t[]){3, 4, 5}, 60);
    assert_labels_refused(scratch_write("f", file.data, file.n), "3 dimensions, expected labels");
    file.data[0] = 1;
    assert_pictures_refused(scratch_write("f", file.data, file.n), "it starts with 01000803");
    file = make_idx(0x0D, 3, (const uint32_t[]){3, 4, 5}, 60);
    assert_pictures_refused(scratch_write("f", file.data, file.n), "type 0x0d, expected 0x08");
    file = make_idx(8, 0, NULL, 60);
    assert_pictures_refused(scratch_write("f", file.data, file.n), "has 0 dimensions");
    file = make_idx(8, 5, (const uint32_t[]){1, 1, 1, 1, 1}, 1);
    assert_pictures_refused(scratch_write("f", file.data, file.n), "has 5 dimensions");
    file = make_idx(8, 1, (const uint32_t[]){60}, 60);
    assert_pictures_refused(scratch_write("f", file.data, file.n), "has 1 dimensions, expected");
    file = make_idx(8, 4, (const uint32_t[]){3, 2, 5, 2}, 60);
    assert_pictures_refused(scratch_write("f", file.data, file.n), "[N, H, W, 1 or 3]");
    file = make_idx(8, 3, (const uint32_t[]){0, 4, 5}, 0);
    assert_pictures_refused(scratch_write("f", file.data, file.n), "dimension 1 is 0");
}

/* Headers of 16 bytes that ask for more than there is: no memory is asked for. */
static void absurd_sizes_are_refused(void **unused)
{
    (void)unused;
    const uint32_t most = 0xFFFFFFFFu;
    struct bytes file = make_idx(8, 3, (const uint32_t[]){most, most, most}, 0);
    assert_pictures_refused(scratch_write("f", file.data, file.n), "more than 2147483648 elements");
    assert_pictures_refused(write_gzip("f", file.data, file.n), "more than 2147483648 elements");
    file = make_idx(8, 4, (const uint32_t[]){65536, 65536, 65536, 65536}, 0);
    assert_pictures_refused(scratch_write("f", file.data, file.n), "more than 2147483648 elements");
    file = make_idx(8, 3, (const uint32_t[]){32768, 256, 256}, 0);
    assert_pictures_refused(scratch_write("f", file.data, file.n), "truncated: 16 bytes for");
    assert_pictures_refused(write_gzip("f", file.data, file.n), "truncated: ");
    file = make_idx(8, 1, (const uint32_t[]){most}, 0);
    assert_labels_refused(scratch_write("f", file.data, file.n), "more than 2147483648 elements");
    static unsigned char wide[16 + 20000] = {0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0x4E, 0x20};
    assert_pictures_refused(scratch_write("f", wide, sizeof wide), "pictures of 1 x 20000");
}

static void missing_and_surplus_bytes_are_refused(void **unused)
{
    (void)unused;
    struct bytes file = make_idx(8, 3, (const uint32_t[]){3, 4, 5}, 60);
    unsigned char packed[1024];
    size_t n = read_bytes(write_gzip("f", file.data, file.n), packed, sizeof packed);
    for (size_t cut = 0; cut < file.n; cut++)
        assert_pictures_refused(scratch_write("f", file.data, cut),
                                cut == 0 ? "is empty" : "truncated");
    for (size_t cut = 1; cut < n; cut++)
        assert_pictures_refused(scratch_write("f", packed, cut), "f: ");
    file.data[file.n++] = 7;
    assert_pictures_refused(scratch_write("f", file.data, file.n), "more bytes than the 60");
    assert_pictures_refused(write_gzip("f", file.data, file.n), "more bytes than the 60");
}

static void damaged_gzip_is_refused(void **unused)
{
    (void)unused;
    struct bytes file = make_idx(8, 3, (const uint32_t[]){3, 4, 5}, 60);
    unsigned char packed[1024];
    size_t n = read_bytes(write_gzip("f", file.data, file.n), packed, sizeof packed);
    packed[n - 6] ^= 1; /* the CRC */
    assert_pictures_refused(scratch_write("f", packed, n), "damaged gzip data");
    packed[n - 6] ^= 1;
    packed[n - 1] ^= 1; /* the length */
    assert_pictures_refused(scratch_write("f", packed, n), "damaged gzip data");
}

static int warnings;

static void count_warning(void *user, enum kiln_log_level level, const char *line)
{
    (void)user;
    assert_int_equal(level, KILN_LOG_WARNING);
    assert_non_null(strstr(line, "bytes after it are ignored"));
    warnings++;
}

static void bytes_after_gzip_are_warned_of(void **unused)
{
    (void)unused;
    struct bytes file = make_idx(8, 3, (const uint32_t[]){3, 4, 5}, 60);
    unsigned char packed[1024];
    size_t n = read_bytes(write_gzip("f", file.data, file.n), packed, sizeof packed);
    kiln_log_receiver(count_warning, NULL);
    assert_pictures_good(scratch_write("f", packed, n));
    assert_int_equal(warnings, 0);
    memcpy(packed + n, "garbage", 7);
    assert_pictures_good(scratch_write("f", packed, n + 7));
    kiln_log_receiver(NULL, NULL);
    assert_int_equal(warnings, 1);
}

/* 64 MB of zeros in 64 kB, behind a header that declares 60. */
static void a_gzip_bomb_is_not_unpacked(void **unused)
{
    (void)unused;
    struct bytes file = make_idx(8, 3, (const uint32_t[]){3, 4, 5}, 60);
    static char zeros[1 << 20];
    gzFile bomb = gzopen(scratch_path("bomb"), "wb");
    assert_non_null(bomb);
    gzwrite(bomb, file.data, (unsigned)file.n);
    for (int i = 0; i < 64; i++)
        gzwrite(bomb, zeros, sizeof zeros);
    assert_int_equal(gzclose(bomb), Z_OK);
    assert_pictures_refused(scratch_path("bomb"), "more bytes than the 60");
}

static void other_things_are_refused(void **unused)
{
    (void)unused;
    assert_pictures_refused(scratch_path("absent"), "absent: cannot open: No such file");
    assert_pictures_refused(scratch_path(""), "is a directory");
    assert_labels_refused(scratch_path(""), "is a directory");
    assert_pictures_refused(scratch_write("f", "hello, world", 12), "not an IDX file");
}

enum { RECORD = 3073 };

static void write_batch(const char *name, int first_label)
{
    static unsigned char records[2 * RECORD];
    for (int i = 0; i < 2; i++) {
        records[i * RECORD] = (unsigned char)(first_label + i);
        memset(records + i * RECORD + 1, first_label * 16 + i, RECORD - 1);
    }
    scratch_write(name, records, sizeof records);
}

static void cifar10(void **unused)
{
    (void)unused;
    scratch_clear();
    struct kiln_pictures pictures;
    int32_t *labels;
    assert_int_equal(kiln_cifar10_read(scratch_path(""), true, &pictures, &labels, &error),
                     KILN_INPUT);
    assert_message("data_batch_1.bin: cannot open");
    for (int i = 1; i <= 5; i++) {
        char name[32];
        snprintf(name, sizeof name, "data_batch_%d.bin", i);
        write_batch(name, i);
    }
    assert_int_equal(kiln_cifar10_read(scratch_path(""), true, &pictures, &labels, &error),
                     KILN_OK);
    assert_int_equal(pictures.n, 10);
    assert_int_equal(pictures.c * 10000 + pictures.h * 100 + pictures.w, 33232);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(labels[i], 1 + i / 2 + i % 2);
        assert_int_equal(pictures.data[i * 3072], (1 + i / 2) * 16 + i % 2);
        assert_int_equal(pictures.data[i * 3072 + 3071], (1 + i / 2) * 16 + i % 2);
    }
    kiln_pictures_finish(&pictures);
    free(labels);
    scratch_clear();
    assert_int_equal(mkdir(scratch_path("cifar-10-batches-bin"), 0700), 0);
    write_batch("cifar-10-batches-bin/test_batch.bin", 0);
    assert_int_equal(kiln_cifar10_read(scratch_path(""), false, &pictures, &labels, &error),
                     KILN_OK);
    assert_int_equal(pictures.n, 2);
    kiln_pictures_finish(&pictures);
    free(labels);
}

static void damaged_cifar10_is_refused(void **unused)
{
    (void)unused;
    scratch_clear();
    struct kiln_pictures pictures;
    int32_t *labels;
    write_batch("test_batch.bin", 9); /* labels 9, 10 */
    assert_int_equal(kiln_cifar10_read(scratch_path(""), false, &pictures, &labels, &error),
                     KILN_INPUT);
    assert_message("record 1 has label 10, expected 0..9");
    assert_null(labels);
    assert_null(pictures.data);
    scratch_write("test_batch.bin", "xyz", 3);
    assert_int_equal(kiln_cifar10_read(scratch_path(""), false, &pictures, &labels, &error),
                     KILN_INPUT);
    assert_message("has 3 bytes, expected a whole number");
    scratch_write("test_batch.bin", "", 0);
    assert_int_equal(kiln_cifar10_read(scratch_path(""), false, &pictures, &labels, &error),
                     KILN_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_and_gzip_are_read),
        cmocka_unit_test(colour_becomes_planes),
        cmocka_unit_test(labels_are_read),
        cmocka_unit_test(wrong_headers_are_refused),
        cmocka_unit_test(absurd_sizes_are_refused),
        cmocka_unit_test(missing_and_surplus_bytes_are_refused),
        cmocka_unit_test(damaged_gzip_is_refused),
        cmocka_unit_test(bytes_after_gzip_are_warned_of),
        cmocka_unit_test(a_gzip_bomb_is_not_unpacked),
        cmocka_unit_test(other_things_are_refused),
        cmocka_unit_test(cifar10),
        cmocka_unit_test(damaged_cifar10_is_refused),
    };
    return cmocka_run_group_tests(tests, scratch_create, scratch_destroy);
}
