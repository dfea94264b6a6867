/*
 * The models of the benchmark: shipped configs as fixed work.
 */
#ifndef KILN_BENCH_MODELS_H
#define KILN_BENCH_MODELS_H

#include <stdbool.h>
#include <stdint.h>

#define KILN_MODEL_CASE_SETS 8

/*
 * Trains on the built-in pictures, so that nothing needs to be installed, and
 * samples few pictures in few steps.
 */
struct kiln_model_case {
    const char *name, *config;               /* file in the folder of configs */
    const char *sets[KILN_MODEL_CASE_SETS];  /* "section.key=value", as --set; NULL ends */
    int gate_steps;                          /* training steps before the quality gate */
    double reference;                        /* the first loss after them, on any device */
    double tolerance;                        /* relative */
    bool quick;                              /* part of the quick benchmark */
};

extern const struct kiln_model_case kiln_model_cases[];
extern const int kiln_n_model_cases;

/* The assignments that all cases share, before their own; NULL ends. */
extern const char *const kiln_model_case_sets[];

#endif
