/*
 * Which step wrote each byte of a memory last: a sorted list of segments.
 */
#ifndef KILN_PLAN_WRITTEN_H
#define KILN_PLAN_WRITTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WRITTEN_NEVER = -2 };

/* Bytes start .. end - 1. */
struct span {
    int64_t start, end;
};

/* Start with {0}. */
struct written {
    struct written_segment {
        int64_t start, end;
        int step;
    } * segments; /* sorted, disjoint */
    size_t n, capacity;
};

/* Oldest and newest write in the span; *oldest is WRITTEN_NEVER if a byte was
 * not written. */
void written_by(const struct written *, struct span, int *oldest, int *newest);
/* The step writes the span. False when out of memory. */
bool written_record(struct written *, struct span, int step);
/* The step writes n spans, which are disjoint and ascend: in one pass over what
 * was written before, however many they are. False when out of memory. */
bool written_record_all(struct written *, const struct span *spans, size_t n, int step);
void written_finish(struct written *);

#endif
