/* What the families of conformance cases share. */
#ifndef KILN_TEST_CASES_INTERNAL_H
#define KILN_TEST_CASES_INTERNAL_H

#include "core/api/nn.h"
#include "tests/lib/cases.h"

struct case_sink {
    void (*visit)(void *user, const struct kiln_case *);
    void *user;
};

/* Names the case (and sets one run if it says none) and hands it on. */
void case_emit(const struct case_sink *, struct kiln_case, const char *format, ...)
    KILN_PRINTF(3, 4);
/* "[2, 3]" for a name; up to three in one expression. */
const char *case_shape(struct kiln_shape);

static inline kiln_node case_in(kiln_graph *g, const char *name, struct kiln_shape shape)
{
    return kiln_input(g, name, KILN_F32, shape);
}

/* Outputs y as "y", and, as "d_NAME", the gradient of sum(w y), with random w,
 * by every f32 input and trainable state of the graph. */
void case_output_with_gradients(kiln_graph *, kiln_node y);

void cases_pointwise(const struct case_sink *);
void cases_chains(const struct case_sink *);
void cases_movement(const struct case_sink *);
void cases_reductions(const struct case_sink *);
void cases_matmul(const struct case_sink *);
void cases_attention(const struct case_sink *);
void cases_conv(const struct case_sink *);
void cases_spatial(const struct case_sink *);
void cases_rows(const struct case_sink *);
void cases_blocks(const struct case_sink *);
void cases_effects(const struct case_sink *);

#endif
