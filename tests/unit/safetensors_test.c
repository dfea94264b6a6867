/* Safetensors: what is written reads back; what is damaged is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/file.h"
#include "core/run/safetensors.h"
#include "scratch.h"

static struct kiln_error error;

static void assert_message(const char *part)
{
    if (!strstr(error.text, part))
        fail_msg("\"%s\" lacks \"%s\"", error.text, part);
}

/* A file of this header and data. */
static const char *make_file(const char *header, const void *data, size_t data_bytes)
{
    size_t n = strlen(header);
    unsigned char *bytes = malloc(8 + n + data_bytes);
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)((uint64_t)n >> 8 * i);
    memcpy(bytes + 8, header, n);
    if (data_bytes)
        memcpy(bytes + 8 + n, data, data_bytes);
    const char *path = scratch_write("made.safetensors", bytes, 8 + n + data_bytes);
    free(bytes);
    return path;
}

static kiln_safetensors *open_file(const char *path)
{
    kiln_safetensors *file;
    if (kiln_safetensors_open(path, &file, &error))
        fail_msg("%s", error.text);
    return file;
}

static void assert_refused(const char *path, const char *message)
{
    kiln_safetensors *file;
    assert_int_equal(kiln_safetensors_open(path, &file, &error), KILN_INPUT);
    assert_null(file);
    assert_message(message);
}

static enum kiln_status write_example(const char *path)
{
    kiln_safetensors_writer *writer;
    if (kiln_safetensors_writer_create(path, &writer, &error))
        return KILN_MACHINE;
    const struct kiln_shape shape = KILN_SHAPE(2, 3);
    kiln_safetensors_writer_metadata(writer, "format", "pt");
    kiln_safetensors_writer_metadata(writer, "odd \"key\"", "a\nb \xC3\xA9");
    kiln_safetensors_writer_tensor(writer, "count", KILN_TENSOR_I64, 0, NULL);
    kiln_safetensors_writer_declare(writer, "weight", KILN_F32, &shape);
    kiln_safetensors_writer_tensor(writer, "none", KILN_TENSOR_F32, 2, (const int64_t[]){4, 0});
    kiln_safetensors_writer_declare(writer, "bytes", KILN_U8, &(struct kiln_shape){1, {3}});
    kiln_safetensors_writer_begin(writer);
    const int64_t count = -70;
    const float weight[6] = {1, -2, 0.5f, INFINITY, 1e-42f, -0.0f};
    kiln_safetensors_writer_data(writer, &count, 8);
    kiln_safetensors_writer_data(writer, weight, 10); /* any pieces */
    kiln_safetensors_writer_data(writer, (const char *)weight + 10, 14);
    kiln_safetensors_writer_data(writer, "\x00\x7f\xff", 3);
    return kiln_safetensors_writer_commit(&writer, &error);
}

static void what_is_written_reads_back(void **unused)
{
    (void)unused;
    const char *path = scratch_path("example.safetensors");
    assert_int_equal(write_example(path), KILN_OK);
    kiln_safetensors *file = open_file(path);
    assert_int_equal(kiln_safetensors_count(file), 4);
    assert_string_equal(kiln_safetensors_path(file), path);
    assert_string_equal(kiln_safetensors_metadata(file, "format"), "pt");
    assert_string_equal(kiln_safetensors_metadata(file, "odd \"key\""), "a\nb \xC3\xA9");
    assert_null(kiln_safetensors_metadata(file, "absent"));
    const char *key, *value;
    assert_true(kiln_safetensors_metadata_at(file, 0, &key, &value));
    assert_string_equal(key, "format");
    assert_true(kiln_safetensors_metadata_at(file, 1, &key, &value));
    assert_false(kiln_safetensors_metadata_at(file, 2, &key, &value));
    const struct kiln_tensor *weight = kiln_safetensors_find(file, "weight");
    assert_int_equal(weight->rank, 2);
    assert_int_equal(weight->shape[0], 2);
    assert_int_equal(weight->shape[1], 3);
    assert_int_equal(weight->offset % 8, 0);
    float real[6];
    assert_int_equal(kiln_safetensors_read_f32(file, weight, 0, 6, real, &error), KILN_OK);
    assert_memory_equal(real, ((const float[]){1, -2, 0.5f, INFINITY, 1e-42f, -0.0f}), 24);
    assert_int_equal(kiln_safetensors_read_f32(file, weight, 2, 1, real, &error), KILN_OK);
    assert_true(real[0] == 0.5f);
    assert_int_equal(kiln_safetensors_read_f32(file, weight, 5, 2, real, &error), KILN_INPUT);
    assert_int_equal(kiln_safetensors_read_f32(file, weight, -1, 2, real, &error), KILN_INPUT);
    int32_t whole[3];
    const struct kiln_tensor *count = kiln_safetensors_find(file, "count");
    assert_int_equal(kiln_safetensors_read_i32(file, count, 0, 1, whole, &error), KILN_OK);
    assert_int_equal(whole[0], -70);
    assert_int_equal(kiln_safetensors_read_i32(file, weight, 0, 1, whole, &error), KILN_INPUT);
    assert_message("tensor weight: dtype F32, expected integers");
    const struct kiln_tensor *none = kiln_safetensors_find(file, "none");
    assert_int_equal(none->count, 0);
    assert_int_equal(kiln_safetensors_read_f32(file, none, 0, 0, NULL, &error), KILN_OK);
    unsigned char raw[3];
    const struct kiln_tensor *bytes = kiln_safetensors_find(file, "bytes");
    assert_ptr_equal(bytes, kiln_safetensors_at(file, 3));
    assert_int_equal(kiln_safetensors_read_raw(file, bytes, raw, &error), KILN_OK);
    assert_memory_equal(raw, "\x00\x7f\xff", 3);
    assert_null(kiln_safetensors_find(file, "weigh"));
    kiln_safetensors_close(&file);
    assert_null(file);
}

static void the_same_calls_give_the_same_bytes(void **unused)
{
    (void)unused;
    char *a, *b;
    size_t a_bytes, b_bytes;
    assert_int_equal(write_example(scratch_path("a")), KILN_OK);
    assert_int_equal(write_example(scratch_path("b")), KILN_OK);
    assert_int_equal(kiln_file_read(scratch_path("a"), 4096, &a, &a_bytes, &error), KILN_OK);
    assert_int_equal(kiln_file_read(scratch_path("b"), 4096, &b, &b_bytes, &error), KILN_OK);
    assert_int_equal(a_bytes, b_bytes);
    assert_memory_equal(a, b, a_bytes);
    free(a);
    free(b);
}

/* One element of each dtype, as the format's other writers lay it out. */
static void every_dtype_is_converted(void **unused)
{
    (void)unused;
    static const struct {
        const char *dtype, *bytes;
        size_t n;
        float real;
        int64_t whole; /* BEYOND: refused */
    } cases[] = {
#define BEYOND INT64_MIN
        {"BOOL", "\x01", 1, 1, 1},
        {"U8", "\xff", 1, 255, 255},
        {"I8", "\x80", 1, -128, -128},
        {"I16", "\xfe\xff", 2, -2, -2},
        {"U16", "\xfe\xff", 2, 65534, 65534},
        {"I32", "\x00\x00\x00\x80", 4, -2147483648.0f, INT32_MIN},
        {"U32", "\xff\xff\xff\xff", 4, 4294967296.0f, BEYOND},
        {"I64", "\xff\xff\xff\x7f\x00\x00\x00\x00", 8, 2147483648.0f, INT32_MAX},
        {"I64", "\x00\x00\x00\x80\x00\x00\x00\x00", 8, 2147483648.0f, BEYOND},
        {"I64", "\x00\x00\x00\x00\x00\x00\x00\x80", 8, -9223372036854775808.0f, BEYOND},
        {"U64", "\xff\xff\xff\xff\xff\xff\xff\xff", 8, 18446744073709551616.0f, BEYOND},
        {"U64", "\x07\x00\x00\x00\x00\x00\x00\x00", 8, 7, 7},
        {"F16", "\x00\x3c", 2, 1, BEYOND},
        {"BF16", "\xc0\xbf", 2, -1.5f, BEYOND},
        {"F32", "\x00\x00\x80\x3e", 4, 0.25f, BEYOND},
        {"F64", "\x9a\x99\x99\x99\x99\x99\xb9\x3f", 8, 0.1f, BEYOND},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char header[128];
        snprintf(header, sizeof header,
                 "{\"x\":{\"dtype\":\"%s\",\"shape\":[1],\"data_offsets\":[0,%zu]}}",
                 cases[i].dtype, cases[i].n);
        kiln_safetensors *file = open_file(make_file(header, cases[i].bytes, cases[i].n));
        const struct kiln_tensor *x = kiln_safetensors_at(file, 0);
        float real;
        int32_t whole;
        assert_int_equal(kiln_safetensors_read_f32(file, x, 0, 1, &real, &error), KILN_OK);
        if (real != cases[i].real)
            fail_msg("%s: %g, expected %g", cases[i].dtype, (double)real, (double)cases[i].real);
        enum kiln_status status = kiln_safetensors_read_i32(file, x, 0, 1, &whole, &error);
        assert_int_equal(status, cases[i].whole == BEYOND ? KILN_INPUT : KILN_OK);
        if (status == KILN_OK)
            assert_int_equal(whole, cases[i].whole);
        kiln_safetensors_close(&file);
    }
    kiln_safetensors *file = open_file(
        make_file("{\"x\":{\"dtype\":\"F8_E4M3\",\"shape\":[1],\"data_offsets\":[0,1]}}", "x", 1));
    float real;
    assert_int_equal(
        kiln_safetensors_read_f32(file, kiln_safetensors_at(file, 0), 0, 1, &real, &error),
        KILN_INPUT);
    kiln_safetensors_close(&file);
}

/* Against the definition (IEEE 754, 3.4) in double. */
static void every_half_is_right(void **unused)
{
    (void)unused;
    enum { N = 65536 };
    static unsigned char bytes[2 * N];
    static float values[N];
    for (int i = 0; i < N; i++) {
        bytes[2 * i] = (unsigned char)i;
        bytes[2 * i + 1] = (unsigned char)(i >> 8);
    }
    kiln_safetensors *file = open_file(
        make_file("{\"x\":{\"dtype\":\"F16\",\"shape\":[65536],\"data_offsets\":[0,131072]}}",
                  bytes, sizeof bytes));
    assert_int_equal(
        kiln_safetensors_read_f32(file, kiln_safetensors_at(file, 0), 0, N, values, &error),
        KILN_OK);
    for (int i = 0; i < N; i++) {
        int exponent = i >> 10 & 31, fraction = i & 1023;
        double sign = i & 0x8000 ? -1 : 1;
        double expected = exponent == 31  ? fraction ? NAN : sign * INFINITY
                          : exponent == 0 ? sign * ldexp(fraction, -24)
                                          : sign * ldexp(1024 + fraction, exponent - 25);
        if (isnan(expected))
            assert_true(isnan(values[i]));
        else
            assert_true(values[i] == expected && !signbit(values[i]) == !signbit(expected));
    }
    kiln_safetensors_close(&file);
}

#define TENSOR(name, dtype, shape, begin, end)                                                     \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" begin "," end   \
    "]}"

/* The error kinds of the reference's own tests, and our limits. */
static void bad_headers_are_refused(void **unused)
{
    (void)unused;
    static const struct {
        const char *header;
        size_t data_bytes;
        const char *message;
    } cases[] = {
        {"", 0, "no header"},
        {"[1]", 0, "no header"},
        {" {}", 0, "no header"},
        {"{", 0, "header: "},
        {"{}x", 0, "header: "},
        {"{\"a\":\"\xff\"}", 0, "header: "},
        {"{\"a\":1}", 0, "tensor a: expected an object"},
        {"{" TENSOR("a", "F32", "[1]", "0", "4") "," TENSOR("a", "F32", "[1]", "4", "8") "}", 8,
         "duplicate"},
        {"{" TENSOR("a", "F31", "[1]", "0", "4") "}", 4, "dtype is unknown"},
        {"{" TENSOR("a", "F32", "1", "0", "4") "}", 4, "shape is not a list"},
        {"{" TENSOR("a", "F32", "[-1]", "0", "4") "}", 4, "not a whole number"},
        {"{" TENSOR("a", "F32", "[1.0]", "0", "4") "}", 4, "not a whole number"},
        {"{" TENSOR("a", "F32", "[1,1,1,1,1,1,1,1,1]", "0", "4") "}", 4, "more than 8 dimensions"},
        {"{" TENSOR("a", "U8", "[4294967296,4294967296]", "0", "0") "}", 0, "too large"},
        {"{" TENSOR("a", "F64", "[2305843009213693952]", "0", "0") "}", 0, "too large"},
        {"{" TENSOR("a", "F32", "[2]", "0", "4") "}", 4, "do not match its shape"},
        {"{" TENSOR("a", "F32", "[1]", "4", "0") "}", 4, "reversed"},
        {"{" TENSOR("a", "F32", "[1]", "-4", "0") "}", 4, "not two whole numbers"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "not two whole"},
        {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "dtype is missing"},
        {"{" TENSOR("a", "F32", "[1]", "4", "8") "}", 8, "start at 4, expected 0"},
        {"{" TENSOR("a", "F32", "[2]", "0", "8") "," TENSOR("b", "F32", "[2]", "4", "12") "}", 12,
         "tensor b: its data start at 4, expected 8"},
        {"{" TENSOR("a", "F32", "[1]", "0", "4") "," TENSOR("b", "F32", "[1]", "8", "12") "}", 12,
         "tensor b: its data start at 8, expected 4"},
        {"{" TENSOR("a", "F32", "[1]", "0", "4") "," TENSOR("b", "F32", "[1]", "0", "4") "}", 4,
         "start at 0, expected 4"},
        {"{" TENSOR("a", "F32", "[1]", "0", "4") "}", 5, "has 5 bytes of data"},
        {"{" TENSOR("a", "F32", "[1]", "0", "4") "}", 3, "has 3 bytes of data"},
        {"{}", 1, "has 1 bytes of data"},
        {"{" TENSOR("a", "F32", "[1]", "9223372036854775804", "9223372036854775807") "}", 4, ""},
        {"{" TENSOR("a\\n", "F32", "[1]", "0", "4") "}", 4, "control character"},
        {"{\"__metadata__\":[]}", 0, "__metadata__ is not an object"},
        {"{\"__metadata__\":{\"k\":1}}", 0, "__metadata__ k is not a string"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused(make_file(cases[i].header, "0123456789ABCDEF", cases[i].data_bytes),
                       cases[i].message);
}

static void good_headers_are_accepted(void **unused)
{
    (void)unused;
    static const struct {
        const char *header;
        size_t data_bytes;
        int n;
    } cases[] = {
        {"{}", 0, 0},
        {"{}      ", 0, 0},
        {"{\"__metadata__\":{}}", 0, 0},
        {"{" TENSOR("b", "F32", "[1]", "4", "8") "," TENSOR("a", "I32", "[]", "0", "4") "}", 8, 2},
        {"{" TENSOR("a", "F32", "[0]", "0", "0") "," TENSOR("b", "U8", "[1]", "0", "1") "," TENSOR(
             "c", "F32", "[3,0]", "1", "1") "}",
         1, 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kiln_safetensors *file =
            open_file(make_file(cases[i].header, "0123456789ABCDEF", cases[i].data_bytes));
        assert_int_equal(kiln_safetensors_count(file), cases[i].n);
        kiln_safetensors_close(&file);
    }
}

static void bad_lengths_are_refused(void **unused)
{
    (void)unused;
    assert_refused(scratch_write("bad", "1234567", 7), "it has 7 bytes");
    assert_refused(scratch_write("bad", "", 0), "it has 0 bytes");
    assert_refused(scratch_write("bad", "\xff\xff\xff\xff\xff\xff\xff\xff{}", 10), "a header of");
    assert_refused(scratch_write("bad", "\x03\0\0\0\0\0\0\0{}", 10), "a header of 3 bytes");
    assert_refused(scratch_write("bad", "\0\0\0\0\0\0\0\0{}", 10), "no header");
    assert_refused(scratch_path("absent"), "absent: cannot open");
    assert_refused(scratch_path(""), "is a directory");
    enum { DEEP = 100000 };
    char *deep = malloc(DEEP + 6);
    memcpy(deep, "{\"a\":", 5);
    memset(deep + 5, '[', DEEP);
    deep[DEEP + 5] = '\0';
    assert_refused(make_file(deep, "", 0), "maximum parsing depth");
    free(deep);
    char *name = malloc(700);
    snprintf(name, 700, "{\"%0600d\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 1);
    assert_refused(make_file(name, "", 0), "longer than 512");
    free(name);
}

/* The file shrinks after it was opened: an error, not a signal. */
static void a_file_that_shrinks_is_an_error(void **unused)
{
    (void)unused;
    const char *path = scratch_path("shrinks");
    assert_int_equal(write_example(path), KILN_OK);
    kiln_safetensors *file = open_file(path);
    assert_int_equal(truncate(path, 100), 0);
    float out[6];
    assert_int_equal(
        kiln_safetensors_read_f32(file, kiln_safetensors_find(file, "weight"), 0, 6, out, &error),
        KILN_INPUT);
    kiln_safetensors_close(&file);
}

/* Writer mistakes: nothing appears at the path. */
static void assert_writer_fails(void (*use)(kiln_safetensors_writer *), const char *message)
{
    scratch_clear();
    kiln_safetensors_writer *writer;
    assert_int_equal(kiln_safetensors_writer_create(scratch_path("w"), &writer, &error), KILN_OK);
    use(writer);
    assert_int_equal(kiln_safetensors_writer_commit(&writer, &error), KILN_INPUT);
    assert_null(writer);
    assert_message(message);
    assert_int_equal(scratch_count(), 0);
}

static void declare(kiln_safetensors_writer *writer, const char *name, int64_t n)
{
    kiln_safetensors_writer_tensor(writer, name, KILN_TENSOR_F32, 1, &n);
}

static void use_twice(kiln_safetensors_writer *writer)
{
    declare(writer, "b", 0);
    declare(writer, "a", 0);
    declare(writer, "b", 0);
}

static void use_metadata_twice(kiln_safetensors_writer *writer)
{
    kiln_safetensors_writer_metadata(writer, "k", "1");
    kiln_safetensors_writer_metadata(writer, "k", "2");
}

static void use_reserved(kiln_safetensors_writer *writer)
{
    declare(writer, "__metadata__", 1);
}

static void use_too_few(kiln_safetensors_writer *writer)
{
    declare(writer, "a", 2);
    kiln_safetensors_writer_begin(writer);
    kiln_safetensors_writer_data(writer, "1234", 4);
}

static void use_too_many(kiln_safetensors_writer *writer)
{
    declare(writer, "a", 1);
    kiln_safetensors_writer_begin(writer);
    kiln_safetensors_writer_data(writer, "12345678", 8);
}

static void use_huge(kiln_safetensors_writer *writer)
{
    declare(writer, "a", INT64_MAX / 2);
}

static void use_late(kiln_safetensors_writer *writer)
{
    kiln_safetensors_writer_begin(writer);
    declare(writer, "a", 0);
}

static void writer_mistakes(void **unused)
{
    (void)unused;
    assert_writer_fails(use_twice, "b: declared twice");
    assert_writer_fails(use_metadata_twice, "k: declared twice");
    assert_writer_fails(use_reserved, "not a tensor's name");
    assert_writer_fails(use_too_few, "fewer bytes than were declared");
    assert_writer_fails(use_too_many, "more bytes than were declared");
    assert_writer_fails(use_huge, "too large");
    assert_writer_fails(use_late, "after the header");
}

static void a_full_disk_is_reported(void **unused)
{
    (void)unused;
    if (!kiln_file_exists("/dev/full"))
        skip();
    assert_int_equal(write_example("/dev/full"), KILN_MACHINE);
    assert_message("No space left");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(the_same_calls_give_the_same_bytes),
        cmocka_unit_test(every_dtype_is_converted),
        cmocka_unit_test(every_half_is_right),
        cmocka_unit_test(bad_headers_are_refused),
        cmocka_unit_test(good_headers_are_accepted),
        cmocka_unit_test(bad_lengths_are_refused),
        cmocka_unit_test(a_file_that_shrinks_is_an_error),
        cmocka_unit_test(writer_mistakes),
        cmocka_unit_test(a_full_disk_is_reported),
    };
    return cmocka_run_group_tests(tests, scratch_create, scratch_destroy);
}
