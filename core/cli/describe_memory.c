/* kiln describe: the plans and the memory that they take. */
#include <stdio.h>
#include <string.h>

#include "core/cli/describe_model.h"

/* "  12.50 MiB" or "   0.31 KiB" */
static const char *size_text(int64_t bytes, char text[32])
{
    bool small = bytes < 1 << 17;
    snprintf(text, 32, "%10.2f %s", (double)bytes / (small ? 1024.0 : 1048576.0),
             small ? "KiB" : "MiB");
    return text;
}

static void write_plan(const struct kiln_described_phase *plan, struct kiln_text *text)
{
    char size[32], live[32];
    size_text(plan->live_bytes, live);
    kiln_text_append(text, ";   workspace                  %s (largest live set %s)\n",
                     size_text(plan->workspace_bytes, size), live + strspn(live, " "));
    kiln_text_append(text, ";   inputs, outputs, constants %s\n",
                     size_text(plan->io_bytes, size));
    kiln_text_append(text, ";   steps                      %10d, %d of them reorders\n",
                     plan->n_steps - plan->n_prepared, plan->n_reorders);
    if (plan->n_prepared)
        kiln_text_append(text, ";   once for new parameters    %10d\n", plan->n_prepared);
    kiln_text_append(text, ";   contractions               %10.3f GFLOP\n",
                     1e-9 * (double)plan->flops);
}

void kiln_description_memory(const struct kiln_description *about, struct kiln_text *text)
{
    char size[32];
    kiln_text_append(text, "\n; memory on %s, batch of %lld, default algorithms\n", about->device,
                     (long long)about->batch);
    kiln_text_append(text, ";   weights, moments, average  %s\n",
                     size_text(about->state_bytes, size));
    if (about->resident)
        kiln_text_append(text, ";   data set                   %s\n",
                         size_text(about->data_bytes, size));
    for (int i = 0; i < about->n_phases; i++) {
        const struct kiln_described_phase *phase = &about->phases[i];
        kiln_text_append(text, "; plan of phase %s: trains %lld parameters\n", phase->name,
                         (long long)phase->n_parameters);
        write_plan(phase, text);
    }
    if (!about->samples)
        return;
    kiln_text_append(text, "; plan of sampling: %d executions for a batch of %lld\n",
                     about->sample_iterations, (long long)about->sample_batch);
    write_plan(&about->sampling, text);
}

static void write_json_plan(const struct kiln_described_phase *plan, struct kiln_json *json)
{
    kiln_json_int(json, "steps", plan->n_steps);
    kiln_json_int(json, "prepared", plan->n_prepared);
    kiln_json_int(json, "reorders", plan->n_reorders);
    kiln_json_int(json, "flops", plan->flops);
    kiln_json_int(json, "workspace_bytes", plan->workspace_bytes);
    kiln_json_int(json, "live_bytes", plan->live_bytes);
    kiln_json_int(json, "io_bytes", plan->io_bytes);
}

void kiln_description_json(const struct kiln_description *about, struct kiln_json *json)
{
    kiln_json_string(json, "device", about->device);
    kiln_json_int(json, "batch_size", about->batch);
    kiln_json_int(json, "state_bytes", about->state_bytes);
    kiln_json_int(json, "data_bytes", about->data_bytes);
    kiln_json_array(json, "phases");
    for (int i = 0; i < about->n_phases; i++) {
        const struct kiln_described_phase *phase = &about->phases[i];
        kiln_json_object(json, NULL);
        kiln_json_string(json, "name", phase->name);
        kiln_json_string(json, "group", phase->group);
        kiln_json_int(json, "n_parameters", phase->n_parameters);
        write_json_plan(phase, json);
        kiln_json_end(json);
    }
    kiln_json_end(json);
    if (!about->samples)
        return;
    kiln_json_object(json, "sampling");
    kiln_json_int(json, "batch_size", about->sample_batch);
    kiln_json_int(json, "executions", about->sample_iterations);
    write_json_plan(&about->sampling, json);
    kiln_json_end(json);
}
