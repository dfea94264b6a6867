/* kiln sample: pictures from a trained model. */
#include <stdlib.h>
#include <time.h>

#include "core/cli/sampling.h"
#include "core/cli/stats.h"
#include "core/run/sample_image.h"

static bool show_progress(void *user, int64_t done, int64_t total)
{
    struct kiln_sampling *sampling = user;
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

static double clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Raw samples go to their file as they come: there may be very many. */
static enum kiln_status write_raw(void *user, const float *samples, int64_t count,
                                  struct kiln_error *error)
{
    struct kiln_sampling *s = user;
    double start = clock_now();
    struct kiln_shape shape = kiln_sampler_sample_shape(s->sampler, count);
    kiln_safetensors_writer_data(s->raw_file, samples,
                                 kiln_shape_count(&shape) * (int64_t)sizeof *samples);
    s->seconds -= clock_now() - start;
    return kiln_safetensors_writer_status(s->raw_file, error);
}

static enum kiln_status draw(struct kiln_sampling *s, struct kiln_error *error)
{
    struct kiln_shape shape = kiln_sampler_sample_shape(s->sampler, s->job.count);
    enum kiln_status status = KILN_OK;
    if (s->image || s->animation)
        status = kiln_sampling_allocate(&s->samples, shape, error);
    if (!status && s->raw)
        status = kiln_samples_begin_raw(s->raw, &shape, s->labels, &s->raw_file, error);
    s->job.take = s->raw ? write_raw : NULL;
    double start = clock_now();
    if (!status)
        status = kiln_sampler_run(s->sampler, &s->job, s->samples, error);
    s->seconds += clock_now() - start;
    kiln_progress_finish(&s->progress);
    if (!status && s->raw)
        status = kiln_safetensors_writer_commit(&s->raw_file, error);
    return status ? status : kiln_sampling_write(s, error);
}

static enum kiln_status run(const struct kiln_cli *cli, struct kiln_error *error)
{
    struct kiln_sampling s = {.cli = cli, .stop = kiln_cli_stop()};
    s.job.progress = show_progress;
    s.job.user = &s;
    enum kiln_status status = kiln_trained_open(cli, false, &s.trained, error);
    if (!status)
        status = kiln_sampling_choose_outputs(&s, error);
    if (!status)
        status = kiln_sampling_prepare(&s, error);
    if (!status)
        status = draw(&s, error);
    kiln_safetensors_writer_abort(&s.raw_file);
    kiln_sampler_destroy(&s.sampler);
    kiln_trained_close(&s.trained);
    free(s.noise);
    free(s.labels);
    free(s.samples);
    free(s.frames);
    free(s.image);
    free(s.raw);
    free(s.animation);
    kiln_known_finish(&s.known);
    return status;
}

static const struct kiln_cli_option options[] = {
    {"number", 'n', "N", "sample.n", "how many samples"},
    {"output", 'o', "FILE.png", NULL, "the grid (default samples.png beside the checkpoint)"},
    {"raw", 0, "FILE.safetensors", NULL, "the samples as numbers; without -o no grid is written"},
    {"animate", 0, "FILE.png", NULL,
     "the denoising as an animated PNG; without -o no grid is written"},
    {"seed", 0, "N", "sample.seed", "seed of the samples"},
    {"sampler", 0, "NAME", "sample.sampler", "one of the model's samplers"},
    {"steps", 0, "N", "sample.steps", "steps of the sampler"},
    {"eta", 0, "X", "sample.eta", "DDIM: 0 deterministic, 1 as DDPM"},
    {"class", 0, "K|all", NULL, "condition on class K, or on each equally, in rows"},
    {"guidance", 0, "W", "sample.guidance", "guidance scale; 1: none"},
    {"batch-stats", 0, NULL, "sample.batch_stats",
     "wgan: normalise by the batch's statistics, as the reference does"},
    {"noise", 0, "FILE.safetensors", NULL, "initial noise: tensor \"noise\" [N, ...] f32"},
    {"interpolate", 0, NULL, NULL, "rows that go from one noise to another"},
    {"init", 0, "FILE.png", NULL, "paint into this picture, where --mask is white"},
    {"mask", 0, "FILE.png", NULL, "white is painted, black is kept exactly"},
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
    "kiln sample runs/cdiff --class all --guidance 2 -o classes.png",
    "writes a row of pictures of each class",
    "kiln sample runs/ddpm -n 9 --animate way.png",
    "writes an animation of what the model takes the pictures for, from noise to the end",
    "kiln sample runs/ddpm -n 4 --init coat.png --mask sleeves.png",
    "paints the white part of sleeves.png anew, in four ways",
    "kiln sample runs/wgan --batch-stats",
    "normalises by each batch's own statistics instead of the running ones",
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
        "i of a seed is the same whatever the number of samples. The paths written are printed."
        "\n\n--init and --mask paint into a picture (diffusion models): both are PNG files of the "
        "model's size. Where the mask is white the model paints; the rest of the picture is kept, "
        "noised to each step's level on the way and exactly in the result."
        "\n\n--animate shows at each of up to 48 steps what the model takes the result for (its "
        "predicted x0), then the samples. --interpolate mixes the ends' noises on the sphere, also "
        "the noise that a sampler injects on the way.",
    .options = options,
    .examples = examples,
    .run = run,
};
