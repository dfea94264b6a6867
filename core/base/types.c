/* Element types and shapes. */
#include "core/api/types.h"

#include <stdio.h>

struct kiln_shape kiln_shape_make(int n, const int64_t *extents)
{
    struct kiln_shape shape = {.n = n < KILN_MAX_DIMS ? n : KILN_MAX_DIMS};
    for (int i = 0; i < shape.n; i++)
        shape.d[i] = extents[i];
    if (n > KILN_MAX_DIMS)
        shape.d[0] = 0;
    return shape;
}

int64_t kiln_shape_count(const struct kiln_shape *shape)
{
    const int64_t limit = (int64_t)1 << 47;
    int64_t count = 1;
    if (shape->n < 0 || shape->n > KILN_MAX_DIMS)
        return -1;
    for (int i = 0; i < shape->n; i++) {
        if (shape->d[i] < 1 || shape->d[i] > limit / count)
            return -1;
        count *= shape->d[i];
    }
    return count;
}

bool kiln_shape_equal(const struct kiln_shape *a, const struct kiln_shape *b)
{
    if (a->n != b->n)
        return false;
    for (int i = 0; i < a->n; i++)
        if (a->d[i] != b->d[i])
            return false;
    return true;
}

char *kiln_shape_text(const struct kiln_shape *shape, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "[");
    for (int i = 0; i < shape->n && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%lld", i ? ", " : "",
                                 (long long)shape->d[i]);
    if (used < size)
        snprintf(text + used, size - used, "]");
    return text;
}

size_t kiln_dtype_bytes(enum kiln_dtype dtype)
{
    static const size_t bytes[KILN_DTYPE_COUNT] = {4, 4, 1, 2};
    return bytes[dtype];
}

const char *kiln_dtype_name(enum kiln_dtype dtype)
{
    static const char *const names[KILN_DTYPE_COUNT] = {"f32", "i32", "u8", "f16"};
    return names[dtype];
}
