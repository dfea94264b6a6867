/* The synthetic data set "shapes". */
#include "core/run/shapes.h"

#include <math.h>

#include "core/api/rng.h"
#include "core/run/data_streams.h"

/* Only operations that IEEE 754 rounds exactly are used here, no sine or
 * cosine, so that every machine draws the same bytes. */

enum { SAMPLES = 4 /* a side of a pixel's grid for antialiasing */ };

static const double triangle[][2] = {{0, -1}, {0.866, 0.5}, {-0.866, 0.5}};
static const double star[][2] = {{0, -1},        {0.225, -0.309}, {0.951, -0.309}, {0.363, 0.118},
                                 {0.588, 0.809}, {0, 0.382},      {-0.588, 0.809}, {-0.363, 0.118},
                                 {-0.951, -0.309}, {-0.225, -0.309}};

/* Even-odd rule. */
static bool in_polygon(int n, const double (*vertex)[2], double x, double y)
{
    bool inside = false;
    for (int i = 0, j = n - 1; i < n; j = i++) {
        const double *a = vertex[i], *b = vertex[j];
        if ((a[1] > y) != (b[1] > y) && x < (b[0] - a[0]) * (y - a[1]) / (b[1] - a[1]) + a[0])
            inside = !inside;
    }
    return inside;
}

static bool in_box(double x, double y, double half_width, double half_height)
{
    return fabs(x) <= half_width && fabs(y) <= half_height;
}

static bool in_disc(double x, double y, double radius)
{
    return x * x + y * y <= radius * radius;
}

/* Each shape fits the unit disc. */
enum shape { DISC, RING, SQUARE, FRAME, TRIANGLE, CROSS, BAR, STAR, CRESCENT, PAIR };

static bool inside(enum shape shape, double x, double y)
{
    switch (shape) {
    case DISC:
        return in_disc(x, y, 1);
    case RING:
        return in_disc(x, y, 1) && !in_disc(x, y, 0.62);
    case SQUARE:
        return in_box(x, y, 0.7, 0.7);
    case FRAME:
        return in_box(x, y, 0.7, 0.7) && !in_box(x, y, 0.4, 0.4);
    case TRIANGLE:
        return in_polygon(3, triangle, x, y);
    case CROSS:
        return in_box(x, y, 0.95, 0.28) || in_box(x, y, 0.28, 0.95);
    case BAR:
        return in_box(x, y, 0.95, 0.25);
    case STAR:
        return in_polygon(10, star, x, y);
    case CRESCENT:
        return in_disc(x, y, 1) && !in_disc(x - 0.45, y, 0.8);
    case PAIR:
        return in_disc(x - 0.56, y, 0.42) || in_disc(x + 0.56, y, 0.42);
    }
    return false;
}

const char *kiln_shapes_class_name(int class_index)
{
    static const char *const names[KILN_SHAPES_CLASSES] = {
        "disc", "ring", "square", "frame", "triangle", "cross", "bar", "star", "crescent", "pair"};
    return class_index >= 0 && class_index < KILN_SHAPES_CLASSES ? names[class_index] : "";
}

struct drawing {
    enum shape shape;
    double x, y, radius; /* pixels */
    double cosine, sine; /* turn */
    double brightness;   /* 0..1 */
};

static double between(double low, double high, uint32_t word)
{
    return low + (high - low) * kiln_uniform(word);
}

static struct drawing choose(const uint32_t key[2], uint64_t index, int size)
{
    uint32_t a[4], b[4];
    const uint32_t low = (uint32_t)index, high = (uint32_t)(index >> 32);
    kiln_philox((const uint32_t[]){0, low, high, KILN_STREAM_SHAPES}, key, a);
    kiln_philox((const uint32_t[]){1, low, high, KILN_STREAM_SHAPES}, key, b);
    struct drawing drawing = {.shape = (enum shape)((uint64_t)a[0] * KILN_SHAPES_CLASSES >> 32)};
    drawing.radius = size * between(0.24, 0.42, a[1]);
    drawing.x = between(drawing.radius, size - drawing.radius, a[2]);
    drawing.y = between(drawing.radius, size - drawing.radius, a[3]);
    drawing.brightness = between(0.55, 1, b[0]);
    /* a turn of up to 33 degrees by the half-angle's tangent */
    double t = between(-0.3, 0.3, b[1]);
    drawing.cosine = (1 - t * t) / (1 + t * t);
    drawing.sine = 2 * t / (1 + t * t);
    return drawing;
}

static uint8_t pixel(const struct drawing *drawing, int column, int row)
{
    int hits = 0;
    for (int k = 0; k < SAMPLES * SAMPLES; k++) {
        double x = (column + (k % SAMPLES + 0.5) / SAMPLES - drawing->x) / drawing->radius;
        double y = (row + (k / SAMPLES + 0.5) / SAMPLES - drawing->y) / drawing->radius;
        hits += inside(drawing->shape, drawing->cosine * x + drawing->sine * y,
                       drawing->cosine * y - drawing->sine * x);
    }
    return (uint8_t)(255 * drawing->brightness * hits / (SAMPLES * SAMPLES) + 0.5);
}

void kiln_shapes_draw(uint64_t seed, int64_t first, int64_t n, int size, uint8_t *pictures,
                      int32_t *labels)
{
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    for (int64_t i = 0; i < n; i++) {
        struct drawing drawing = choose(key, (uint64_t)(first + i), size);
        labels[i] = (int32_t)drawing.shape;
        for (int y = 0; y < size; y++)
            for (int x = 0; x < size; x++) {
                /* beyond the disc that holds the shape there is nothing to sample */
                double reach = drawing.radius + 1;
                bool near = in_disc(x + 0.5 - drawing.x, y + 0.5 - drawing.y, reach);
                *pictures++ = near ? pixel(&drawing, x, y) : 0;
            }
    }
}
