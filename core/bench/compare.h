/*
 * Two results of the benchmark beside each other.
 */
#ifndef KILN_BENCH_COMPARE_H
#define KILN_BENCH_COMPARE_H

#include "core/bench/suite.h"

/* One time that both results have, or that only the first has. */
struct kiln_suite_pair {
    char name[96];    /* "conv 64->64 28x28 k3", "vae: training step" */
    char device[136]; /* "cpu", or "cpu, opencl:0" where one is compared with the other */
    double before, after; /* seconds; 0: it failed there */
    double ratio;         /* after over before; 0 if one is missing */
    bool slower;          /* beyond the threshold, or it failed in the second only */
    const char *note;     /* the second's failure, of its suite; "" */
};

struct kiln_suite_comparison {
    size_t n, capacity;
    struct kiln_suite_pair *pairs;
    int slower;
    double mean_ratio; /* geometric, over the pairs that have both; 0 without any */
};

/*
 * Pairs entries by name and device; where each result has one device only,
 * their names need not agree. threshold >= 0: a ratio above 1 + threshold is
 * slower. KILN_INPUT for results of different suites or without a common
 * entry. The suites must outlive the comparison, which the caller finishes.
 */
enum kiln_status kiln_suite_compare(const struct kiln_suite *a, const struct kiln_suite *b,
                                    double threshold, struct kiln_suite_comparison *,
                                    struct kiln_error *);
void kiln_suite_comparison_finish(struct kiln_suite_comparison *);

#endif
