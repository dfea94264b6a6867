/* Samples on the way as an animated PNG. */
#include <math.h>
#include <string.h>

#include "core/run/png_animate.h"
#include "core/run/sample_image.h"

enum { FRAME_MS = 80, LAST_FRAME_MS = 2000 };

/* Room around the points of the last frame, which most others are within. */
static void fix_range(const float *points, int64_t n, double range[4])
{
    double low[2] = {INFINITY, INFINITY}, high[2] = {-INFINITY, -INFINITY};
    for (int64_t i = 0; i < 2 * n; i++)
        if (isfinite(points[i])) {
            low[i % 2] = fmin(low[i % 2], points[i]);
            high[i % 2] = fmax(high[i % 2], points[i]);
        }
    double span = 1.3 * fmax(high[0] - low[0], high[1] - low[1]);
    if (!(span > 0) || !isfinite(span))
        span = 2;
    double x = low[0] <= high[0] ? (low[0] + high[0]) / 2 : 0;
    double y = low[1] <= high[1] ? (low[1] + high[1]) / 2 : 0;
    const double found[4] = {x - span / 2, x + span / 2, y - span / 2, y + span / 2};
    memcpy(range, found, sizeof found);
}

enum kiln_status kiln_samples_write_animation(const char *path, int n_frames, const float *frames,
                                              const float *samples, const struct kiln_shape *shape,
                                              int columns, int n_texts,
                                              const struct kiln_png_text *texts,
                                              struct kiln_error *error)
{
    kiln_png_animation *animation = NULL;
    double range[4] = {0};
    if (shape->n == 2)
        fix_range(samples, shape->d[0], range);
    enum kiln_status status = KILN_OK;
    for (int f = 0; f <= n_frames && !status; f++) {
        struct kiln_image image = {0};
        const float *frame = f < n_frames ? frames + f * kiln_shape_count(shape) : samples;
        status = kiln_samples_draw(frame, shape, columns, range, &image, error);
        if (!status && f == 0)
            status = kiln_png_animation_begin(path, image.width, image.height, image.channels,
                                              n_frames + 1, 0, n_texts, texts, &animation, error);
        if (!status)
            status = kiln_png_animation_frame(animation, &image,
                                              f < n_frames ? FRAME_MS : LAST_FRAME_MS, error);
        kiln_image_finish(&image);
    }
    if (!status)
        return kiln_png_animation_commit(&animation, error);
    kiln_png_animation_abort(&animation);
    return status;
}
