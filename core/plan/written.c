/* Which step wrote each byte last. */
#include "core/plan/written.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/text.h"

static size_t find_segment(const struct written *m, int64_t at)
{
    size_t low = 0, high = m->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (m->segments[middle].end <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void written_by(const struct written *m, struct span span, int *oldest, int *newest)
{
    int64_t covered = span.start;
    *oldest = INT32_MAX;
    *newest = WRITTEN_NEVER;
    for (size_t i = find_segment(m, span.start); i < m->n && m->segments[i].start < span.end; i++) {
        if (m->segments[i].start > covered)
            *oldest = WRITTEN_NEVER;
        covered = m->segments[i].end;
        if (m->segments[i].step < *oldest)
            *oldest = m->segments[i].step;
        if (m->segments[i].step > *newest)
            *newest = m->segments[i].step;
    }
    if (covered < span.end)
        *oldest = WRITTEN_NEVER;
}

static bool insert(struct written *m, size_t at, struct written_segment segment)
{
    if (!kiln_array_grow(&m->segments, &m->capacity, m->n, sizeof segment))
        return false;
    memmove(&m->segments[at + 1], &m->segments[at], (m->n - at) * sizeof segment);
    m->segments[at] = segment;
    m->n++;
    return true;
}

bool written_record(struct written *m, struct span span, int step)
{
    size_t at = find_segment(m, span.start);
    if (at < m->n && m->segments[at].start < span.start) { /* cut off what lies before */
        struct written_segment before = m->segments[at];
        before.end = span.start;
        m->segments[at].start = span.start;
        if (!insert(m, at, before))
            return false;
        at++;
    }
    size_t end = at;
    while (end < m->n && m->segments[end].end <= span.end)
        end++;
    if (end < m->n && m->segments[end].start < span.end)
        m->segments[end].start = span.end;
    struct written_segment segment = {span.start, span.end, step};
    if (at && m->segments[at - 1].end == span.start && m->segments[at - 1].step == step) {
        m->segments[at - 1].end = span.end;
    } else if (end > at) {
        m->segments[at++] = segment;
    } else {
        return insert(m, at, segment);
    }
    memmove(&m->segments[at], &m->segments[end], (m->n - end) * sizeof segment);
    m->n -= end - at;
    return true;
}

void written_finish(struct written *m)
{
    free(m->segments);
    *m = (struct written){0};
}
