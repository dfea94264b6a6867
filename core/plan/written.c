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

/* Appends to a list that has room; what touches the end and has its step joins it. */
static void append(struct written *m, struct written_segment segment)
{
    struct written_segment *last = m->n ? &m->segments[m->n - 1] : NULL;
    if (segment.start >= segment.end)
        return;
    if (last && last->end == segment.start && last->step == segment.step)
        last->end = segment.end;
    else
        m->segments[m->n++] = segment;
}

bool written_record_all(struct written *m, const struct span *spans, size_t n, int step)
{
    struct written merged = {.capacity = m->n + 2 * n}; /* a span cuts a segment once at most */
    merged.segments = malloc((merged.capacity + 1) * sizeof *merged.segments);
    if (!merged.segments)
        return false;
    size_t next = 0;
    int64_t covered = INT64_MIN; /* by the spans so far */
    for (size_t i = 0; i < m->n; i++) {
        struct written_segment rest = m->segments[i];
        for (;; next++) {
            rest.start = rest.start > covered ? rest.start : covered;
            if (next == n || spans[next].start >= rest.end)
                break;
            append(&merged, (struct written_segment){rest.start, spans[next].start, rest.step});
            append(&merged, (struct written_segment){spans[next].start, spans[next].end, step});
            covered = spans[next].end;
        }
        append(&merged, rest);
    }
    for (; next < n; next++)
        append(&merged, (struct written_segment){spans[next].start, spans[next].end, step});
    free(m->segments);
    *m = merged;
    return true;
}

void written_finish(struct written *m)
{
    free(m->segments);
    *m = (struct written){0};
}
