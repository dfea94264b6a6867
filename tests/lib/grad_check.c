/* Gradients against central differences, in double on the oracle. */
#include "tests/lib/grad_check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/oracle.h"

#define STEP 2e-3

enum { MAX_VARIABLES = 32 };

struct variable {
    kiln_node node;
    bool is_state;
    char name[128];
    int64_t n;
    double *values, *direction;
};

struct check {
    kiln_graph *graph;
    kiln_oracle *oracle;
    uint64_t random;
    int n;
    struct variable variables[MAX_VARIABLES];
    struct kiln_error *message;
};

/* --- values ------------------------------------------------------------------------ */

/* Uniform in 0 .. 1 (xorshift64*). */
static double next_random(struct check *check)
{
    check->random ^= check->random >> 12;
    check->random ^= check->random << 25;
    check->random ^= check->random >> 27;
    return (double)(check->random * 0x2545F4914F6CDD1Dull >> 11) * 0x1p-53;
}

static double signed_value(struct check *check)
{
    double x = 0.3 + 0.9 * next_random(check);
    return next_random(check) < 0.5 ? -x : x;
}

static void distinct_values(struct check *check, int64_t n, double *values)
{
    for (int64_t i = 0; i < n; i++)
        values[i] = 2 * ((double)i + 0.5) / (double)(n + n % 2) - 1;
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = (int64_t)(next_random(check) * (double)(i + 1));
        double swap = values[i];
        values[i] = values[j];
        values[j] = swap;
    }
}

static void draw(struct check *check, const struct kiln_node_info *node, int64_t n, double *values)
{
    char kind = node->op == KILN_OP_INPUT ? node->name[0] : node->state->trainable ? 'x' : 'p';
    const char *bound = node->name + strcspn(node->name, "0123456789");
    if (kind == 'd')
        distinct_values(check, n, values);
    for (int64_t i = 0; i < n && kind != 'd'; i++) {
        if (!strcmp(node->name, "rng"))
            values[i] = (double)(i * 37 + 11);
        else if (node->dtype != KILN_F32)
            values[i] = floor(next_random(check) * atof(bound));
        else
            values[i] = kind == 'p' ? 0.3 + 1.2 * next_random(check) : signed_value(check);
    }
}

static bool put(struct check *check, const char *name, bool is_state, const double *values,
                int64_t n)
{
    return !(is_state ? kiln_oracle_set_state(check->oracle, name, KILN_ORACLE_VALUE, values, n,
                                              check->message)
                      : kiln_oracle_set(check->oracle, name, values, n, check->message));
}

/* Draws values of every input and state from node first on; those that are
 * variables are remembered. */
static bool draw_sources(struct check *check, kiln_node first)
{
    struct kiln_node_info node;
    for (kiln_node id = first; kiln_graph_node(check->graph, id, &node); id++) {
        if (node.op != KILN_OP_INPUT && node.op != KILN_OP_STATE)
            continue;
        int64_t n = kiln_shape_count(&node.shape);
        double *values = malloc(2 * (size_t)n * sizeof *values);
        bool is_state = node.op == KILN_OP_STATE;
        if (!values)
            return false;
        draw(check, &node, n, values);
        bool good = put(check, node.name, is_state, values, n);
        bool varies =
            is_state ? node.state->trainable : node.dtype == KILN_F32 && node.name[0] != 'w';
        if (!good || !varies || check->n == MAX_VARIABLES) {
            free(values);
            if (good && !varies)
                continue;
            return false;
        }
        struct variable *variable = &check->variables[check->n++];
        *variable = (struct variable){
            .node = id, .is_state = is_state, .n = n, .values = values, .direction = values + n};
        snprintf(variable->name, sizeof variable->name, "%s", node.name);
        for (int64_t i = 0; i < n; i++)
            variable->direction[i] = signed_value(check);
    }
    return true;
}

/* --- comparison --------------------------------------------------------------------- */

/* The scalar at variable + h direction. */
static double value_at(struct check *check, kiln_node scalar, const struct variable *variable,
                       double h)
{
    double *moved = malloc((size_t)variable->n * sizeof *moved), result = NAN;
    for (int64_t i = 0; moved && i < variable->n; i++)
        moved[i] = variable->values[i] + h * variable->direction[i];
    if (moved && put(check, variable->name, variable->is_state, moved, variable->n) &&
        !kiln_oracle_evaluate(check->oracle, 1, &scalar, check->message))
        result = kiln_oracle_value(check->oracle, scalar)[0];
    put(check, variable->name, variable->is_state, variable->values, variable->n);
    free(moved);
    return result;
}

static double numeric_slope(struct check *check, kiln_node scalar, const struct variable *variable)
{
    double near =
        value_at(check, scalar, variable, STEP) - value_at(check, scalar, variable, -STEP);
    double far =
        value_at(check, scalar, variable, 2 * STEP) - value_at(check, scalar, variable, -2 * STEP);
    return (8 * near - far) / (12 * STEP);
}

static void compare(struct check *check, kiln_node scalar, const kiln_node *gradients, int order,
                    struct grad_check *result)
{
    for (int v = 0; v < check->n; v++) {
        const struct variable *variable = &check->variables[v];
        double numeric = numeric_slope(check, scalar, variable), analytic = 0, scale = 0;
        if (kiln_oracle_evaluate(check->oracle, 1, &gradients[v], check->message))
            return;
        const double *gradient = kiln_oracle_value(check->oracle, gradients[v]);
        for (int64_t i = 0; i < variable->n; i++) {
            analytic += gradient[i] * variable->direction[i];
            scale += fabs(gradient[i] * variable->direction[i]);
        }
        double error = fabs(numeric - analytic) / fmax(scale, 1e-3);
        if (!(error <= result->error[order])) /* also if it is NaN */
            result->error[order] = isfinite(error) ? error : INFINITY;
        result->scale[order] = fmax(result->scale[order], scale);
    }
}

/* sum over i of sum(weights_i x_i), with constant random weights. */
static kiln_node weighted_sum(kiln_graph *graph, int order, int n, const kiln_node *x)
{
    kiln_node sum = kiln_scalar(graph, 0);
    for (int i = 0; i < n; i++) {
        char name[32];
        snprintf(name, sizeof name, "weights.%d.%d", order, i);
        struct kiln_shape shape = kiln_shape(graph, x[i]);
        kiln_node product = kiln_mul(graph, x[i], kiln_input(graph, name, KILN_F32, shape));
        product = kiln_reduce_sum(graph, product, (1u << shape.n) - 1);
        sum = kiln_add(graph, sum, kiln_reshape(graph, product, (struct kiln_shape){0}));
    }
    return sum;
}

static void run_orders(struct check *check, kiln_node y, int orders, struct grad_check *result)
{
    kiln_node xs[MAX_VARIABLES], terms[MAX_VARIABLES] = {y};
    int n_terms = 1;
    if (!draw_sources(check, 1))
        return;
    for (int i = 0; i < check->n; i++)
        xs[i] = check->variables[i].node;
    for (int order = 1; order <= orders; order++) {
        kiln_node first = kiln_graph_count(check->graph) + 1;
        kiln_node scalar = weighted_sum(check->graph, order, n_terms, terms);
        kiln_grad(check->graph, scalar, check->n, xs, terms);
        n_terms = check->n;
        if (kiln_graph_error(check->graph, check->message) || !draw_sources(check, first))
            return;
        compare(check, scalar, terms, order, result);
    }
}

struct grad_check grad_check_run(kiln_node (*build)(kiln_graph *), int orders)
{
    struct grad_check result = {.message.text = ""};
    struct check check = {.random = 0x9E3779B97F4A7C15ull, .message = &result.message};
    check.graph = kiln_graph_create();
    check.oracle = check.graph ? kiln_oracle_create(check.graph, false) : NULL;
    if (check.oracle) {
        kiln_node y = build(check.graph);
        if (!kiln_graph_error(check.graph, &result.message))
            run_orders(&check, y, orders, &result);
    } else {
        kiln_fail(&result.message, KILN_MACHINE, "out of memory");
    }
    for (int i = 0; i < check.n; i++)
        free(check.variables[i].values);
    kiln_oracle_destroy(&check.oracle);
    kiln_graph_destroy(&check.graph);
    return result;
}

int grad_check_table(const struct grad_check_case *cases, size_t n, int orders)
{
    const double tolerance = 1e-6;
    int bad = 0;
    for (size_t i = 0; i < n; i++) {
        struct grad_check result = grad_check_run(cases[i].build, orders);
        bool failed = result.message.text[0] || !(result.scale[1] > 0);
        if (failed)
            fprintf(stderr, "%s: %s\n", cases[i].name,
                    result.message.text[0] ? result.message.text : "the gradient vanishes");
        for (int order = 1; order <= orders && !failed; order++) {
            if (result.error[order] < tolerance)
                continue;
            fprintf(stderr, "%s: order %d is off by %.1e\n", cases[i].name, order,
                    result.error[order]);
            failed = true;
        }
        bad += failed;
    }
    return bad;
}
