/* kiln compare: one training step on two devices. */
#include <math.h>

#include "core/base/json.h"
#include "core/cli/command.h"
#include "core/run/compare.h"

/* Accepted norm of a difference over the norm of the value. One op differs by
 * roundings of sums; a whole step carries and cancels them. */
#define UNFUSED_LIMIT 1e-5
#define FUSED_LIMIT   1e-3

struct report {
    struct kiln_text *text;
    struct kiln_json *json; /* NULL: text */
    bool all;
    int left_out; /* parts of states whose gradient is zero in exact arithmetic */
    struct {
        int values, beyond;
        double worst;
        char where[256];
    } sums[2]; /* unfused, fused */
};

static void describe(const struct kiln_compared *value, char *line, size_t size)
{
    char shape[96];
    kiln_shape_text(&value->shape, shape, sizeof shape);
    if (value->node)
        snprintf(line, size, "%s, node %d %s%s%s %s", value->phase, value->node,
                 kiln_op_name(value->op), value->label[0] ? " in " : "", value->label, shape);
    else
        snprintf(line, size, "%s, state %s %s after the step", value->phase, value->label, shape);
}

static void write_value(struct kiln_json *json, const struct kiln_compared *value)
{
    kiln_json_object(json, NULL);
    kiln_json_string(json, "phase", value->phase);
    kiln_json_bool(json, "fused", value->fused);
    kiln_json_int(json, "node", value->node);
    kiln_json_string(json, "op", kiln_op_name(value->op));
    kiln_json_string(json, "label", value->label);
    kiln_json_number(json, "difference", value->difference);
    kiln_json_bool(json, "no_gradient", value->no_gradient);
    kiln_json_end(json);
}

static void add(void *user, const struct kiln_compared *value)
{
    struct report *report = user;
    bool beyond =
        !value->no_gradient && !(value->difference <= (value->fused ? FUSED_LIMIT : UNFUSED_LIMIT));
    char line[256];
    describe(value, line, sizeof line);
    report->left_out += value->no_gradient;
    report->sums[value->fused].values++;
    report->sums[value->fused].beyond += beyond;
    if (!value->no_gradient && !(value->difference <= report->sums[value->fused].worst)) {
        report->sums[value->fused].worst = value->difference;
        snprintf(report->sums[value->fused].where, sizeof report->sums->where, "%s", line);
    }
    if (report->json)
        write_value(report->json, value);
    else if (beyond || report->all)
        kiln_text_append(report->text, "%s%-7s %9.2e  %s%s\n", beyond ? "BEYOND " : "",
                         value->fused ? "fused" : "unfused", value->difference, line,
                         value->no_gradient ? " (left out: its gradient is zero)" : "");
}

static enum kiln_status finish(struct report *report, struct kiln_error *error)
{
    static const char *const names[] = {"unfused, node by node", "fused, the whole step"};
    int beyond = report->sums[0].beyond + report->sums[1].beyond;
    if (report->json)
        kiln_json_end(report->json);
    for (int i = 0; i < 2; i++) {
        if (!report->json)
            kiln_text_append(report->text,
                             "%s%s: %d values, worst difference %.2e, limit %.0e\n  %s",
                             i ? "\n" : "", names[i], report->sums[i].values, report->sums[i].worst,
                             i ? FUSED_LIMIT : UNFUSED_LIMIT, report->sums[i].where);
        else
            kiln_json_number(report->json, i ? "worst_fused" : "worst_unfused",
                             report->sums[i].worst);
    }
    if (!report->json && report->left_out)
        kiln_text_append(report->text,
                         "\nleft out: %d parts of parameters whose gradient is zero "
                         "in exact arithmetic",
                         report->left_out);
    if (report->json) {
        kiln_json_int(report->json, "left_out", report->left_out);
        kiln_json_int(report->json, "beyond", beyond);
        kiln_json_end(report->json);
    }
    enum kiln_status status = kiln_cli_print(report->text, error);
    if (!status && beyond)
        status =
            kiln_fail(error, KILN_MACHINE, "%d values differ by more than their limit", beyond);
    return status;
}

static enum kiln_status run(const struct kiln_cli *cli, struct kiln_error *error)
{
    const struct kiln_compare_options options = {
        .devices = {cli->arguments[0], cli->arguments[1]},
        .no_tune = kiln_cli_flag(cli, "no-tune"),
    };
    struct kiln_text text = {0};
    struct kiln_json json = kiln_json_start(&text);
    bool as_json = kiln_cli_flag(cli, "json");
    struct report report = {
        .text = &text, .json = as_json ? &json : NULL, .all = kiln_cli_flag(cli, "all")};
    kiln_config *config = NULL;
    enum kiln_status status = kiln_cli_config(cli, cli->arguments[2], NULL, 0, &config, error);
    if (as_json) {
        kiln_json_object(&json, NULL);
        kiln_json_array(&json, "values");
    }
    if (!status)
        status = kiln_compare(config, &options, add, &report, error);
    if (!status)
        status = finish(&report, error);
    else
        kiln_text_finish(&text);
    kiln_config_destroy(&config);
    return status;
}

static const struct kiln_cli_option options[] = {
    {"all", 0, NULL, NULL, "print every value, not only those beyond the limit"},
    {"no-tune", 0, NULL, NULL, "take the first algorithms and layouts, measure none"},
    KILN_CLI_QUIET_OPTION,
    KILN_CLI_JSON_OPTION,
    KILN_CLI_CONFIG_OPTIONS,
    {0}};

static const char *const examples[] = {
    "kiln compare cpu opencl:0 config/vae.ini",
    "compares the first training step of a VAE on the processor and on an OpenCL device",
    "kiln compare cpu cpu:ref config/vae.ini --set train.batch_size=8 --all",
    "prints every value, with less memory", NULL};

const struct kiln_command kiln_command_compare = {
    .name = "compare",
    .arguments = "A B CONFIG",
    .min_arguments = 3,
    .max_arguments = 3,
    .summary = "compare one training step on two devices",
    .description =
        "Runs the first execution of each training phase on the devices A and B. First unfused: "
        "each op of B starts from A's values, so that a difference belongs to the op that is "
        "named. Then fused, with the layouts and algorithms of a real run, each device on its "
        "own; every value that both keep is compared in logical layout, and so are the parameters "
        "and moments after the step. A difference is the norm of the difference over the norm of "
        "A's value (of its terms, where a sum cancels); parameters whose gradient is zero in exact "
        "arithmetic are left out; the exit status is 1 if one is beyond its limit. All values stay "
        "in memory: "
        "a smaller train.batch_size needs less.",
    .options = options,
    .examples = examples,
    .run = run};
