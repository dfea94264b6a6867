/* The vae plugin: names and shapes of its parameters, and what it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/plan/states.h"
#include "core/run/config.h"
#include "core/run/graphs.h"

static const struct kiln_data_info fashion = {
    .channels = 1, .height = 28, .width = 28, .n_classes = 10, .n_train = 60000, .n_test = 10000};

/* Makes the model of a config that has these further lines. */
static enum kiln_status make(const char *lines, const struct kiln_data_info *info,
                             kiln_config **config, struct kiln_instance *instance,
                             struct kiln_error *error)
{
    char text[1024];
    snprintf(text, sizeof text, "[model]\nplugin = vae\n%s", lines);
    const struct kiln_config_source source = {
        .path = "test.ini", .text = text, .text_bytes = strlen(text)};
    enum kiln_status status = kiln_config_load(&source, config, error);
    if (status)
        return status;
    instance->model = kiln_config_model(*config);
    return instance->model->create(*config, info, &instance->state, error);
}

static void expect_state(const kiln_states *states, const char *name, struct kiln_shape shape)
{
    int i = kiln_states_find(states, name);
    if (i < 0)
        fail_msg("no state %s", name);
    if (!kiln_shape_equal(&kiln_states_at(states, i)->state.shape, &shape))
        fail_msg("%s has another shape", name);
}

static int64_t count_parameters(const kiln_states *states)
{
    int64_t count = 0;
    for (int i = 0; i < kiln_states_count(states); i++) {
        const struct kiln_state *state = &kiln_states_at(states, i)->state;
        count += state->trainable ? kiln_shape_count(&state->shape) : 0;
    }
    return count;
}

/* Builds every graph of the model and returns the states of its training. */
static kiln_states *states_of(const struct kiln_instance *instance,
                              const struct kiln_data_info *info)
{
    const struct kiln_batch_source source = {
        .info = *info, .dtype = KILN_U8, .n = 100, .size = 7, .resident = true, .training = true};
    const struct kiln_sample_request request = {.batch = 5, .sampler = "", .noise_scale = 1};
    struct kiln_phase_graph phase;
    struct kiln_figures_graph figures;
    struct kiln_sampler_graphs sampler;
    kiln_graph *reconstruction;
    struct kiln_error error;
    if (kiln_phase_graph_create(instance, 0, &source, (struct kiln_update){0}, &phase, &error) ||
        kiln_figures_graph_create(instance, &source, &figures, &error) ||
        kiln_reconstruct_graph_create(instance, &source, &reconstruction, &error) ||
        kiln_sampler_graphs_create(instance, &request, &sampler, &error))
        fail_msg("%s", error.text);
    assert_string_equal(phase.names[1], "reconstruction");
    assert_string_equal(phase.names[2], "kl");
    assert_int_equal(figures.n_figures, 3);
    kiln_states *states = kiln_states_create();
    const kiln_graph *graphs[] = {phase.graph, figures.graph, reconstruction, sampler.finish};
    for (int i = 0; i < 4; i++)
        if (kiln_states_collect(states, graphs[i], &error))
            fail_msg("%s", error.text);
    kiln_phase_graph_finish(&phase);
    kiln_figures_graph_finish(&figures);
    kiln_graph_destroy(&reconstruction);
    kiln_sampler_graphs_finish(&sampler);
    return states;
}

static void mlp_is_pytorchs(void **unused)
{
    (void)unused;
    kiln_config *config;
    struct kiln_instance instance;
    struct kiln_error error;
    assert_int_equal(make("", &fashion, &config, &instance, &error), KILN_OK);
    kiln_states *states = states_of(&instance, &fashion);
    expect_state(states, "fc1.weight", KILN_SHAPE(400, 784));
    expect_state(states, "fc1.bias", KILN_SHAPE(400));
    expect_state(states, "fc21.weight", KILN_SHAPE(20, 400));
    expect_state(states, "fc22.bias", KILN_SHAPE(20));
    expect_state(states, "fc3.weight", KILN_SHAPE(400, 20));
    expect_state(states, "fc4.weight", KILN_SHAPE(784, 400));
    assert_int_equal(count_parameters(states), 652824);
    kiln_states_destroy(&states);
    instance.model->destroy(instance.state);
    kiln_config_destroy(&config);
}

static void mixture_adds_the_priors_components(void **unused)
{
    (void)unused;
    kiln_config *config;
    struct kiln_instance instance;
    struct kiln_error error;
    assert_int_equal(make("[network]\nprior = mixture\nprior_components = 3\n", &fashion, &config,
                          &instance, &error),
                     KILN_OK);
    kiln_states *states = states_of(&instance, &fashion);
    expect_state(states, "prior.logits", KILN_SHAPE(3));
    expect_state(states, "prior.means", KILN_SHAPE(3, 20));
    expect_state(states, "prior.log_variances", KILN_SHAPE(3, 20));
    assert_int_equal(count_parameters(states), 652824 + 3 * 41);
    kiln_states_destroy(&states);
    instance.model->destroy(instance.state);
    kiln_config_destroy(&config);
}

static void conv_fits_squares_divisible_by_4(void **unused)
{
    (void)unused;
    const struct {
        int64_t channels, side;
        const char *lines;
    } cases[] = {
        {1, 28, "[network]\narch = conv\n"},
        {3, 32, "[network]\narch = conv\n[train]\nlikelihood = gaussian\nbeta = 4\n"},
        {3, 12, "[network]\narch = conv\nblock_out_channels = 8, 16\nlatent_size = 3\n"},
        {1, 64, "[network]\narch = conv\nblock_out_channels = 8, 16, 32, 64\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct kiln_data_info info = fashion;
        kiln_config *config;
        struct kiln_instance instance;
        struct kiln_error error;
        info.channels = cases[i].channels;
        info.height = info.width = cases[i].side;
        if (make(cases[i].lines, &info, &config, &instance, &error))
            fail_msg("%s", error.text);
        kiln_states *states = states_of(&instance, &info);
        assert_true(kiln_states_find(states, "encoder.0.weight") >= 0);
        assert_true(kiln_states_find(states, "decoder.2.bias") >= 0);
        kiln_states_destroy(&states);
        instance.model->destroy(instance.state);
        kiln_config_destroy(&config);
    }
}

static void resnet_has_the_names_of_diffusers_blocks(void **unused)
{
    (void)unused;
    struct kiln_data_info oblong = fashion;
    kiln_config *config;
    struct kiln_instance instance;
    struct kiln_error error;
    oblong.width = 32;
    if (make("[network]\narch = resnet\nlayers_per_block = 2\nblock_out_channels = 8, 24\n",
             &oblong, &config, &instance, &error))
        fail_msg("%s", error.text);
    kiln_states *states = states_of(&instance, &oblong);
    expect_state(states, "encoder.conv_in.weight", KILN_SHAPE(8, 1, 3, 3));
    expect_state(states, "encoder.down_blocks.1.resnets.0.conv_shortcut.weight",
                 KILN_SHAPE(24, 8, 1, 1));
    expect_state(states, "encoder.down_blocks.1.downsamplers.0.conv.bias", KILN_SHAPE(24));
    expect_state(states, "encoder.mid_block.resnets.1.norm2.weight", KILN_SHAPE(24));
    expect_state(states, "fc21.weight", KILN_SHAPE(20, 24 * 7 * 8));
    expect_state(states, "decoder.up_blocks.1.resnets.1.conv2.weight", KILN_SHAPE(8, 8, 3, 3));
    expect_state(states, "decoder.up_blocks.0.upsamplers.0.conv.weight", KILN_SHAPE(24, 24, 3, 3));
    expect_state(states, "decoder.conv_out.weight", KILN_SHAPE(1, 8, 3, 3));
    assert_true(kiln_states_find(states, "encoder.mid_block.resnets.0.time_emb_proj.weight") < 0);
    kiln_states_destroy(&states);
    instance.model->destroy(instance.state);
    kiln_config_destroy(&config);
}

static void refuses(const char *lines, struct kiln_data_info info, const char *word)
{
    kiln_config *config = NULL;
    struct kiln_instance instance;
    struct kiln_error error;
    assert_int_equal(make(lines, &info, &config, &instance, &error), KILN_INPUT);
    if (!strstr(error.text, word))
        fail_msg("\"%s\" does not name %s", error.text, word);
    kiln_config_destroy(&config);
}

static void wrong_configs_are_refused(void **unused)
{
    (void)unused;
    struct kiln_data_info odd = fashion, oblong = fashion, points = fashion;
    odd.height = odd.width = 30;
    oblong.width = 32;
    points.points = true;
    refuses("[network]\narch = conv\n", odd, "multiple of 4");
    refuses("[network]\narch = conv\n", oblong, "28x32");
    refuses("[network]\narch = resnet\n", odd, "multiple of 4");
    refuses("[network]\narch = resnet\nblock_out_channels = 16, 20\n", fashion, "norm_num_groups");
    refuses("", points, "points");
    refuses("[network]\nblock_out_channels = 1, 2, 3, 4, 5, 6, 7\narch = conv\n", fashion,
            "block_out_channels");
    refuses("[network]\nlatent_size = 0\n", fashion, "latent_size");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mlp_is_pytorchs),
        cmocka_unit_test(mixture_adds_the_priors_components),
        cmocka_unit_test(conv_fits_squares_divisible_by_4),
        cmocka_unit_test(resnet_has_the_names_of_diffusers_blocks),
        cmocka_unit_test(wrong_configs_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
