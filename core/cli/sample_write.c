/* What kiln sample writes and prints. */
#include <inttypes.h>
#include <stdio.h>

#include "core/base/json.h"
#include "core/cli/replay.h"
#include "core/cli/sampling.h"
#include "core/cli/stats.h"
#include "core/run/sample_image.h"

static enum kiln_status write_images(const struct kiln_sampling *s, const struct kiln_shape *shape,
                                     struct kiln_error *error)
{
    struct kiln_text command = {0};
    char seed[32];
    kiln_cli_replay(s->cli, &command);
    snprintf(seed, sizeof seed, "%" PRIu64, s->job.seed);
    const struct kiln_png_text texts[] = {
        {"Software", "kiln " KILN_VERSION},
        {"Command", command.data ? command.data : ""},
        {"Seed", seed},
        {"Checkpoint", s->trained.hash},
    };
    enum kiln_status status = KILN_OK;
    if (s->image)
        status = kiln_samples_write_png(s->image, s->samples, shape, s->columns, 4, texts, error);
    if (!status && s->animation)
        status = kiln_samples_write_animation(s->animation, s->job.n_frames, s->frames, s->samples,
                                              shape, s->columns, 4, texts, error);
    kiln_text_finish(&command);
    return status;
}

static enum kiln_status print_result(const struct kiln_sampling *s, struct kiln_error *error)
{
    struct kiln_text text = {0};
    struct kiln_profile profile;
    kiln_executable_profile(kiln_sampler_iteration(s->sampler), &profile);
    if (!kiln_cli_flag(s->cli, "json")) {
        kiln_stats_text("sampling", &profile, &text);
        const char *const paths[] = {s->image, s->raw, s->animation};
        const char *separator = "";
        for (int i = 0; i < 3; i++)
            if (paths[i]) {
                kiln_text_append(&text, "%s%s", separator, paths[i]);
                separator = "\n";
            }
        return kiln_cli_print(&text, error);
    }
    struct kiln_json json = kiln_json_start(&text);
    kiln_json_object(&json, NULL);
    kiln_json_string(&json, "image", s->image);
    kiln_json_string(&json, "raw", s->raw);
    if (s->animation)
        kiln_json_string(&json, "animation", s->animation);
    kiln_json_int(&json, "samples", s->job.count);
    kiln_json_int(&json, "seed", (int64_t)s->job.seed);
    kiln_json_string(&json, "checkpoint", s->trained.hash);
    kiln_json_number(&json, "seconds", s->seconds);
    kiln_stats_json("stats", &profile, &json);
    kiln_json_end(&json);
    return kiln_cli_print(&text, error);
}

enum kiln_status kiln_sampling_write(const struct kiln_sampling *s, struct kiln_error *error)
{
    struct kiln_shape shape = kiln_sampler_sample_shape(s->sampler, s->job.count);
    enum kiln_status status = write_images(s, &shape, error);
    return status ? status : print_result(s, error);
}
