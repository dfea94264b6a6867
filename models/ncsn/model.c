/* The ncsn plugin: options, denoising score matching, the table. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/common/diffusers.h"
#include "models/common/sampling.h"
#include "models/ncsn/ncsn.h"

enum { STREAM_LEVEL = 1, STREAM_NOISE = 2, STREAM_DEQUANTISE = 5 };

static const struct kiln_option options[] = {
    {"network", "arch", KILN_OPTION_CHOICE, "refinenet", 0, 0, "refinenet|unet|mlp",
     "refinenet: NCSNv2's; unet: diffusers' UNet2DModel; mlp: for points"},
    {"network", "ngf", KILN_OPTION_INT, "64", 2, 4096, NULL, "features of refinenet, width of mlp"},
    {"network", "conditional", KILN_OPTION_BOOL, "false", 0, 0, NULL,
     "refinenet: norms conditioned on the noise level (NCSN v1)"},
    {"network", "divide_by_sigma", KILN_OPTION_BOOL, "true", 0, 0, NULL,
     "technique 3: score = network / sigma"},
    {"noise", "sigma_begin", KILN_OPTION_STRING, "auto", 0, 0, NULL,
     "largest noise; auto = technique 1: the largest distance between two training samples"},
    {"noise", "sigma_end", KILN_OPTION_FLOAT, "0.01", 1e-6, 1e6, NULL, "smallest noise"},
    {"noise", "num_scales", KILN_OPTION_STRING, "auto", 0, 0, NULL,
     "levels; auto = technique 2: from the overlap of neighbours"},
    {"noise", "overlap", KILN_OPTION_FLOAT, "0.5", 0.01, 0.999, NULL,
     "target of technique 2 (0.567 gives the published ladders)"},
    {"noise", "dequantise", KILN_OPTION_BOOL, "false", 0, 0, NULL,
     "uniform noise of one grey level in training"},
    {"noise", "steps_per_scale", KILN_OPTION_INT, "5", 1, 100000, NULL,
     "Langevin steps T of a level"},
    {"noise", "step_size", KILN_OPTION_STRING, "auto", 0, 0, NULL,
     "epsilon of the last level; auto = technique 4: from steps_per_scale"},
    {"sample", "denoise", KILN_OPTION_BOOL, "true", 0, 0, NULL, "a last step without noise"},
    {"sample", "snr", KILN_OPTION_FLOAT, "0.16", 1e-6, 10, NULL,
     "pc: signal-to-noise ratio of the corrector"},
    {"sample", "langevin_steps", KILN_OPTION_INT, "1000", 1, 10000000, NULL,
     "langevin: number of steps"},
    {"sample", "langevin_step_size", KILN_OPTION_FLOAT, "0.00002", 1e-12, 1e6, NULL,
     "langevin: step"},
    {"study", "sigma", KILN_OPTION_FLOAT, "0.1", 1e-6, 10, NULL,
     "study manifold: noise on the circle's points"},
    UNET2D_OPTIONS,
    {0},
};

/* --- derived values ------------------------------------------------------------- */

/* A number above 0, or "auto" (0); negative if it is neither. */
static double number_or_auto(const kiln_config *config, const char *key)
{
    const char *text = kiln_config_string(config, "noise", key);
    if (!strcmp(text, "auto"))
        return 0;
    char *end;
    double value = strtod(text, &end);
    return *text && !*end && value > 0 && value < 1e9 ? value : -1;
}

static enum kiln_status bad_number(const kiln_config *config, const char *key,
                                   struct kiln_error *error)
{
    return kiln_fail(error, KILN_INPUT, "[noise] %s: '%s' is neither auto nor a number above 0",
                     key, kiln_config_string(config, "noise", key));
}

static double dimensions_of(const struct kiln_data_info *data)
{
    return (double)(data->points ? 2 : data->channels * data->height * data->width);
}

static enum kiln_status derive(kiln_config *config, const struct kiln_data_info *data,
                               struct kiln_error *error)
{
    if (number_or_auto(config, "sigma_begin") != 0 || !data->train)
        return KILN_OK;
    double distance =
        largest_distance(data->train, !data->points, data->n_train, (int64_t)dimensions_of(data));
    if (distance < 0)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    if (distance == 0)
        return kiln_fail(error, KILN_INPUT,
                         "[noise] sigma_begin: all training samples are equal (give a number)");
    return kiln_config_replace_number(config, "noise", "sigma_begin", distance, error);
}

static enum kiln_status init_scales(struct ladder *ladder, const kiln_config *config,
                                    double dimensions, struct kiln_error *error)
{
    double scales = number_or_auto(config, "num_scales");
    if (scales < 0 || scales > 100000 || scales != floor(scales))
        return kiln_fail(error, KILN_INPUT,
                         "[noise] num_scales: '%s' is neither auto nor a whole number up to 100000",
                         kiln_config_string(config, "noise", "num_scales"));
    double reach = log(ladder->sigma_begin / ladder->sigma_end);
    if (scales == 0) {
        double target = kiln_config_float(config, "noise", "overlap"),
               gamma = ladder_gamma(dimensions, target);
        if (gamma == 0)
            return kiln_fail(error, KILN_INPUT,
                             "[noise] num_scales: no ladder in %g dimensions has an overlap of %g "
                             "(give a number)",
                             dimensions, target);
        scales = fmin(round(1 + reach / log(gamma)), 100000);
    }
    ladder->num_scales = (int)scales;
    ladder->gamma = ladder->num_scales > 1 ? exp(reach / (ladder->num_scales - 1)) : 1;
    ladder->overlap = ladder_overlap(dimensions, ladder->gamma);
    return KILN_OK;
}

static enum kiln_status init_ladder(struct ladder *ladder, const kiln_config *config,
                                    const struct kiln_data_info *data, struct kiln_error *error)
{
    ladder->sigma_begin = number_or_auto(config, "sigma_begin");
    ladder->sigma_end = kiln_config_float(config, "noise", "sigma_end");
    ladder->steps_per_scale = (int)kiln_config_int(config, "noise", "steps_per_scale");
    if (ladder->sigma_begin < 0)
        return bad_number(config, "sigma_begin", error);
    if (ladder->sigma_begin == 0)
        return kiln_fail(error, KILN_INPUT,
                         "[noise] sigma_begin: auto needs the training data (give a number)");
    if (ladder->sigma_begin < ladder->sigma_end)
        return kiln_fail(error, KILN_INPUT, "[noise] sigma_begin: %g is below sigma_end = %g",
                         ladder->sigma_begin, ladder->sigma_end);
    enum kiln_status status = init_scales(ladder, config, dimensions_of(data), error);
    if (status)
        return status;
    double step_size = number_or_auto(config, "step_size");
    if (step_size < 0)
        return bad_number(config, "step_size", error);
    ladder->step_size = ladder_step_size(ladder->sigma_end, ladder->gamma, ladder->steps_per_scale,
                                         &ladder->variance_ratio);
    if (step_size > 0)
        ladder->step_size = step_size;
    return KILN_OK;
}

enum kiln_status ncsn_init(struct ncsn *net, const kiln_config *config,
                           const struct kiln_data_info *data, struct kiln_error *error)
{
    const char *arch = kiln_config_string(config, "network", "arch");
    *net = (struct ncsn){
        .data = *data,
        .arch = !strcmp(arch, "mlp")    ? ARCH_MLP
                : !strcmp(arch, "unet") ? ARCH_UNET
                                        : ARCH_REFINENET,
        .conditional = kiln_config_bool(config, "network", "conditional"),
        .divide_by_sigma = kiln_config_bool(config, "network", "divide_by_sigma"),
        .dequantise = kiln_config_bool(config, "noise", "dequantise"),
        .ngf = kiln_config_int(config, "network", "ngf"),
        .snr = kiln_config_float(config, "sample", "snr"),
        .denoise = kiln_config_bool(config, "sample", "denoise"),
        .langevin_steps = (int)kiln_config_int(config, "sample", "langevin_steps"),
        .langevin_step_size = kiln_config_float(config, "sample", "langevin_step_size"),
        .langevin_sigma = kiln_config_float(config, "noise", "sigma_end"),
    };
    if (data->points != (net->arch == ARCH_MLP))
        return kiln_fail(error, KILN_INPUT, "[network] arch: %s",
                         data->points ? "points need mlp" : "mlp is for points");
    if (net->arch == ARCH_REFINENET && (data->height % 2 || data->width % 2))
        return kiln_fail(error, KILN_INPUT, "[network] arch: refinenet needs an even picture size");
    enum kiln_status status = init_ladder(&net->ladder, config, data, error);
    if (!status && net->arch == ARCH_UNET)
        status = unet2d_init(&net->unet, config, data->channels, data->channels, data->height,
                             data->width, 0, error);
    return status;
}

static enum kiln_status create(const kiln_config *config, const struct kiln_data_info *data,
                               void **out, struct kiln_error *error)
{
    struct ncsn *net = malloc(sizeof *net);
    if (!net)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    enum kiln_status status = ncsn_init(net, config, data, error);
    if (status) {
        free(net);
        return status;
    }
    *out = net;
    return KILN_OK;
}

/* --- training ---------------------------------------------------------------------- */

static int phases(void *user, struct kiln_phase out[KILN_MAX_PHASES])
{
    (void)user;
    out[0] = (struct kiln_phase){.name = "score", .group = "", .repeats = 1};
    return 1;
}

/*
 * Denoising score matching weighted by sigma^2 (Song & Ermon 2019, eq. 6),
 * per sample: half the squared norm of sigma s(x + sigma z) + z.
 */
static kiln_node per_sample_loss(const struct ncsn *net, kiln_graph *g,
                                 const struct kiln_batch *batch)
{
    struct kiln_rng levels = {.kind = KILN_RNG_INTEGER,
                              .stream = STREAM_LEVEL,
                              .bound = (uint32_t)net->ladder.num_scales};
    struct kiln_rng normal = {.kind = KILN_RNG_NORMAL, .stream = STREAM_NOISE};
    kiln_node level = kiln_random(g, KILN_SHAPE(batch->size), levels);
    kiln_node sigma = kiln_gather_rows(g, ncsn_sigmas(net, g), level);
    kiln_node x = batch->x;
    if (net->dequantise && batch->training) {
        struct kiln_rng uniform = {.kind = KILN_RNG_UNIFORM, .stream = STREAM_DEQUANTISE};
        x = kiln_add(g, kiln_mul_scalar(g, x, 255.0 / 256),
                     kiln_mul_scalar(g, kiln_random(g, kiln_shape(g, x), uniform), 1.0 / 256));
    }
    kiln_node z = kiln_random(g, kiln_shape(g, x), normal);
    kiln_node noisy = kiln_add(g, x, kiln_mul(g, sampling_per_sample(g, sigma, x), z));
    kiln_node score = ncsn_score(net, g, noisy, level, sigma, batch->training);
    kiln_graph_label(g, "loss");
    kiln_node error = kiln_add(g, kiln_mul(g, score, sampling_per_sample(g, sigma, score)), z);
    return kiln_mul_scalar(g, kiln_sum_per_sample(g, kiln_square(g, error)), 0.5);
}

static void loss(void *user, kiln_graph *g, int phase, const struct kiln_batch *batch,
                 struct kiln_loss *out)
{
    (void)phase;
    out->loss = kiln_mean_all(g, per_sample_loss(user, g, batch));
}

static void evaluate(void *user, kiln_graph *g, const struct kiln_batch *batch,
                     struct kiln_figures *figures)
{
    figures->n = 1;
    figures->figures[0] = (struct kiln_metric){"dsm_loss", per_sample_loss(user, g, batch)};
}

static void describe(void *user, kiln_describe_fn *emit, void *to)
{
    const struct ncsn *net = user;
    const struct ladder *ladder = &net->ladder;
    emit(to, "sigma_begin", ladder->sigma_begin);
    emit(to, "sigma_end", ladder->sigma_end);
    emit(to, "num_scales", ladder->num_scales);
    emit(to, "gamma", ladder->gamma);
    emit(to, "overlap", ladder->overlap);
    emit(to, "steps_per_scale", ladder->steps_per_scale);
    emit(to, "step_size", ladder->step_size);
    emit(to, "variance_ratio", ladder->variance_ratio);
    emit(to, "evaluations", (double)ladder->num_scales * ladder->steps_per_scale + net->denoise);
}

/* Published averages of weights have no sigmas. */
static const char *const optional[] = {"sigmas", NULL};

static const struct kiln_exchange exchange = {.aliases = diffusers_aliases, .optional = optional};

static const struct kiln_study *const studies[] = {&ncsn_study_langevin, &ncsn_study_manifold,
                                                 NULL};

const struct kiln_model ncsn_model = {
    .abi = KILN_MODEL_ABI,
    .size = sizeof ncsn_model,
    .name = "ncsn",
    .summary =
        "noise-conditional score network with annealed Langevin dynamics (Song & Ermon 2019, 2020)",
    .options = options,
    .create = create,
    .destroy = free,
    .phases = phases,
    .loss = loss,
    .evaluate = evaluate,
    .samplers = ncsn_samplers,
    .sample_plan = ncsn_sample_plan,
    .sample_start = ncsn_sample_start,
    .sample_step = ncsn_sample_step,
    .sample_finish = ncsn_sample_finish,
    .sample_noised = ncsn_sample_noised,
    .describe = describe,
    .reference = "ermongroup/ncsnv2",
    .derive = derive,
    .check = "[data]\n"
             "source = shapes\n"
             "image_size = 16\n"
             "n_train = 16\n"
             "n_test = 16\n"
             "[network]\n"
             "arch = unet\n"
             "block_out_channels = 8, 16\n"
             "layers_per_block = 1\n"
             "norm_num_groups = 4\n"
             "[noise]\n"
             "sigma_begin = 5\n"
             "num_scales = 10\n"
             "step_size = 1e-5\n",
    .studies = studies,
    .exchange = &exchange,
};

KILN_API const struct kiln_model *kiln_model_entry(void);
const struct kiln_model *kiln_model_entry(void)
{
    return &ncsn_model;
}
