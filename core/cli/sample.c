/* kiln sample: pictures from a trained model. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/json.h"
#include "core/cli/progress.h"
#include "core/cli/replay.h"
#include "core/cli/stats.h"
#include "core/cli/stop.h"
#include "core/cli/trained.h"
#include "core/run/sample.h"
#include "core/run/sample_image.h"

enum { COLUMNS = 8 }; /* of a grid of interpolations */

struct sampling {
    const struct kiln_cli *cli;
    struct kiln_trained trained;
    kiln_sampler *sampler;
    struct kiln_sample_job job;
    int columns; /* of the grid; 0 = near-square */
    float *noise, *samples;
    int32_t *labels; /* of the samples, or NULL */
    char *image, *raw; /* paths, or NULL */
    kiln_progress *progress;
    const volatile sig_atomic_t *stop;
    double seconds;
};

static bool show_progress(void *user, int64_t done, int64_t total)
{
    struct sampling *sampling = user;
    if (!sampling->progress) {
        const struct kiln_progress_options options = {
            .title = "sample",
            .unit = "steps",
            .total = total,
            .per_step = 1,
            .quiet = kiln_cli_flag(sampling->cli, "quiet"),
        };
        sampling->progress = kiln_progress_create(&options);
    }
    kiln_progress_update(sampling->progress, done, NULL);
    return !*sampling->stop;
}

/* --- preparation ------------------------------------------------------------------ */

static enum kiln_status choose_outputs(struct sampling *s, struct kiln_error *error)
{
    const char *raw = kiln_cli_value(s->cli, "raw");
    enum kiln_status status = KILN_OK;
    if (raw) {
        s->raw = kiln_trained_output(s->cli, &s->trained, "raw", "");
        status = s->raw ? kiln_cli_check_output(s->raw, error) : KILN_OK;
    }
    if (!raw || kiln_cli_flag(s->cli, "output"))
        s->image = kiln_trained_output(s->cli, &s->trained, "output", "samples.png");
    if (!s->raw && !s->image)
        return kiln_fail(error, KILN_MACHINE, "sample: out of memory");
    return !status && s->image ? kiln_cli_check_output(s->image, error) : status;
}

/* A file of noise decides how many samples there are, unless --number asks for
 * fewer. */
static enum kiln_status read_noise(struct sampling *s, struct kiln_error *error)
{
    const char *path = kiln_cli_value(s->cli, "noise");
    if (!path)
        return KILN_OK;
    struct kiln_shape shape = kiln_sampler_noise_shape(s->sampler, 1);
    int64_t n = 0;
    enum kiln_status status = kiln_noise_read(path, &shape, &s->noise, &n, error);
    if (status)
        return status;
    bool asked = kiln_cli_flag(s->cli, "number");
    if (asked && s->job.count > n)
        return kiln_fail(error, KILN_INPUT, "%s: noise of %lld samples, but --number is %lld", path,
                         (long long)n, (long long)s->job.count);
    if (!asked)
        s->job.count = n;
    s->job.noise = s->noise;
    return KILN_OK;
}

static enum kiln_status allocate(float **out, struct kiln_shape shape, struct kiln_error *error)
{
    int64_t count = kiln_shape_count(&shape);
    *out = count > 0 ? calloc((size_t)count, sizeof **out) : NULL;
    return *out ? KILN_OK
                : kiln_fail(error, KILN_MACHINE, "sample: out of memory for %lld samples",
                            (long long)shape.d[0]);
}

static enum kiln_status interpolate(struct sampling *s, struct kiln_error *error)
{
    if (!kiln_cli_flag(s->cli, "interpolate"))
        return KILN_OK;
    if (s->noise)
        return kiln_fail(error, KILN_INPUT, "sample: --interpolate draws its own noise (--noise)");
    int64_t rows = (s->job.count + COLUMNS - 1) / COLUMNS;
    s->columns = COLUMNS;
    s->job.count = rows * COLUMNS;
    enum kiln_status status =
        allocate(&s->noise, kiln_sampler_noise_shape(s->sampler, s->job.count), error);
    if (!status)
        status = kiln_sampler_interpolate(s->sampler, s->job.seed, rows, COLUMNS, s->noise, error);
    s->job.noise = s->noise;
    return status;
}

/* --class K, or all: the classes in turn, a column of the grid each. */
static enum kiln_status choose_classes(struct sampling *s, struct kiln_error *error)
{
    const char *class = kiln_cli_value(s->cli, "class");
    int64_t n_classes = s->trained.experiment.info.n_classes, only = -1;
    if (!class)
        return KILN_OK;
    if (strcmp(class, "all")) {
        enum kiln_status status = kiln_cli_int(s->cli, "class", 0, n_classes - 1, &only, error);
        if (status)
            return status;
    }
    s->labels = malloc((size_t)s->job.count * sizeof *s->labels);
    if (!s->labels)
        return kiln_fail(error, KILN_MACHINE, "sample: out of memory");
    for (int64_t i = 0; i < s->job.count; i++)
        s->labels[i] = (int32_t)(only < 0 ? i % n_classes : only);
    if (only < 0 && !s->columns)
        s->columns = (int)(n_classes <= 20 ? n_classes : 0);
    s->job.label = s->labels;
    return KILN_OK;
}

static enum kiln_status prepare(struct sampling *s, struct kiln_error *error)
{
    struct kiln_sample_request request;
    kiln_graph *graphs[KILN_SAMPLER_GRAPHS];
    s->job.seed = (uint64_t)kiln_config_int(s->trained.config, "sample", "seed");
    s->job.count = kiln_config_int(s->trained.config, "sample", "n");
    s->job.progress = show_progress;
    s->job.user = s;
    kiln_sample_request_read(s->trained.config, s->job.count, &request);
    request.labelled = kiln_cli_flag(s->cli, "class");
    if (request.labelled && !s->trained.experiment.info.n_classes)
        return kiln_fail(error, KILN_INPUT, "sample: --class: the model's data has no classes");
    enum kiln_status status =
        kiln_sampler_create(&s->trained.experiment.instance, &request, &s->sampler, error);
    if (!status)
        status = read_noise(s, error);
    if (status)
        return status;
    int n = kiln_sampler_graphs(s->sampler, graphs);
    status = kiln_session_prepare(s->trained.session, n, graphs, 0, NULL, error);
    if (!status)
        status = kiln_session_initialise(s->trained.session, 0, error);
    if (!status)
        status = kiln_checkpoint_load(s->trained.checkpoint, s->trained.session, true, error);
    if (!status)
        status = kiln_sampler_compile(s->sampler, s->trained.session, false, error);
    if (!status && request.labelled && !kiln_sampler_takes_labels(s->sampler))
        status = kiln_fail(error, KILN_INPUT, "sample: --class: model %s takes no class",
                           s->trained.experiment.instance.model->name);
    if (!status)
        status = interpolate(s, error);
    if (!status)
        status = choose_classes(s, error);
    return status;
}

/* --- result -------------------------------------------------------------------------- */

static enum kiln_status write_image(const struct sampling *s, const struct kiln_shape *shape,
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
    enum kiln_status status =
        kiln_samples_write_png(s->image, s->samples, shape, s->columns, 4, texts, error);
    kiln_text_finish(&command);
    return status;
}

static enum kiln_status print_result(const struct sampling *s, struct kiln_error *error)
{
    struct kiln_text text = {0};
    struct kiln_profile profile;
    kiln_executable_profile(kiln_sampler_iteration(s->sampler), &profile);
    if (!kiln_cli_flag(s->cli, "json")) {
        kiln_stats_text("sampling", &profile, &text);
        if (s->image)
            kiln_text_append(&text, "%s", s->image);
        if (s->raw)
            kiln_text_append(&text, "%s%s", s->image ? "\n" : "", s->raw);
        return kiln_cli_print(&text, error);
    }
    struct kiln_json json = kiln_json_start(&text);
    kiln_json_object(&json, NULL);
    kiln_json_string(&json, "image", s->image);
    kiln_json_string(&json, "raw", s->raw);
    kiln_json_int(&json, "samples", s->job.count);
    kiln_json_int(&json, "seed", (int64_t)s->job.seed);
    kiln_json_string(&json, "checkpoint", s->trained.hash);
    kiln_json_number(&json, "seconds", s->seconds);
    kiln_stats_json("stats", &profile, &json);
    kiln_json_end(&json);
    return kiln_cli_print(&text, error);
}

static double clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static enum kiln_status draw(struct sampling *s, struct kiln_error *error)
{
    struct kiln_shape shape = kiln_sampler_sample_shape(s->sampler, s->job.count);
    enum kiln_status status = allocate(&s->samples, shape, error);
    double start = clock_now();
    if (!status)
        status = kiln_sampler_run(s->sampler, &s->job, s->samples, error);
    s->seconds = clock_now() - start;
    kiln_progress_finish(&s->progress);
    if (!status && s->raw)
        status = kiln_samples_write_raw(s->raw, s->samples, &shape, s->labels, error);
    if (!status && s->image)
        status = write_image(s, &shape, error);
    return status ? status : print_result(s, error);
}

static enum kiln_status run(const struct kiln_cli *cli, struct kiln_error *error)
{
    struct sampling s = {.cli = cli, .stop = kiln_cli_stop()};
    enum kiln_status status = kiln_trained_open(cli, false, &s.trained, error);
    if (!status)
        status = choose_outputs(&s, error);
    if (!status)
        status = prepare(&s, error);
    if (!status)
        status = draw(&s, error);
    kiln_sampler_destroy(&s.sampler);
    kiln_trained_close(&s.trained);
    free(s.noise);
    free(s.labels);
    free(s.samples);
    free(s.image);
    free(s.raw);
    return status;
}

static const struct kiln_cli_option options[] = {
    {"number", 'n', "N", "sample.n", "how many samples"},
    {"output", 'o', "FILE.png", NULL, "the grid (default samples.png beside the checkpoint)"},
    {"raw", 0, "FILE.safetensors", NULL, "the samples as numbers; without -o no grid is written"},
    {"seed", 0, "N", "sample.seed", "seed of the samples"},
    {"sampler", 0, "NAME", "sample.sampler", "one of the model's samplers"},
    {"steps", 0, "N", "sample.steps", "steps of the sampler"},
    {"eta", 0, "X", "sample.eta", "DDIM: 0 deterministic, 1 as DDPM"},
    {"class", 0, "K|all", NULL, "condition on class K, or on each in turn"},
    {"guidance", 0, "W", "sample.guidance", "guidance scale; 1: none"},
    {"noise", 0, "FILE.safetensors", NULL, "initial noise: tensor \"noise\" [N, ...] f32"},
    {"interpolate", 0, NULL, NULL, "rows that go from one noise to another"},
    KILN_CLI_STATS_OPTION,
    KILN_CLI_TRAINED_OPTIONS,
    {0},
};

static const char *const examples[] = {
    "kiln sample runs/vae",
    "writes a grid to runs/vae/samples.png",
    "kiln sample runs/vae -n 16 -o four.png --seed 7",
    "writes 16 others",
    "kiln sample runs/vae --interpolate -o between.png",
    "writes rows from one picture to another",
    "kiln sample runs/vae -n 10000 --raw samples.safetensors",
    "writes many samples as numbers",
    NULL,
};

const struct kiln_command kiln_command_sample = {
    .name = "sample",
    .arguments = "RUN",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "draw samples from a trained model",
    .description =
        "RUN is a run's directory or a safetensors file; a file that Kiln did not write needs "
        "--config. Samples come from the moving average of the weights where there is one. Sample "
        "i of a seed is the same whatever the number of samples. The paths written are printed.",
    .options = options,
    .examples = examples,
    .run = run,
};
