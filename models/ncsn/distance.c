/* Technique 1: the largest pairwise distance of a data set, exactly. */
#include <math.h>
#include <stdlib.h>

#include "models/ncsn/ladder.h"

/* A row and its distance to the mean of all. */
struct ranked {
    int64_t row;
    double radius;
};

static int by_radius(const void *a, const void *b)
{
    double x = ((const struct ranked *)a)->radius, y = ((const struct ranked *)b)->radius;
    return (x < y) - (x > y);
}

struct rows {
    const uint8_t *bytes;
    const float *floats;
    int64_t n, d;
};

static double at(const struct rows *rows, int64_t i, int64_t j)
{
    return rows->bytes ? rows->bytes[i * rows->d + j] / 255.0 : rows->floats[i * rows->d + j];
}

static double squared_distance(const struct rows *rows, int64_t a, int64_t b)
{
    if (rows->bytes) { /* exact in integers, and fast */
        const uint8_t *x = rows->bytes + a * rows->d, *y = rows->bytes + b * rows->d;
        int64_t sum = 0;
        for (int64_t start = 0; start < rows->d; start += 16384) {
            int64_t end = start + 16384 < rows->d ? start + 16384 : rows->d;
            int32_t part = 0;
            for (int64_t j = start; j < end; j++) {
                int32_t difference = (int32_t)x[j] - y[j];
                part += difference * difference;
            }
            sum += part;
        }
        return (double)sum / (255.0 * 255.0);
    }
    double sum = 0;
    for (int64_t j = 0; j < rows->d; j++) {
        double difference = (double)rows->floats[a * rows->d + j] - rows->floats[b * rows->d + j];
        sum += difference * difference;
    }
    return sum;
}

static void rank(const struct rows *rows, double *mean, struct ranked *ranked)
{
    for (int64_t j = 0; j < rows->d; j++)
        mean[j] = 0;
    for (int64_t i = 0; i < rows->n; i++)
        for (int64_t j = 0; j < rows->d; j++)
            mean[j] += at(rows, i, j) / (double)rows->n;
    for (int64_t i = 0; i < rows->n; i++) {
        double sum = 0;
        for (int64_t j = 0; j < rows->d; j++) {
            double difference = at(rows, i, j) - mean[j];
            sum += difference * difference;
        }
        ranked[i] = (struct ranked){i, sqrt(sum)};
    }
    qsort(ranked, (size_t)rows->n, sizeof *ranked, by_radius);
}

double largest_distance(const void *data, bool bytes, int64_t n, int64_t d)
{
    struct rows rows = {bytes ? data : NULL, bytes ? NULL : data, n, d};
    struct ranked *ranked = malloc((size_t)n * sizeof *ranked);
    double *mean = malloc((size_t)d * sizeof *mean), best = 0;
    if (!ranked || !mean) {
        free(ranked);
        free(mean);
        return -1;
    }
    rank(&rows, mean, ranked);
    /* two points are no further apart than the sum of their radii */
    for (int64_t i = 0; i < n && 2 * ranked[i].radius > sqrt(best); i++)
        for (int64_t j = i + 1; j < n && ranked[i].radius + ranked[j].radius > sqrt(best); j++) {
            double distance = squared_distance(&rows, ranked[i].row, ranked[j].row);
            best = distance > best ? distance : best;
        }
    free(ranked);
    free(mean);
    return sqrt(best);
}
