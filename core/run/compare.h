/*
 * One training step on two devices, value by value.
 *
 * Unfused, each step of the second device starts from the first device's
 * values, so that a difference belongs to the node at which it appears. Fused,
 * with the layouts and algorithms that a run would take, each device goes its
 * own way and every value that both plans materialise is compared.
 */
#ifndef KILN_RUN_COMPARE_H
#define KILN_RUN_COMPARE_H

#include "core/run/experiment.h"

struct kiln_compared {
    const char *phase;
    bool fused;
    kiln_node node; /* of the phase's graph; 0: a state after the step */
    enum kiln_op op;
    const char *label; /* the part of the network, the state; "" = none */
    struct kiln_shape shape;
    /* Norm of the difference over the norm of the first device's value, over
     * elements that are finite on both; infinite if others differ. A sum whose
     * terms cancel is measured by a tenth of their norm. */
    double difference;
    /* The state's gradient is zero in exact arithmetic: what the optimiser made
     * of its roundings is no matter of the devices. */
    bool no_gradient;
};

/* Called for each value, in the order of the steps. The strings live during
 * the call. */
typedef void kiln_compare_fn(void *user, const struct kiln_compared *);

struct kiln_compare_options {
    const char *devices[2];
    bool no_tune;
};

/* Runs each phase once, on the first batch with the first values of the run's
 * seed, unfused and then fused. */
enum kiln_status kiln_compare(kiln_config *, const struct kiln_compare_options *, kiln_compare_fn *,
                              void *user, struct kiln_error *);

#endif
