/* PNG files: pictures, text, animations, damage, full disks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <png.h>
#include <zlib.h>

#include "core/base/file.h"
#include "core/run/png_animate.h"
#include "core/run/png_read.h"
#include "core/run/png_write.h"
#include "scratch.h"

static struct kiln_error error;

static void assert_message(const char *part)
{
    if (!strstr(error.text, part))
        fail_msg("\"%s\" lacks \"%s\"", error.text, part);
}

/* A picture without repetition. */
static struct kiln_image make_image(int64_t width, int64_t height, int64_t channels, uint8_t seed)
{
    struct kiln_image image;
    assert_int_equal(kiln_image_create(width, height, channels, 0, &image, &error), KILN_OK);
    for (int64_t i = 0; i < width * height * channels; i++)
        image.pixels[i] = (uint8_t)(i * 7 + i / 11 + seed);
    return image;
}

static void assert_same_image(const struct kiln_image *a, const struct kiln_image *b)
{
    assert_int_equal(a->width, b->width);
    assert_int_equal(a->height, b->height);
    assert_int_equal(a->channels, b->channels);
    assert_memory_equal(a->pixels, b->pixels, (size_t)(a->width * a->height * a->channels));
}

static void what_is_written_reads_back(void **unused)
{
    (void)unused;
    const int64_t sizes[][2] = {{1, 1}, {28, 28}, {17, 5}, {300, 2}};
    for (int i = 0; i < 8; i++) {
        struct kiln_image image = make_image(sizes[i / 2][0], sizes[i / 2][1], i % 2 ? 3 : 1, 0);
        struct kiln_image read;
        const char *path = scratch_path("a.png");
        assert_int_equal(kiln_png_write(path, &image, 0, NULL, &error), KILN_OK);
        if (kiln_png_read(path, &read, &error))
            fail_msg("%s", error.text);
        assert_same_image(&image, &read);
        kiln_image_finish(&image);
        kiln_image_finish(&read);
    }
}

static char *file_bytes(const char *path, size_t *n)
{
    char *data;
    assert_int_equal(kiln_file_read(path, 1 << 20, &data, n, &error), KILN_OK);
    return data;
}

static bool holds(const char *data, size_t n, const char *part, size_t part_bytes)
{
    for (size_t i = 0; i + part_bytes <= n; i++)
        if (memcmp(data + i, part, part_bytes) == 0)
            return true;
    return false;
}

static void text_is_written_and_bytes_are_the_same(void **unused)
{
    (void)unused;
    struct kiln_image image = make_image(20, 20, 3, 0);
    const struct kiln_png_text texts[] = {{"Software", "kiln"},
                                          {"Comment", "caf\xC3\xA9 \xE2\x82\xAC\x01\nseed 7"}};
    size_t n, m;
    assert_int_equal(kiln_png_write(scratch_path("a.png"), &image, 2, texts, &error), KILN_OK);
    assert_int_equal(kiln_png_write(scratch_path("b.png"), &image, 2, texts, &error), KILN_OK);
    char *a = file_bytes(scratch_path("a.png"), &n), *b = file_bytes(scratch_path("b.png"), &m);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n);
    assert_true(holds(a, n, "tEXtSoftware\0kiln", 17));
    assert_true(holds(a, n, "tEXtComment\0caf\xE9 ? \nseed 7", 26));
    free(a);
    free(b);
    kiln_image_finish(&image);
}

/* Writes a PNG of any colour type with libpng's own simplified interface. */
static const char *write_format(png_uint_32 format, const void *pixels, const void *colours)
{
    png_image image = {.version = PNG_IMAGE_VERSION, .width = 2, .height = 1, .format = format};
    image.colormap_entries = 2;
    const char *path = scratch_path("format.png");
    assert_true(png_image_write_to_file(&image, path, 0, pixels, 0, colours));
    return path;
}

static void assert_reads(const char *path, int64_t channels, const uint8_t *pixels)
{
    struct kiln_image image;
    if (kiln_png_read(path, &image, &error))
        fail_msg("%s", error.text);
    assert_int_equal(image.channels, channels);
    assert_memory_equal(image.pixels, pixels, (size_t)(2 * channels));
    kiln_image_finish(&image);
}

static void other_colour_types_are_converted(void **unused)
{
    (void)unused;
    assert_reads(write_format(PNG_FORMAT_RGBA, "\x01\x02\x03\x80\x04\x05\x06\xff", NULL), 3,
                 (const uint8_t[]){1, 2, 3, 4, 5, 6});
    assert_reads(write_format(PNG_FORMAT_GA, "\x10\x00\x20\xff", NULL), 1,
                 (const uint8_t[]){0x10, 0x20});
    assert_reads(write_format(PNG_FORMAT_RGB_COLORMAP, "\x01\x00", "\x09\x08\x07\x03\x02\x01"), 3,
                 (const uint8_t[]){3, 2, 1, 9, 8, 7});
}


/* A PNG of given IHDR fields whose data are deflated zeros. */
static size_t make_png(unsigned char *out, uint32_t width, uint32_t height, int depth, int colour,
                       int interlace, size_t zeros)
{
    static const unsigned char signature[8] = {137, 'P', 'N', 'G', 13, 10, 26, 10};
    static unsigned char raw[4096], packed[4096];
    uLongf packed_bytes = sizeof packed;
    compress(packed, &packed_bytes, raw, zeros);
    unsigned char header[13] = {0, 0, 0, 0, 0, 0, 0, 0, (unsigned char)depth,
                                (unsigned char)colour, 0, 0, (unsigned char)interlace};
    for (int i = 0; i < 4; i++) {
        header[i] = (unsigned char)(width >> (24 - 8 * i));
        header[4 + i] = (unsigned char)(height >> (24 - 8 * i));
    }
    const struct {
        const char *name;
        const unsigned char *data;
        size_t n;
    } chunks[] = {{"IHDR", header, 13}, {"IDAT", packed, packed_bytes}, {"IEND", raw, 0}};
    memcpy(out, signature, 8);
    size_t n = 8;
    for (int i = 0; i < 3; i++) {
        unsigned char *start = out + n;
        for (int k = 0; k < 4; k++)
            start[k] = (unsigned char)(chunks[i].n >> (24 - 8 * k));
        memcpy(start + 4, chunks[i].name, 4);
        memcpy(start + 8, chunks[i].data, chunks[i].n);
        uLong crc = crc32(0, start + 4, (uInt)(4 + chunks[i].n));
        for (int k = 0; k < 4; k++)
            start[8 + chunks[i].n + (size_t)k] = (unsigned char)(crc >> (24 - 8 * k));
        n += 12 + chunks[i].n;
    }
    return n;
}

static void assert_refused(const void *data, size_t n, const char *message)
{
    struct kiln_image image;
    assert_int_equal(kiln_png_decode(data, n, "x.png", &image, &error), KILN_INPUT);
    assert_null(image.pixels);
    assert_message("x.png: ");
    assert_message(message);
}

static void depths_and_interlacing_are_read(void **unused)
{
    (void)unused;
    unsigned char png[4096];
    const struct {
        int depth, colour, interlace;
        size_t zeros;
    } cases[] = {{1, 0, 0, 8}, {16, 0, 0, 36}, {16, 2, 0, 100}, {8, 2, 1, 60}, {4, 0, 1, 20}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = make_png(png, 4, 4, cases[i].depth, cases[i].colour, cases[i].interlace,
                            cases[i].zeros);
        struct kiln_image image;
        if (kiln_png_decode(png, n, "x", &image, &error))
            fail_msg("case %zu: %s", i, error.text);
        assert_int_equal(image.width * 10 + image.height, 44);
        for (int64_t k = 0; k < 16 * image.channels; k++)
            assert_int_equal(image.pixels[k], 0);
        kiln_image_finish(&image);
    }
}

static void absurd_sizes_are_refused(void **unused)
{
    (void)unused;
    unsigned char png[4096];
    assert_refused(png, make_png(png, 0, 1, 8, 0, 0, 8), "bad PNG");
    assert_refused(png, make_png(png, 0x7FFFFFFF, 0x7FFFFFFF, 8, 2, 0, 8), "bad PNG");
    assert_refused(png, make_png(png, 16385, 1, 8, 0, 0, 8), "bad PNG");
    assert_refused(png, make_png(png, 16384, 16384, 8, 0, 0, 8), "expected sides of 1..16384");
    assert_refused(png, make_png(png, 4, 4, 3, 0, 0, 8), "bad PNG"); /* depth */
}

static void damage_is_refused(void **unused)
{
    (void)unused;
    struct kiln_image image = make_image(16, 16, 1, 0);
    size_t n;
    const char *path = scratch_path("a.png");
    assert_int_equal(kiln_png_write(path, &image, 0, NULL, &error), KILN_OK);
    kiln_image_finish(&image);
    char *data = file_bytes(path, &n);
    for (size_t cut = 0; cut < n; cut++)
        assert_refused(data, cut, cut < 8 ? "not a PNG file" : "bad PNG");
    for (size_t i = 0; i < n; i++) { /* any flipped byte: an error or a picture */
        data[i] ^= 0x10;
        struct kiln_image read;
        enum kiln_status status = kiln_png_decode(data, n, "x.png", &read, &error);
        assert_true(status == KILN_OK || status == KILN_INPUT);
        kiln_image_finish(&read);
        data[i] ^= 0x10;
    }
    free(data);
    assert_refused("hello, world, this is text", 26, "not a PNG file");
    struct kiln_image none;
    assert_int_equal(kiln_png_read(scratch_path(""), &none, &error), KILN_INPUT);
    assert_int_equal(kiln_png_read(scratch_path("absent"), &none, &error), KILN_INPUT);
}

static void a_full_disk_is_reported(void **unused)
{
    (void)unused;
    if (!kiln_file_exists("/dev/full"))
        skip();
    const int64_t sizes[] = {4, 400}; /* seen at the flush, seen on the way */
    for (int i = 0; i < 2; i++) {
        struct kiln_image image = make_image(sizes[i], sizes[i], 3, 0);
        assert_int_equal(kiln_png_write("/dev/full", &image, 0, NULL, &error), KILN_MACHINE);
        assert_message("No space left on device");
        assert_true(kiln_file_exists("/dev/full"));
        kiln_image_finish(&image);
    }
    struct kiln_image image = make_image(4, 4, 1, 0);
    scratch_clear();
    assert_int_equal(kiln_png_write(scratch_path("no/a.png"), &image, 0, NULL, &error), KILN_INPUT);
    assert_int_equal(scratch_count(), 0);
    kiln_image_finish(&image);
}

static uint32_t get_u32(const unsigned char *data)
{
    return (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
}

/* Undoes filter "up" of one deflated frame and compares. */
static void assert_frame(const unsigned char *data, size_t n, const struct kiln_image *image)
{
    size_t row = (size_t)(image->width * image->channels), raw_bytes = (row + 1) * image->height;
    unsigned char *raw = malloc(raw_bytes);
    uLongf got = raw_bytes;
    assert_int_equal(uncompress(raw, &got, data, n), Z_OK);
    assert_int_equal(got, raw_bytes);
    for (int64_t y = 0; y < image->height; y++)
        for (size_t x = 0; x < row; x++) {
            unsigned char *value = raw + (size_t)y * (row + 1) + 1 + x;
            if (y)
                *value = (unsigned char)(*value + value[-(ptrdiff_t)(row + 1)]);
            assert_int_equal(*value, image->pixels[(size_t)y * row + x]);
        }
    free(raw);
}

static void an_animation_has_every_frame(void **unused)
{
    (void)unused;
    enum { FRAMES = 3 };
    const char *path = scratch_path("an.png");
    struct kiln_image frame[FRAMES], first;
    kiln_png_animation *animation;
    assert_int_equal(
        kiln_png_animation_begin(path, 12, 9, 3, FRAMES, 0, 0, NULL, &animation, &error), KILN_OK);
    for (int i = 0; i < FRAMES; i++) {
        frame[i] = make_image(12, 9, 3, (uint8_t)(i * 50));
        assert_int_equal(kiln_png_animation_frame(animation, &frame[i], 100, &error), KILN_OK);
    }
    assert_int_equal(kiln_png_animation_commit(&animation, &error), KILN_OK);
    assert_int_equal(kiln_png_read(path, &first, &error), KILN_OK);
    assert_same_image(&first, &frame[0]);
    size_t n;
    char *file = file_bytes(path, &n);
    uint32_t sequence = 0;
    int seen = 0;
    for (size_t at = 8; at < n;) {
        const unsigned char *chunk = (const unsigned char *)file + at;
        uint32_t bytes = get_u32(chunk);
        if (memcmp(chunk + 4, "acTL", 4) == 0)
            assert_int_equal(get_u32(chunk + 8), FRAMES);
        if (memcmp(chunk + 4, "fcTL", 4) == 0)
            assert_int_equal(get_u32(chunk + 8), sequence++);
        if (memcmp(chunk + 4, "IDAT", 4) == 0)
            assert_frame(chunk + 8, bytes, &frame[seen++]);
        if (memcmp(chunk + 4, "fdAT", 4) == 0) {
            assert_int_equal(get_u32(chunk + 8), sequence++);
            assert_frame(chunk + 12, bytes - 4, &frame[seen++]);
        }
        at += 12 + bytes;
    }
    assert_int_equal(seen, FRAMES);
    free(file);
    kiln_image_finish(&first);
    for (int i = 0; i < FRAMES; i++)
        kiln_image_finish(&frame[i]);
}

static void a_broken_animation_leaves_nothing(void **unused)
{
    (void)unused;
    scratch_clear();
    struct kiln_image image = make_image(4, 4, 1, 0);
    kiln_png_animation *animation;
    const char *path = scratch_path("an.png");
    assert_int_equal(kiln_png_animation_begin(path, 4, 4, 1, 2, 0, 0, NULL, &animation, &error),
                     KILN_OK);
    assert_int_equal(kiln_png_animation_frame(animation, &image, 10, &error), KILN_OK);
    assert_int_equal(kiln_png_animation_commit(&animation, &error), KILN_INPUT);
    assert_message("1 frames of 2 are missing");
    assert_null(animation);
    assert_int_equal(kiln_png_animation_begin(path, 5, 4, 1, 1, 0, 0, NULL, &animation, &error),
                     KILN_OK);
    assert_int_equal(kiln_png_animation_frame(animation, &image, 10, &error), KILN_INPUT);
    kiln_png_animation_abort(&animation);
    assert_int_equal(kiln_png_animation_begin(path, 5, 4, 2, 1, 0, 0, NULL, &animation, &error),
                     KILN_INPUT);
    assert_int_equal(kiln_png_animation_begin(path, 0, 4, 1, 1, 0, 0, NULL, &animation, &error),
                     KILN_INPUT);
    assert_int_equal(kiln_png_animation_begin(path, 5, 4, 1, 0, 0, 0, NULL, &animation, &error),
                     KILN_INPUT);
    assert_int_equal(scratch_count(), 0);
    kiln_image_finish(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(text_is_written_and_bytes_are_the_same),
        cmocka_unit_test(other_colour_types_are_converted),
        cmocka_unit_test(depths_and_interlacing_are_read),
        cmocka_unit_test(absurd_sizes_are_refused),
        cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(a_full_disk_is_reported),
        cmocka_unit_test(an_animation_has_every_frame),
        cmocka_unit_test(a_broken_animation_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, scratch_create, scratch_destroy);
}
