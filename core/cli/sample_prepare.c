/* What kiln sample does before it draws. */
#include <stdlib.h>
#include <string.h>

#include "core/api/pages.h"
#include "core/cli/sampling.h"
#include "core/run/sample_image.h"

enum { COLUMNS = 8 /* of a grid of interpolations */, MAX_FRAMES = 48 };

enum kiln_status kiln_sampling_choose_outputs(struct kiln_sampling *s, struct kiln_error *error)
{
    const char *raw = kiln_cli_value(s->cli, "raw"), *animation = kiln_cli_value(s->cli, "animate");
    enum kiln_status status = KILN_OK;
    if (raw) {
        s->raw = kiln_trained_output(s->cli, &s->trained, "raw", "");
        status = s->raw ? kiln_cli_check_output(s->raw, error) : KILN_OK;
    }
    if (!status && animation) {
        s->animation = kiln_trained_output(s->cli, &s->trained, "animate", "");
        status = s->animation ? kiln_cli_check_output(s->animation, error) : KILN_OK;
    }
    if ((!raw && !animation) || kiln_cli_flag(s->cli, "output"))
        s->image = kiln_trained_output(s->cli, &s->trained, "output", "samples.png");
    if (!s->raw && !s->image && !s->animation)
        return kiln_fail(error, KILN_MACHINE, "sample: out of memory");
    return !status && s->image ? kiln_cli_check_output(s->image, error) : status;
}

/* A file of noise decides how many samples there are, unless --number asks for
 * fewer. */
static enum kiln_status read_noise(struct kiln_sampling *s, struct kiln_error *error)
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

enum kiln_status kiln_sampling_allocate(float **out, struct kiln_shape shape,
                                        struct kiln_error *error)
{
    int64_t count = kiln_shape_count(&shape);
    *out = count > 0 ? calloc((size_t)count, sizeof **out) : NULL;
    if (!*out)
        return kiln_fail(error, KILN_MACHINE, "sample: out of memory for %lld samples",
                         (long long)shape.d[0]);
    kiln_advise_large_pages(*out, (size_t)count * sizeof **out);
    return KILN_OK;
}

/* --interpolate: whole rows, and batches of whole rows. */
static enum kiln_status plan_rows(struct kiln_sampling *s, struct kiln_sample_request *request,
                                  struct kiln_error *error)
{
    if (!kiln_cli_flag(s->cli, "interpolate"))
        return KILN_OK;
    if (kiln_cli_value(s->cli, "noise"))
        return kiln_fail(error, KILN_INPUT, "sample: --interpolate draws its own noise (--noise)");
    s->columns = request->columns = COLUMNS;
    s->job.count = (s->job.count + COLUMNS - 1) / COLUMNS * COLUMNS;
    request->batch = (request->batch + COLUMNS - 1) / COLUMNS * COLUMNS;
    return KILN_OK;
}

static enum kiln_status interpolate(struct kiln_sampling *s, struct kiln_error *error)
{
    if (!kiln_cli_flag(s->cli, "interpolate"))
        return KILN_OK;
    enum kiln_status status = kiln_sampling_allocate(
        &s->noise, kiln_sampler_noise_shape(s->sampler, s->job.count), error);
    if (!status)
        status = kiln_sampler_interpolate(s->sampler, s->job.seed, s->job.count / COLUMNS, COLUMNS,
                                          s->noise, error);
    s->job.noise = s->noise;
    return status;
}

/* --class K, or all: equally many of each class, a line of the grid each. */
static enum kiln_status choose_classes(struct kiln_sampling *s, struct kiln_error *error)
{
    const char *class = kiln_cli_value(s->cli, "class");
    int64_t n_classes = s->trained.experiment.info.n_classes, only = -1, each = 1;
    if (!class)
        return KILN_OK;
    if (strcmp(class, "all")) {
        enum kiln_status status = kiln_cli_int(s->cli, "class", 0, n_classes - 1, &only, error);
        if (status)
            return status;
    } else if (s->columns) {
        each = s->columns; /* rows of an interpolation are of one class */
    } else {
        each = (s->job.count + n_classes - 1) / n_classes;
        if (!s->noise) /* a file of noise decides how many there are */
            s->job.count = each * n_classes;
    }
    s->labels = malloc((size_t)s->job.count * sizeof *s->labels);
    if (!s->labels)
        return kiln_fail(error, KILN_MACHINE, "sample: out of memory");
    kiln_sample_labels(s->job.count, each, n_classes, s->labels);
    for (int64_t i = 0; i < s->job.count && only >= 0; i++)
        s->labels[i] = (int32_t)only;
    if (only < 0 && !s->columns)
        s->columns = kiln_sample_class_columns(each);
    s->job.label = s->labels;
    return KILN_OK;
}

/* --init and --mask. */
static enum kiln_status read_known(struct kiln_sampling *s, struct kiln_error *error)
{
    const char *init = kiln_cli_value(s->cli, "init"), *mask = kiln_cli_value(s->cli, "mask");
    struct kiln_shape shape = kiln_sampler_sample_shape(s->sampler, 1);
    if (!init)
        return KILN_OK;
    s->job.known = &s->known;
    return kiln_known_read(init, mask, &shape, &s->known, error);
}

/* --animate: frames for a few seconds, however many iterations there are. */
static enum kiln_status plan_frames(struct kiln_sampling *s, struct kiln_error *error)
{
    if (!s->animation)
        return KILN_OK;
    int n = kiln_sampler_iterations(s->sampler);
    s->job.n_frames = n < MAX_FRAMES ? n : MAX_FRAMES;
    struct kiln_shape frame = kiln_sampler_sample_shape(s->sampler, s->job.count);
    size_t count = (size_t)kiln_shape_count(&frame);
    s->frames = calloc(count, (size_t)s->job.n_frames * sizeof *s->frames);
    s->job.frames = s->frames;
    return s->frames ? KILN_OK
                     : kiln_fail(error, KILN_MACHINE, "sample: out of memory for %d frames",
                                 s->job.n_frames);
}

static enum kiln_status plan_request(struct kiln_sampling *s, struct kiln_sample_request *request,
                                     struct kiln_error *error)
{
    bool init = kiln_cli_flag(s->cli, "init"), mask = kiln_cli_flag(s->cli, "mask");
    kiln_sample_request_read(s->trained.config, s->job.count, request);
    request->labelled = kiln_cli_flag(s->cli, "class");
    request->inpaint = init;
    request->preview = s->animation != NULL;
    if (request->labelled && !s->trained.experiment.info.n_classes)
        return kiln_fail(error, KILN_INPUT, "sample: --class: the model's data has no classes");
    if (init != mask)
        return kiln_fail(error, KILN_INPUT, "sample: --%s needs --%s too", init ? "init" : "mask",
                         init ? "mask" : "init");
    return plan_rows(s, request, error);
}

/* The sampler with the weights, on the device. */
static enum kiln_status load(struct kiln_sampling *s, bool labelled, struct kiln_error *error)
{
    kiln_graph *graphs[KILN_SAMPLER_GRAPHS];
    int n = kiln_sampler_graphs(s->sampler, graphs);
    enum kiln_status status = kiln_session_prepare(s->trained.session, n, graphs, 0, NULL, error);
    if (!status)
        status = kiln_session_initialise(s->trained.session, 0, error);
    if (!status)
        status = kiln_checkpoint_load(s->trained.checkpoint, s->trained.session, true, error);
    if (!status)
        status = kiln_sampler_compile(s->sampler, s->trained.session, false, error);
    if (!status && labelled && !kiln_sampler_takes_labels(s->sampler))
        status = kiln_fail(error, KILN_INPUT, "sample: --class: model %s takes no class",
                           s->trained.experiment.instance.model->name);
    return status;
}

enum kiln_status kiln_sampling_prepare(struct kiln_sampling *s, struct kiln_error *error)
{
    struct kiln_sample_request request;
    s->job.seed = (uint64_t)kiln_config_int(s->trained.config, "sample", "seed");
    s->job.count = kiln_config_int(s->trained.config, "sample", "n");
    enum kiln_status status = plan_request(s, &request, error);
    if (!status)
        status = kiln_sampler_create(&s->trained.experiment.instance, &request, &s->sampler, error);
    if (!status)
        status = read_known(s, error);
    if (!status)
        status = read_noise(s, error);
    if (!status)
        status = choose_classes(s, error);
    if (!status)
        status = load(s, request.labelled, error);
    if (!status)
        status = interpolate(s, error);
    return status ? status : plan_frames(s, error);
}
