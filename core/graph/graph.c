/* The graph as an array of nodes: life, appending, the sticky error, results. */
#include "core/graph/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/text.h"

kiln_graph *kiln_graph_create(void)
{
    kiln_graph *graph = calloc(1, sizeof *graph);
    if (!graph)
        return NULL;
    graph->arena = kiln_arena_create();
    if (!graph->arena) {
        free(graph);
        return NULL;
    }
    graph->label = "";
    return graph;
}

void kiln_graph_destroy(kiln_graph **graph)
{
    if (!graph || !*graph)
        return;
    kiln_arena_destroy(&(*graph)->arena);
    free((*graph)->records);
    free((*graph)->results);
    free((*graph)->inputs);
    free((*graph)->states);
    free(*graph);
    *graph = NULL;
}

/* --- errors ------------------------------------------------------------------ */

enum kiln_status kiln_graph_error(const kiln_graph *graph, struct kiln_error *error)
{
    if (graph->status && error)
        *error = graph->error;
    return graph->status;
}

static void fail_with(kiln_graph *graph, enum kiln_status status, const char *text)
{
    if (graph->status)
        return;
    graph->status = status;
    if (graph->label[0])
        kiln_fail(&graph->error, status, "%s (in %s)", text, graph->label);
    else
        kiln_fail(&graph->error, status, "%s", text);
}

void kiln_graph_fail(kiln_graph *graph, const char *format, ...)
{
    char text[768];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fail_with(graph, KILN_INPUT, text);
}

kiln_node kiln_graph_no_memory(kiln_graph *graph)
{
    fail_with(graph, KILN_MACHINE, "out of memory while building the graph");
    return 0;
}

/* "conv of f32 [1, 3, 8, 8] and f32 [4, 2, 3, 3]"; long lists are cut. */
static void describe(const kiln_graph *graph, enum kiln_op op, int n, const kiln_node *operands,
                     char *text, size_t size)
{
    enum { SHOWN = 6 };
    size_t used = (size_t)snprintf(text, size, "%s", kiln_op_name(op));
    for (int i = 0; i < n && used < size; i++) {
        const char *joint = i == 0 ? " of" : i == n - 1 || i == SHOWN ? " and" : ",";
        if (i == SHOWN) {
            snprintf(text + used, size - used, "%s %d more", joint, n - SHOWN);
            return;
        }
        const struct kiln_record *record = kiln_graph_at(graph, operands[i]);
        char shape[160];
        kiln_shape_text(&record->shape, shape, sizeof shape);
        used += (size_t)snprintf(text + used, size - used, "%s %s %s", joint,
                                 kiln_dtype_name(record->dtype), shape);
    }
}

kiln_node kiln_graph_reject(kiln_graph *graph, enum kiln_op op, int n, const kiln_node *operands,
                            const char *format, ...)
{
    char what[640], why[256];
    describe(graph, op, n, operands, what, sizeof what);
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    kiln_graph_fail(graph, "%s: %s", what, why);
    return 0;
}

bool kiln_graph_ready(kiln_graph *graph, enum kiln_op op, int n, const kiln_node *operands)
{
    if (graph->status)
        return false;
    for (int i = 0; i < n; i++) {
        bool known = operands[i] >= 1 && operands[i] <= (kiln_node)graph->n;
        if (known && kiln_graph_at(graph, operands[i])->op != KILN_OP_ASSIGN)
            continue;
        kiln_graph_fail(graph, "%s: operand %d (%d) %s", kiln_op_name(op), i + 1, operands[i],
                        known ? "is an assign, which has no value" : "is no node");
        return false;
    }
    return true;
}

bool kiln_graph_all_f32(kiln_graph *graph, enum kiln_op op, int n, const kiln_node *operands)
{
    for (int i = 0; i < n; i++)
        if (kiln_graph_at(graph, operands[i])->dtype != KILN_F32) {
            kiln_graph_reject(graph, op, n, operands, "operand %d must be f32 (cast it)", i + 1);
            return false;
        }
    return true;
}

/* --- nodes ------------------------------------------------------------------- */

kiln_node kiln_graph_append(kiln_graph *graph, const struct kiln_record *record, int n,
                            const kiln_node *operands)
{
    if (graph->status)
        return 0;
    if (kiln_shape_count(&record->shape) < 0) {
        char shape[160];
        if (record->shape.n < 0 || record->shape.n > KILN_MAX_DIMS)
            return kiln_graph_reject(graph, record->op, n, operands, "rank %d is not in 0 .. %d",
                                     record->shape.n, KILN_MAX_DIMS);
        return kiln_graph_reject(graph, record->op, n, operands,
                                 "the result %s is empty or too large",
                                 kiln_shape_text(&record->shape, shape, sizeof shape));
    }
    kiln_node *copy = KILN_ARENA_NEW(graph->arena, kiln_node, (size_t)n);
    if (!copy || graph->n >= INT32_MAX ||
        !kiln_array_grow(&graph->records, &graph->capacity, graph->n, sizeof *graph->records))
        return kiln_graph_no_memory(graph);
    if (n)
        memcpy(copy, operands, (size_t)n * sizeof *copy);
    struct kiln_record *added = &graph->records[graph->n++];
    *added = *record;
    added->n_operands = n;
    added->operands = copy;
    if (!added->name)
        added->name = graph->label;
    return (kiln_node)graph->n;
}

kiln_node kiln_graph_count(const kiln_graph *graph)
{
    return (kiln_node)graph->n;
}

kiln_node kiln_graph_n_forward(const kiln_graph *graph)
{
    return graph->n_forward ? graph->n_forward : (kiln_node)graph->n;
}

bool kiln_graph_node(const kiln_graph *graph, kiln_node node, struct kiln_node_info *info)
{
    if (node < 1 || node > (kiln_node)graph->n)
        return false;
    const struct kiln_record *record = kiln_graph_at(graph, node);
    *info = (struct kiln_node_info){
        .op = record->op,
        .dtype = record->dtype,
        .shape = record->shape,
        .n_operands = record->n_operands,
        .operands = record->operands,
        .params = &record->params,
        .name = record->name,
        .data = record->data,
        .state = record->state,
    };
    return true;
}

struct kiln_shape kiln_shape(const kiln_graph *graph, kiln_node node)
{
    if (node < 1 || node > (kiln_node)graph->n)
        return (struct kiln_shape){0};
    return kiln_graph_at(graph, node)->shape;
}

const char *kiln_graph_swap_label(kiln_graph *graph, const char *label)
{
    const char *old = graph->label;
    graph->label = label;
    return old;
}

void kiln_graph_label(kiln_graph *graph, const char *label)
{
    const char *copy = label && label[0] ? kiln_arena_strdup(graph->arena, label) : "";
    if (copy)
        graph->label = copy;
    else
        kiln_graph_no_memory(graph);
}

const char *kiln_graph_enter(kiln_graph *graph, const char *name)
{
    const char *old = graph->label;
    kiln_graph_label(graph, name);
    return old;
}

/* --- results ----------------------------------------------------------------- */

void kiln_graph_output(kiln_graph *graph, const char *name, kiln_node node)
{
    if (graph->status)
        return;
    if (!name || !name[0] || node < 1 || node > (kiln_node)graph->n ||
        kiln_graph_at(graph, node)->op == KILN_OP_ASSIGN) {
        kiln_graph_fail(graph, "output \"%s\": no node with a value (%d)", name ? name : "", node);
        return;
    }
    for (size_t i = 0; i < graph->n_results; i++)
        if (!strcmp(graph->results[i].name, name)) {
            kiln_graph_fail(graph, "output \"%s\" is declared twice", name);
            return;
        }
    char *copy = kiln_arena_strdup(graph->arena, name);
    if (!copy || !kiln_array_grow(&graph->results, &graph->results_capacity, graph->n_results,
                                  sizeof *graph->results)) {
        kiln_graph_no_memory(graph);
        return;
    }
    graph->results[graph->n_results++] = (struct kiln_graph_result){copy, node};
}

int kiln_graph_n_outputs(const kiln_graph *graph)
{
    return (int)graph->n_results;
}

const char *kiln_graph_output_at(const kiln_graph *graph, int i, kiln_node *node)
{
    if (i < 0 || (size_t)i >= graph->n_results)
        return NULL;
    if (node)
        *node = graph->results[i].node;
    return graph->results[i].name;
}
