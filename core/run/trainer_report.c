/* Reading the losses of a run, and finding what is not finite. */
#include "core/run/trainer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

double kiln_trainer_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* --- losses ---------------------------------------------------------------------- */

struct line {
    int n;
    struct kiln_runlog_value values[KILN_MAX_PHASES * (KILN_MAX_METRICS + 3) + 4];
    char names[KILN_MAX_PHASES * (KILN_MAX_METRICS + 2)][64]; /* with the phase's name */
    int n_names;
};

static bool is_taken(const struct line *line, const char *name)
{
    for (int i = 0; i < line->n; i++)
        if (!strcmp(line->values[i].name, name))
            return true;
    return false;
}

/* "loss", or "critic_loss" where there are several phases. */
static const char *value_name(const struct kiln_trainer *t, int phase, const char *name,
                              struct line *line)
{
    if (t->n_phases == 1)
        return name;
    char *text = line->names[line->n_names++];
    snprintf(text, sizeof line->names[0], "%s_%s", t->phases[phase].name, name);
    return text;
}

static void add_value(struct kiln_trainer *t, struct line *line, const char *name, double value,
                      bool result)
{
    line->values[line->n++] = (struct kiln_runlog_value){name, value};
    if (!result)
        return;
    struct kiln_train_value *out = &t->result->values[t->result->n_values++];
    snprintf(out->name, sizeof out->name, "%s", name);
    out->value = value;
    size_t used = strlen(t->text);
    snprintf(t->text + used, sizeof t->text - used, "%s%s %.4g", used ? " " : "", name, value);
}

static enum kiln_status read_phase(struct kiln_trainer *t, int phase, struct line *line,
                                   struct kiln_error *error)
{
    const struct kiln_phase_graph *graph = &t->graphs[phase];
    float report[KILN_MAX_METRICS + 3];
    enum kiln_status status =
        kiln_executable_read(t->executables[phase], "report", report,
                             (graph->n_values + 2) * (int64_t)sizeof *report, error);
    if (status)
        return status;
    add_value(t, line, value_name(t, phase, "loss", line), report[0], true);
    for (int i = 1; i < graph->n_values; i++) {
        bool taken = is_taken(line, graph->names[i]);
        add_value(t, line, taken ? value_name(t, phase, graph->names[i], line) : graph->names[i],
                  report[i], true);
    }
    add_value(t, line, value_name(t, phase, "grad_norm", line), report[graph->n_values], false);
    return KILN_OK;
}

enum kiln_status kiln_trainer_report(struct kiln_trainer *t, struct kiln_error *error)
{
    struct line line = {0};
    t->result->n_values = 0;
    t->text[0] = '\0';
    enum kiln_status status = KILN_OK;
    for (int i = 0; i < t->n_phases && !status; i++)
        status = read_phase(t, i, &line, error);
    if (status)
        return status;
    double now = kiln_trainer_clock();
    int64_t executions = kiln_order_first(t->n_phases, t->phases, t->step) -
                         kiln_order_first(t->n_phases, t->phases, t->logged_step);
    double images = (double)executions * (double)t->source.size;
    t->result->seconds = t->seconds_before + now - t->started;
    t->result->images_per_s = now > t->logged_at ? images / (now - t->logged_at) : 0;
    t->logged_at = now;
    t->logged_step = t->step;
    add_value(t, &line, "lr", kiln_schedule_rate(&t->optimizer.schedule, t->step - 1), false);
    add_value(t, &line, "seconds", t->result->seconds, false);
    add_value(t, &line, "images_per_s", t->result->images_per_s, false);
    return kiln_runlog_write(t->log, t->step, line.n, line.values, error);
}

/* --- not finite --------------------------------------------------------------------- */

static bool all_finite(const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return false;
    return true;
}

/* The first value of a kept, unfused execution that is not finite, or NULL. */
static const struct kiln_plan_value *first_bad_value(kiln_executable *executable)
{
    const struct kiln_plan *plan = kiln_executable_plan(executable);
    const struct kiln_plan_value *found = NULL;
    for (int i = 0; i < plan->n_values; i++) {
        const struct kiln_plan_value *value = &plan->values[i];
        int64_t count = kiln_shape_count(&value->shape);
        if (value->place.dtype != KILN_F32 || (found && value->node >= found->node))
            continue;
        float *x = malloc((size_t)count * sizeof *x);
        if (x && !kiln_executable_read_value(executable, i, x, count * (int64_t)sizeof *x, NULL) &&
            !all_finite(x, count))
            found = value;
        free(x);
    }
    return found;
}

/* Replays an execution unfused with every value kept and describes the first
 * node that is not finite, as ": the first such value is ...". */
static void describe_bad_node(struct kiln_trainer *t, const struct kiln_execution *execution,
                              char *text, size_t size)
{
    const struct kiln_compile_options options = {.keep = true, .unfused = true};
    const kiln_graph *graph = t->graphs[execution->phase].graph;
    kiln_executable *executable = NULL;
    text[0] = '\0';
    if (kiln_executable_create(t->session, graph, &options, &executable, NULL) ||
        kiln_trainer_feed(t, execution, executable, NULL) || kiln_executable_run(executable, NULL))
        goto done;
    const struct kiln_plan_value *value = first_bad_value(executable);
    struct kiln_node_info info;
    if (value && kiln_graph_node(graph, value->node, &info)) {
        char shape[128];
        snprintf(text, size, "; the first such value is node %d, %s %s%s%s%s", (int)value->node,
                 kiln_op_name(info.op), kiln_shape_text(&value->shape, shape, sizeof shape),
                 info.name[0] ? " (" : "", info.name, info.name[0] ? ")" : "");
    }
done:
    kiln_executable_destroy(&executable);
}

enum kiln_status kiln_trainer_check_finite(struct kiln_trainer *t, struct kiln_error *error)
{
    int32_t first = 0;
    int state = kiln_states_find(kiln_session_states(t->session), KILN_STATE_FIRST_BAD);
    enum kiln_status status =
        kiln_session_state_get(t->session, state, KILN_STATE_VALUE, &first, error);
    if (status || !first)
        return status;
    struct kiln_execution bad = {.number = (int64_t)(uint32_t)first - 1};
    kiln_order_locate(t->n_phases, t->phases, bad.number, &bad.step, &bad.phase, &bad.repeat);
    char node[512];
    describe_bad_node(t, &bad, node, sizeof node);
    return kiln_fail(
        error, KILN_INPUT,
        "step %lld, phase %s: the loss or its gradient is not finite (learning rate %g)%s",
        (long long)(bad.step + 1), t->phases[bad.phase].name,
        kiln_schedule_rate(&t->optimizer.schedule, bad.step), node);
}
