/* Plots: axes, marks and legends as pixels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants these first */
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/run/plot.h"
#include "core/run/plot_axis.h"
#include "core/run/plot_canvas.h"

static struct kiln_error error;

static bool is_colour(const struct kiln_image *image, int64_t x, int64_t y, const uint8_t rgb[3])
{
    return memcmp(image->pixels + (y * image->width + x) * 3, rgb, 3) == 0;
}

/* Pixels that are neither white nor grey, and their middle. */
static int coloured(const struct kiln_image *image, double *x, double *y)
{
    int n = 0;
    *x = *y = 0;
    for (int64_t j = 0; j < image->height; j++)
        for (int64_t i = 0; i < image->width; i++) {
            const uint8_t *p = image->pixels + (j * image->width + i) * 3;
            if (p[0] == p[1] && p[1] == p[2])
                continue;
            n++;
            *x += (double)i;
            *y += (double)j;
        }
    if (n) {
        *x /= n;
        *y /= n;
    }
    return n;
}

static int draw(const struct kiln_panel *panel, double *x, double *y)
{
    struct kiln_image image;
    assert_int_equal(kiln_plot_draw(1, &panel, 0, &image, &error), KILN_OK);
    int n = coloured(&image, x, y);
    kiln_image_finish(&image);
    return n;
}

static const uint8_t black[3] = {0, 0, 0}, white[3] = {255, 255, 255};

static struct kiln_canvas canvas_of(struct kiln_image *image, int64_t size)
{
    assert_int_equal(kiln_image_create(size, size, 3, 255, image, &error), KILN_OK);
    return (struct kiln_canvas){image, 0, 0, size, size};
}

static void marks_cover_their_pixels(void **unused)
{
    (void)unused;
    struct kiln_image image;
    struct kiln_canvas canvas = canvas_of(&image, 40);
    kiln_canvas_line(&canvas, 5, 10, 30, 10, 3, black);
    for (int64_t x = 5; x <= 30; x++)
        for (int64_t y = 0; y < 40; y++)
            assert_true(is_colour(&image, x, y, y >= 9 && y <= 11 ? black : white));
    kiln_canvas_disc(&canvas, 20, 30, 4, black);
    assert_true(is_colour(&image, 20, 27, black) && is_colour(&image, 23, 30, black));
    assert_true(is_colour(&image, 20, 24, white) && is_colour(&image, 24, 34, white));
    /* what lies outside is left out */
    kiln_canvas_line(&canvas, -1e6, 35, 1e6, 35, 1, black);
    assert_true(is_colour(&image, 0, 35, black) && is_colour(&image, 39, 35, black));
    canvas.left = 10;
    kiln_canvas_fill(&canvas, -5, 1, 100, 2, black);
    assert_true(is_colour(&image, 9, 1, white) && is_colour(&image, 10, 2, black));
    kiln_image_finish(&image);
}

static void letters_differ(void **unused)
{
    (void)unused;
    uint8_t seen[95][18 * 18 * 3];
    for (int c = ' '; c <= '~'; c++) {
        const char text[2] = {(char)c, 0};
        struct kiln_image image;
        const struct kiln_canvas canvas = canvas_of(&image, 18);
        kiln_canvas_text(&canvas, 0, 0, 2, text, black);
        memcpy(seen[c - ' '], image.pixels, sizeof seen[0]);
        for (int other = 0; other < c - ' '; other++)
            assert_memory_not_equal(seen[c - ' '], seen[other], sizeof seen[0]);
        kiln_image_finish(&image);
    }
    assert_int_equal(kiln_canvas_text_width(2, "ab"), 22);
    assert_int_equal(kiln_canvas_text_width(2, ""), 0);
}

static void points_stand_where_the_axes_say(void **unused)
{
    (void)unused;
    const float corner[] = {0, 0}, opposite[] = {1, 1}, bad[] = {NAN, 0, 0, INFINITY, -1, -1, 5, 5};
    struct kiln_series series = {.mark = KILN_MARK_POINTS, .n = 1, .data = corner, .size = 4};
    const struct kiln_panel panel = {
        .x_min = -1, .x_max = 2, .y_min = -1, .y_max = 2, .n_series = 1, .series = &series};
    double x0, y0, x1, y1;
    assert_true(draw(&panel, &x0, &y0) > 40);
    series.data = opposite;
    assert_true(draw(&panel, &x1, &y1) > 40);
    assert_true(x1 - x0 > 80 && y0 - y1 > 80); /* y grows upwards */
    /* not finite, and outside the axes: nothing but what the frame cuts */
    series.n = 4;
    series.data = bad;
    assert_true(draw(&panel, &x0, &y0) < 40);
    /* the range of the data puts both points inside */
    const float both[] = {0, 0, 1, 1};
    series.n = 2;
    series.data = both;
    const struct kiln_panel automatic = {.equal = true, .n_series = 1, .series = &series};
    assert_true(draw(&automatic, &x0, &y0) > 90);
    series.n = 0;
    draw(&automatic, &x0, &y0);
}

static void axes_are_linear_or_logarithmic(void **unused)
{
    (void)unused;
    const struct kiln_axis linear = {-1, 3, false, 10, 50},
                           logarithmic = {0.01, 100, true, 100, 20};
    assert_float_equal(kiln_axis_pixel(&linear, 1), 30, 1e-9);
    assert_float_equal(kiln_axis_pixel(&logarithmic, 1), 60, 1e-9);
    assert_float_equal(kiln_axis_pixel(&logarithmic, 10), 40, 1e-9);
    assert_true(kiln_axis_shows(&linear, -5) && !kiln_axis_shows(&linear, NAN));
    assert_false(kiln_axis_shows(&logarithmic, 0));
    const float data[] = {1, 0, 2, 1e-6f, 3, 10};
    const struct kiln_series series = {.mark = KILN_MARK_LINE, .n = 3, .data = data};
    const struct kiln_panel panel = {.log_y = true, .n_series = 1, .series = &series};
    struct kiln_axes axes = {.x = {.first = 0, .last = 100}, .y = {.first = 100, .last = 0}};
    assert_int_equal(kiln_axes_range(&panel, &axes, &error), KILN_OK);
    assert_true(axes.y.low > 1e-7 && axes.y.low < 1e-6 && axes.y.high > 10 && axes.y.high < 100);
    assert_true(axes.x.low > 1.5); /* the row that cannot be shown does not count */
}

static void equal_axes_have_equal_units(void **unused)
{
    (void)unused;
    const struct kiln_panel panel = {
        .x_min = 0, .x_max = 10, .y_min = 0, .y_max = 1, .equal = true};
    struct kiln_axes axes = {.x = {.first = 0, .last = 200}, .y = {.first = 100, .last = 0}};
    assert_int_equal(kiln_axes_range(&panel, &axes, &error), KILN_OK);
    assert_float_equal(axes.x.high - axes.x.low, 10, 1e-9);
    assert_float_equal(axes.y.high - axes.y.low, 5, 1e-9);
}

static void bars_stand_side_by_side(void **unused)
{
    (void)unused;
    const float low[] = {1, 1}, high[] = {2, 2};
    const char *const names[] = {"a", "b"};
    struct kiln_series series[] = {{.mark = KILN_MARK_BARS, .n = 2, .data = low},
                                   {.mark = KILN_MARK_BARS, .n = 2, .data = high}};
    const struct kiln_panel one = {.n_series = 1, .series = series, .bars = names},
                            two = {.n_series = 2, .series = series, .bars = names};
    double x, y;
    assert_int_equal(kiln_plot_bars(&two), 2);
    int alone = draw(&one, &x, &y), both = draw(&two, &x, &y);
    /* half as wide; the lower half as high: 1/2 1/2 + 1/2 */
    assert_true(alone > 10000);
    assert_float_equal(both, 0.75 * alone, 0.02 * alone);
}

static void pictures_fill_their_panel(void **unused)
{
    (void)unused;
    float pictures[4 * 3 * 2 * 2] = {0};
    for (int i = 0; i < 4; i++)
        pictures[i * 12] = pictures[i * 12 + 1] = pictures[i * 12 + 2] = pictures[i * 12 + 3] = 1;
    const struct kiln_series series = {
        .mark = KILN_MARK_PICTURES, .n = 4, .data = pictures, .c = 3, .h = 2, .w = 2};
    const struct kiln_panel panel = {.title = "red", .n_series = 1, .series = &series};
    double x, y;
    assert_true(draw(&panel, &x, &y) > 10000);
}

static void many_panels_make_rows(void **unused)
{
    (void)unused;
    const struct kiln_panel empty = {.title = "a title that is much too long for one panel alone",
                                     .x_label = "x",
                                     .y_label = "y"};
    const struct kiln_panel *panels[5] = {&empty, &empty, &empty, &empty, &empty};
    struct kiln_image one, five, two;
    assert_int_equal(kiln_plot_draw(1, panels, 0, &one, &error), KILN_OK);
    assert_int_equal(kiln_plot_draw(5, panels, 0, &five, &error), KILN_OK);
    assert_int_equal(kiln_plot_draw(5, panels, 2, &two, &error), KILN_OK);
    assert_int_equal(five.width, 3 * one.width);
    assert_int_equal(five.height, 2 * one.height);
    assert_int_equal(two.width, 2 * one.width);
    assert_int_equal(two.height, 3 * one.height);
    kiln_image_finish(&one);
    kiln_image_finish(&five);
    kiln_image_finish(&two);
}

static void wrong_ranges_are_refused(void **unused)
{
    (void)unused;
    struct kiln_image image;
    const struct kiln_panel backwards = {.x_min = 1, .x_max = -1},
                            infinite = {.y_min = -INFINITY, .y_max = 1},
                            negative = {.y_min = -1, .y_max = 1, .log_y = true};
    const struct kiln_panel *const panels[] = {&backwards, &infinite, &negative};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(kiln_plot_draw(1, &panels[i], 0, &image, &error), KILN_INPUT);
        assert_null(image.pixels);
    }
    assert_int_equal(kiln_plot_draw(0, NULL, 0, &image, &error), KILN_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(marks_cover_their_pixels),
        cmocka_unit_test(letters_differ),
        cmocka_unit_test(points_stand_where_the_axes_say),
        cmocka_unit_test(axes_are_linear_or_logarithmic),
        cmocka_unit_test(equal_axes_have_equal_units),
        cmocka_unit_test(bars_stand_side_by_side),
        cmocka_unit_test(pictures_fill_their_panel),
        cmocka_unit_test(many_panels_make_rows),
        cmocka_unit_test(wrong_ranges_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
