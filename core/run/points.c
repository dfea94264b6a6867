/* The points data set: a mixture of 2-D Gaussians. */
#include "core/run/points.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/api/rng.h"
#include "core/run/data_streams.h"

enum { MIN_FIELDS = 4, MAX_FIELDS = 5 };

/* Reads the numbers of one component; returns their count, -1 if something
 * else stands there. *text ends at the separator or the end. */
static int read_fields(const char **text, double fields[MAX_FIELDS + 1])
{
    int n = 0;
    for (;;) {
        *text += strspn(*text, " \t\r\n");
        if (**text == '\0' || **text == '|')
            return n;
        char *end;
        double value = strtod(*text, &end);
        if (end == *text || !isfinite(value) || n > MAX_FIELDS)
            return -1;
        fields[n++] = value;
        *text = end;
    }
}

enum kiln_status kiln_mixture_parse(const char *text, struct kiln_mixture *mixture,
                                    struct kiln_error *error)
{
    *mixture = (struct kiln_mixture){0};
    double total = 0;
    for (;; text++) {
        int i = mixture->n;
        double field[MAX_FIELDS + 1];
        if (i == KILN_MIXTURE_MAX)
            return kiln_fail(error, KILN_INPUT, "mixture: more than %d components",
                             KILN_MIXTURE_MAX);
        int n = read_fields(&text, field);
        if (n < MIN_FIELDS || n > MAX_FIELDS)
            return kiln_fail(error, KILN_INPUT,
                             "mixture: component %d: expected \"weight mean_x mean_y sigma\" or "
                             "\"weight mean_x mean_y sigma_x sigma_y\"",
                             i + 1);
        if (!(field[0] > 0 && field[3] > 0 && field[n - 1] > 0))
            return kiln_fail(error, KILN_INPUT,
                             "mixture: component %d: weight and sigma must be above 0", i + 1);
        total += mixture->weight[i] = field[0];
        for (int axis = 0; axis < 2; axis++) {
            mixture->mean[i][axis] = field[1 + axis];
            mixture->sigma[i][axis] = field[n == MAX_FIELDS ? 3 + axis : 3];
        }
        mixture->n++;
        if (*text == '\0')
            break;
    }
    for (int i = 0; i < mixture->n; i++)
        mixture->weight[i] /= total;
    return KILN_OK;
}

static int choose(const struct kiln_mixture *mixture, double uniform)
{
    int i = 0;
    for (; i < mixture->n - 1; i++) {
        uniform -= mixture->weight[i];
        if (uniform < 0)
            break;
    }
    return i;
}

void kiln_mixture_draw(const struct kiln_mixture *mixture, uint64_t seed, int64_t first, int64_t n,
                       float *points, int32_t *component)
{
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    for (int64_t i = 0; i < n; i++) {
        uint64_t index = (uint64_t)(first + i);
        uint32_t word[4];
        kiln_philox((const uint32_t[]){0, (uint32_t)index, (uint32_t)(index >> 32),
                                       KILN_STREAM_POINTS},
                    key, word);
        int k = choose(mixture, kiln_uniform(word[0]));
        double radius = sqrt(-2 * log(kiln_uniform(word[2])));
        double angle = 6.283185307179586 * kiln_uniform(word[3]);
        points[2 * i] = (float)(mixture->mean[k][0] + mixture->sigma[k][0] * radius * cos(angle));
        points[2 * i + 1] =
            (float)(mixture->mean[k][1] + mixture->sigma[k][1] * radius * sin(angle));
        if (component)
            component[i] = k;
    }
}
