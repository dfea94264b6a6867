/* The storage layouts of convolution weights, before the states are frozen. */
#include <stdlib.h>
#include <string.h>

#include "core/plan/planner.h"

/* A state's layout may come from a forward pass, or, stronger, from the weight
 * gradient that the optimiser reads. */
enum { FROM_FORWARD = 1, FROM_GRADIENT = 2 };

static struct kiln_step sizes_of(const kiln_graph *graph, const struct kiln_node_info *info)
{
    struct kiln_shape a = kiln_shape(graph, info->operands[0]),
                      b = kiln_shape(graph, info->operands[1]);
    return plan_conv_sizes(info->op, &info->params->conv, &a, &b, &info->shape);
}

/* The weight layout of the backend's first candidate; false if it has none. */
static bool first_choice(const struct kiln_plan_options *options, struct kiln_step *step,
                         enum kiln_layout *layout)
{
    struct kiln_candidate candidates[KILN_MAX_CANDIDATES] = {{0}};
    struct kiln_step_conv *conv = &step->as.conv;
    plan_conv_layouts(conv, options->feature_layout, &conv->x_layout, &conv->y_layout);
    int n = options->candidates ? options->candidates(options->user, step, candidates) : 0;
    if (n < 1) {
        conv->x_layout = conv->y_layout = KILN_LAYOUT_DENSE;
        n = options->candidates ? options->candidates(options->user, step, candidates) : 0;
    }
    *layout = candidates[0].weight_layout;
    return n > 0;
}

/* True if gradient computes the weight gradient of the convolution use. */
static bool belongs(const struct kiln_node_info *gradient, const struct kiln_node_info *use,
                    const struct kiln_shape *weight)
{
    bool same = use->op == KILN_OP_CONV ? gradient->operands[0] == use->operands[0]
                                        : gradient->operands[1] == use->operands[0];
    return same && kiln_shape_equal(&gradient->shape, weight) &&
           !memcmp(&gradient->params->conv, &use->params->conv, sizeof use->params->conv);
}

static void suggest(const kiln_graph *graph, const struct kiln_plan_options *options,
                    kiln_states *states, const struct kiln_node_info *use,
                    const kiln_node *gradients, int n_gradients)
{
    struct kiln_node_info weight, gradient;
    kiln_graph_node(graph, use->operands[1], &weight);
    int state = weight.op == KILN_OP_STATE ? kiln_states_find(states, weight.name) : -1;
    enum kiln_layout layout;
    struct kiln_step step = sizes_of(graph, use);
    if (state < 0 || (options->fuse && plan_is_whole_conv(&step.as.conv)))
        return;
    for (int i = 0; i < n_gradients; i++) {
        kiln_graph_node(graph, gradients[i], &gradient);
        if (!belongs(&gradient, use, &weight.shape))
            continue;
        step = sizes_of(graph, &gradient);
        if (first_choice(options, &step, &layout))
            states_suggest_layout(states, state, layout, FROM_GRADIENT);
        return;
    }
    if (first_choice(options, &step, &layout))
        states_suggest_layout(states, state, layout, FROM_FORWARD);
}

enum kiln_status kiln_plan_state_layouts(const kiln_graph *graph,
                                         const struct kiln_plan_options *options,
                                         kiln_states *states, struct kiln_error *error)
{
    enum kiln_status status = kiln_graph_error(graph, error);
    if (status)
        return status;
    kiln_node count = kiln_graph_count(graph);
    kiln_node *gradients = malloc(((size_t)count + 1) * sizeof *gradients);
    if (!gradients)
        return kiln_fail(error, KILN_MACHINE, "out of memory while planning");
    int n = 0;
    struct kiln_node_info info;
    for (kiln_node node = 1; node <= count; node++)
        if (kiln_graph_node(graph, node, &info) && info.op == KILN_OP_CONV_WEIGHT_GRAD)
            gradients[n++] = node;
    for (kiln_node node = 1; node <= count; node++)
        if (kiln_graph_node(graph, node, &info) &&
            (info.op == KILN_OP_CONV || info.op == KILN_OP_CONV_INPUT_GRAD))
            suggest(graph, options, states, &info, gradients, n);
    free(gradients);
    return KILN_OK;
}
