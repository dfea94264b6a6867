/* Labels of samples in a grid. */
#include "core/run/sample.h"

enum { MAX_COLUMNS = 40 };

void kiln_sample_labels(int64_t n, int64_t each, int64_t n_classes, int32_t *label)
{
    for (int64_t i = 0; i < n; i++)
        label[i] = (int32_t)(i / each % n_classes);
}

int kiln_sample_class_columns(int64_t each)
{
    if (each == 1)
        return 0;
    for (int columns = MAX_COLUMNS; columns >= MAX_COLUMNS / 4; columns--)
        if (each % columns == 0)
            return columns;
    return (int)(each < MAX_COLUMNS ? each : MAX_COLUMNS);
}
