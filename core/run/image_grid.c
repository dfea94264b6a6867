/* A grid of pictures as one image. */
#include "core/run/image_grid.h"

#include <string.h>

enum { DEFAULT_PADDING = 2, READABLE_HEIGHT = 56, MAX_DEFAULT_SCALE = 8, MAX_OPTION = 4096 };

uint8_t kiln_image_byte(float value)
{
    if (!(value > 0)) /* NaN too */
        return 0;
    return value >= 1 ? 255 : (uint8_t)(value * 255.0f + 0.5f);
}

/* Where everything lies. */
struct plan {
    int64_t columns, rows, scale, padding, width, height;
};

static int64_t square_columns(int64_t n)
{
    int64_t columns = 1;
    while (columns * columns < n)
        columns++;
    return columns;
}

static int64_t readable_scale(int64_t height)
{
    int64_t scale = (READABLE_HEIGHT + height - 1) / height;
    return scale < MAX_DEFAULT_SCALE ? scale : MAX_DEFAULT_SCALE;
}

/* All quantities are small enough that no product overflows. */
static bool make_plan(int64_t n, int64_t h, int64_t w, const struct kiln_grid_options *options,
                      struct plan *plan)
{
    const int64_t most = KILN_IMAGE_MAX_PIXELS;
    if (n < 1 || n > most || h < 1 || h > KILN_IMAGE_MAX_SIDE || w < 1 || w > KILN_IMAGE_MAX_SIDE)
        return false;
    if (options->columns < 0 || options->scale < 0 || options->scale > MAX_OPTION ||
        options->padding > MAX_OPTION)
        return false;
    plan->columns = options->columns ? options->columns : square_columns(n);
    plan->columns = plan->columns < n ? plan->columns : n;
    plan->rows = (n + plan->columns - 1) / plan->columns;
    plan->scale = options->scale ? options->scale : readable_scale(h);
    plan->padding = options->padding ? options->padding : DEFAULT_PADDING;
    plan->padding = plan->padding < 0 ? 0 : plan->padding;
    plan->width = plan->columns * (w * plan->scale + plan->padding) + plan->padding;
    plan->height = plan->rows * (h * plan->scale + plan->padding) + plan->padding;
    return true;
}

/* picture [c, h, w], its top left corner at (left, top) */
static void draw(const float *picture, int64_t c, int64_t h, int64_t w, int64_t scale,
                 struct kiln_image *image, int64_t left, int64_t top)
{
    for (int64_t y = 0; y < h * scale; y++) {
        uint8_t *out = image->pixels + ((top + y) * image->width + left) * c;
        for (int64_t x = 0; x < w * scale; x++)
            for (int64_t channel = 0; channel < c; channel++)
                *out++ = kiln_image_byte(picture[(channel * h + y / scale) * w + x / scale]);
    }
}

enum kiln_status kiln_image_grid(const float *pictures, int64_t n, int64_t c, int64_t h, int64_t w,
                                 const struct kiln_grid_options *options, struct kiln_image *image,
                                 struct kiln_error *error)
{
    *image = (struct kiln_image){0};
    struct plan plan;
    if (!make_plan(n, h, w, options, &plan))
        return kiln_fail(error, KILN_INPUT, "a grid of %lld pictures of %lld x %lld is too large",
                         (long long)n, (long long)h, (long long)w);
    enum kiln_status status =
        kiln_image_create(plan.width, plan.height, c, options->background, image, error);
    for (int64_t i = 0; i < n && !status; i++)
        draw(pictures + i * c * h * w, c, h, w, plan.scale, image,
             plan.padding + i % plan.columns * (w * plan.scale + plan.padding),
             plan.padding + i / plan.columns * (h * plan.scale + plan.padding));
    return status;
}
