/* Pictures: size changes, grids, plots. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/run/image_grid.h"

static struct kiln_error error;

static void limits(void **unused)
{
    (void)unused;
    struct kiln_image image;
    assert_int_equal(kiln_image_create(0, 1, 1, 0, &image, &error), KILN_INPUT);
    assert_int_equal(kiln_image_create(16385, 1, 1, 0, &image, &error), KILN_INPUT);
    assert_int_equal(kiln_image_create(16384, 16384, 1, 0, &image, &error), KILN_INPUT);
    assert_int_equal(kiln_image_create(1, 1, 2, 0, &image, &error), KILN_INPUT);
    assert_null(image.pixels);
    struct kiln_pictures pictures;
    assert_int_equal(kiln_pictures_create(0, 1, 1, 1, &pictures, &error), KILN_INPUT);
    assert_int_equal(kiln_pictures_create(INT64_MAX, 3, 2, 2, &pictures, &error), KILN_INPUT);
    assert_int_equal(kiln_pictures_create((int64_t)1 << 37, 1, 1, 1, &pictures, &error),
                     KILN_INPUT);
    assert_null(pictures.data);
}

static void fit(int64_t w, int64_t h, int64_t c, const uint8_t *pixels, int64_t channels,
                int64_t height, int64_t width, uint8_t *out)
{
    const struct kiln_image image = {w, h, c, (uint8_t *)pixels};
    assert_int_equal(kiln_image_fit(&image, channels, height, width, out, &error), KILN_OK);
}

static void small_growth_adds_a_border(void **unused)
{
    (void)unused;
    uint8_t out[36];
    fit(2, 2, 1, (const uint8_t[]){1, 2, 3, 4}, 1, 4, 4, out);
    assert_memory_equal(out, ((const uint8_t[]){0, 0, 0, 0, 0, 1, 2, 0, 0, 3, 4, 0, 0, 0, 0, 0}),
                        16);
    fit(2, 2, 1, (const uint8_t[]){1, 2, 3, 4}, 1, 6, 6, out);
    assert_int_equal(out[2 * 6 + 2], 1);
    assert_int_equal(out[3 * 6 + 3], 4);
    int sum = 0;
    for (int i = 0; i < 36; i++)
        sum += out[i];
    assert_int_equal(sum, 10);
}

static void shrinking_takes_the_mean(void **unused)
{
    (void)unused;
    uint8_t out[9];
    fit(4, 2, 1, (const uint8_t[]){0, 10, 20, 30, 20, 30, 40, 50}, 1, 1, 2, out);
    assert_int_equal(out[0], 15);
    assert_int_equal(out[1], 35);
    /* 3 to 2: each output covers 1.5 inputs */
    fit(3, 3, 1, (const uint8_t[]){0, 90, 0, 0, 90, 0, 0, 90, 0}, 1, 2, 2, out);
    for (int i = 0; i < 4; i++)
        assert_int_equal(out[i], 30);
}

static void growing_interpolates(void **unused)
{
    (void)unused;
    uint8_t out[144];
    /* half-pixel centres: as align_corners=False */
    fit(2, 2, 1, (const uint8_t[]){0, 100, 0, 100}, 1, 12, 12, out);
    static const uint8_t row[12] = {0, 0, 0, 8, 25, 42, 58, 75, 92, 100, 100, 100};
    for (int y = 0; y < 12; y++)
        assert_memory_equal(out + 12 * y, row, 12);
}

static void other_proportions_are_cropped_centred(void **unused)
{
    (void)unused;
    uint8_t out[4];
    fit(6, 2, 1, (const uint8_t[]){9, 9, 1, 2, 9, 9, 9, 9, 3, 4, 9, 9}, 1, 2, 2, out);
    assert_memory_equal(out, ((const uint8_t[]){1, 2, 3, 4}), 4);
}

static void channels_are_converted(void **unused)
{
    (void)unused;
    uint8_t out[3];
    fit(1, 1, 1, (const uint8_t[]){7}, 3, 1, 1, out);
    assert_memory_equal(out, ((const uint8_t[]){7, 7, 7}), 3);
    fit(1, 1, 3, (const uint8_t[]){255, 0, 0}, 1, 1, 1, out);
    assert_int_equal(out[0], 76);
    fit(1, 1, 3, (const uint8_t[]){0, 255, 0}, 1, 1, 1, out);
    assert_int_equal(out[0], 150);
    fit(1, 1, 3, (const uint8_t[]){255, 255, 255}, 1, 1, 1, out);
    assert_int_equal(out[0], 255);
    fit(1, 2, 3, (const uint8_t[]){1, 2, 3, 4, 5, 6}, 3, 2, 1, (uint8_t[6]){0});
}

static void constant_pictures_stay_constant(void **unused)
{
    (void)unused;
    static uint8_t pixels[37 * 53], out[101 * 101];
    memset(pixels, 201, sizeof pixels);
    for (int size = 1; size <= 101; size++) {
        fit(37, 53, 1, pixels, 1, size, size, out);
        for (int i = 0; i < size * size; i++)
            assert_int_equal(out[i], 201);
    }
}

static void sets_are_fitted(void **unused)
{
    (void)unused;
    struct kiln_pictures pictures;
    assert_int_equal(kiln_pictures_create(3, 1, 2, 2, &pictures, &error), KILN_OK);
    for (int i = 0; i < 12; i++)
        pictures.data[i] = (uint8_t)(i + 1);
    assert_int_equal(kiln_pictures_fit(&pictures, 3, 4, 0, &error), KILN_OK);
    assert_int_equal(pictures.n, 3);
    assert_int_equal(pictures.c, 3);
    assert_int_equal(pictures.h, 4);
    assert_int_equal(pictures.w, 2);
    kiln_pictures_finish(&pictures);
}

static void values_become_bytes(void **unused)
{
    (void)unused;
    assert_int_equal(kiln_image_byte(0), 0);
    assert_int_equal(kiln_image_byte(1), 255);
    assert_int_equal(kiln_image_byte(0.499f / 255), 0);
    assert_int_equal(kiln_image_byte(0.501f / 255), 1);
    assert_int_equal(kiln_image_byte(-1e30f), 0);
    assert_int_equal(kiln_image_byte(1e30f), 255);
    assert_int_equal(kiln_image_byte(NAN), 0);
    assert_int_equal(kiln_image_byte(INFINITY), 255);
    for (int i = 0; i < 256; i++)
        assert_int_equal(kiln_image_byte((float)i / 255.0f), i);
}

static void a_grid_has_every_picture_in_place(void **unused)
{
    (void)unused;
    enum { N = 5, C = 3, H = 2, W = 3, SCALE = 2, PADDING = 1, COLUMNS = 2 };
    float pictures[N][C][H][W];
    for (int i = 0; i < N * C * H * W; i++)
        (&pictures[0][0][0][0])[i] = (float)(i + 1) / 255.0f;
    const struct kiln_grid_options options = {COLUMNS, SCALE, PADDING, 250};
    struct kiln_image image;
    assert_int_equal(kiln_image_grid(&pictures[0][0][0][0], N, C, H, W, &options, &image, &error),
                     KILN_OK);
    assert_int_equal(image.width, COLUMNS * (W * SCALE + PADDING) + PADDING);
    assert_int_equal(image.height, 3 * (H * SCALE + PADDING) + PADDING);
    for (int64_t y = 0; y < image.height; y++)
        for (int64_t x = 0; x < image.width; x++)
            for (int c = 0; c < C; c++) {
                int64_t cell_x = x - PADDING, cell_y = y - PADDING;
                int64_t i =
                    cell_y / (H * SCALE + PADDING) * COLUMNS + cell_x / (W * SCALE + PADDING);
                int64_t px = cell_x % (W * SCALE + PADDING), py = cell_y % (H * SCALE + PADDING);
                bool inside =
                    cell_x >= 0 && cell_y >= 0 && px < W * SCALE && py < H * SCALE && i < N;
                int expected =
                    inside ? 1 + (int)(((i * C + c) * H + py / SCALE) * W + px / SCALE) : 250;
                assert_int_equal(image.pixels[(y * image.width + x) * C + c], expected);
            }
    kiln_image_finish(&image);
}

static void grids_by_default(void **unused)
{
    (void)unused;
    static float pictures[64 * 784];
    struct kiln_image image;
    const struct kiln_grid_options options = {0};
    assert_int_equal(kiln_image_grid(pictures, 64, 1, 28, 28, &options, &image, &error), KILN_OK);
    assert_int_equal(image.width, 8 * 58 + 2);
    assert_int_equal(image.height, image.width);
    kiln_image_finish(&image);
    assert_int_equal(kiln_image_grid(pictures, 10, 1, 28, 28, &options, &image, &error), KILN_OK);
    assert_int_equal(image.width, 4 * 58 + 2);
    assert_int_equal(image.height, 3 * 58 + 2);
    kiln_image_finish(&image);
    const struct kiln_grid_options wide = {.columns = 100, .padding = -1, .scale = 1};
    assert_int_equal(kiln_image_grid(pictures, 2, 1, 28, 28, &wide, &image, &error), KILN_OK);
    assert_int_equal(image.width, 56);
    assert_int_equal(image.height, 28);
    kiln_image_finish(&image);
    assert_int_equal(kiln_image_grid(pictures, 0, 1, 28, 28, &options, &image, &error), KILN_INPUT);
    assert_int_equal(kiln_image_grid(pictures, 1 << 20, 1, 256, 256, &options, &image, &error),
                     KILN_INPUT);
    assert_int_equal(kiln_image_grid(pictures, 1, 2, 28, 28, &options, &image, &error), KILN_INPUT);
    assert_null(image.pixels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits),
        cmocka_unit_test(small_growth_adds_a_border),
        cmocka_unit_test(shrinking_takes_the_mean),
        cmocka_unit_test(growing_interpolates),
        cmocka_unit_test(other_proportions_are_cropped_centred),
        cmocka_unit_test(channels_are_converted),
        cmocka_unit_test(constant_pictures_stay_constant),
        cmocka_unit_test(sets_are_fitted),
        cmocka_unit_test(values_become_bytes),
        cmocka_unit_test(a_grid_has_every_picture_in_place),
        cmocka_unit_test(grids_by_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
