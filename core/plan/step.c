/* Names of the step kinds. */
#include "core/api/step.h"

const char *kiln_step_kind_name(enum kiln_step_kind kind)
{
    static const char *const names[KILN_STEP_KIND_COUNT] = {
        [KILN_STEP_LOOP] = "loop",
        [KILN_STEP_MATMUL] = "matmul",
        [KILN_STEP_CONV] = "conv",
        [KILN_STEP_CONV_INPUT_GRAD] = "conv_input_grad",
        [KILN_STEP_CONV_WEIGHT_GRAD] = "conv_weight_grad",
        [KILN_STEP_WINDOW_ARGMAX] = "window_argmax",
        [KILN_STEP_WINDOW_GATHER] = "window_gather",
        [KILN_STEP_WINDOW_SCATTER] = "window_scatter",
        [KILN_STEP_RESAMPLE] = "resample",
        [KILN_STEP_GATHER_ROWS] = "gather_rows",
        [KILN_STEP_SCATTER_ADD_ROWS] = "scatter_add_rows",
        [KILN_STEP_RNG] = "rng",
        [KILN_STEP_ATTENTION] = "attention",
        [KILN_STEP_ATTENTION_GRAD] = "attention_grad",
        [KILN_STEP_UPDATE] = "update",
    };
    return kind >= 0 && kind < KILN_STEP_KIND_COUNT ? names[kind] : "?";
}
