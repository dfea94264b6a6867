/* --stats: tables of times by kind of step. */
#include "core/cli/stats.h"

static void write_row(const struct kiln_profile_row *row, double all, struct kiln_text *text)
{
    double ms = 1e3 * row->seconds;
    kiln_text_append(text, "  %-20s %6d %10.3f %6.1f %%", row->name, row->steps, ms,
                     all > 0 ? 100 * row->seconds / all : 0);
    if (row->flops && row->seconds > 0)
        kiln_text_append(text, " %9.1f", 1e-9 * (double)row->flops / row->seconds);
    else
        kiln_text_append(text, " %9s", "");
    kiln_text_append(text, " %8.1f\n",
                     row->seconds > 0 ? 1e-9 * (double)row->bytes / row->seconds : 0);
}

void kiln_stats_text(const char *what, const struct kiln_profile *profile, struct kiln_text *text)
{
    if (!profile->executions)
        return;
    kiln_text_append(text,
                     "%s: %d steps and %lld launches an execution (%d steps once), workspace "
                     "%.2f MiB, least times of %lld executions\n",
                     what, profile->steps, (long long)profile->launches, profile->prepared,
                     (double)profile->workspace_bytes / 1048576, (long long)profile->executions);
    kiln_text_append(text, "  %-20s %6s %10s %8s %9s %8s\n", "", "steps", "ms", "", "GFLOP/s",
                     "GB/s");
    for (int i = 0; i < KILN_PROFILE_ROWS; i++)
        if (profile->rows[i].steps)
            write_row(&profile->rows[i], profile->total.seconds, text);
    write_row(&profile->total, profile->total.seconds, text);
}

void kiln_stats_json(const char *name, const struct kiln_profile *profile, struct kiln_json *json)
{
    if (!profile->executions)
        return;
    kiln_json_object(json, name);
    kiln_json_int(json, "executions", profile->executions);
    kiln_json_int(json, "steps", profile->steps);
    kiln_json_int(json, "prepared", profile->prepared);
    kiln_json_int(json, "launches", profile->launches);
    kiln_json_int(json, "workspace_bytes", profile->workspace_bytes);
    kiln_json_number(json, "seconds", profile->total.seconds);
    kiln_json_array(json, "kinds");
    for (int i = 0; i < KILN_PROFILE_ROWS; i++) {
        const struct kiln_profile_row *row = &profile->rows[i];
        if (!row->steps)
            continue;
        kiln_json_object(json, NULL);
        kiln_json_string(json, "kind", row->name);
        kiln_json_int(json, "steps", row->steps);
        kiln_json_number(json, "seconds", row->seconds);
        kiln_json_int(json, "flops", row->flops);
        kiln_json_int(json, "bytes", row->bytes);
        kiln_json_end(json);
    }
    kiln_json_end(json);
    kiln_json_end(json);
}
