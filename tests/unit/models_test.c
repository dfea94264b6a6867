/*
 * Models as wholes: the number of their parameters, equal to their
 * references', and the losses of a network that answers 0, known in closed
 * form.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/device/session.h"
#include "core/run/config.h"
#include "core/run/graphs.h"

enum { BATCH = 64 };

static struct kiln_error error;

#define OK(call)                                                                                   \
    do {                                                                                           \
        if ((call) != KILN_OK)                                                                     \
            fail_msg(#call ": %s", error.text);                                                    \
    } while (0)

/* A model with its first phase's graph. */
struct subject {
    kiln_config *config;
    struct kiln_instance instance;
    struct kiln_batch_source source;
    struct kiln_phase_graph phase;
};

static void set_up(struct subject *s, const char *text, struct kiln_data_info info)
{
    const struct kiln_config_source from = {
        .path = "test.ini", .text = text, .text_bytes = strlen(text)};
    OK(kiln_config_load(&from, &s->config, &error));
    s->instance.model = kiln_config_model(s->config);
    info.n_train = info.n_test = BATCH;
    s->source = (struct kiln_batch_source){
        .info = info, .dtype = KILN_U8, .n = BATCH, .size = BATCH, .training = true};
    OK(s->instance.model->create(s->config, &info, &s->instance.state, &error));
    OK(kiln_phase_graph_create(&s->instance, 0, &s->source,
                               (struct kiln_update){.kind = KILN_OPTIMIZER_SGD}, &s->phase,
                               &error));
}

static void tear_down(struct subject *s)
{
    kiln_phase_graph_finish(&s->phase);
    s->instance.model->destroy(s->instance.state);
    kiln_config_destroy(&s->config);
}

/* --- parameters ------------------------------------------------------------------- */

static int64_t n_parameters(const char *text, struct kiln_data_info info)
{
    struct subject s;
    set_up(&s, text, info);
    kiln_states *states = kiln_states_create();
    OK(kiln_states_collect(states, s.phase.graph, &error));
    int64_t count = 0;
    for (int i = 0; i < kiln_states_count(states); i++) {
        const struct kiln_state *state = &kiln_states_at(states, i)->state;
        count += state->trainable ? kiln_shape_count(&state->shape) : 0;
    }
    kiln_states_destroy(&states);
    tear_down(&s);
    return count;
}

static const struct kiln_data_info grey28 = {
    .channels = 1, .height = 28, .width = 28, .n_classes = 10};
static const struct kiln_data_info colour32 = {.channels = 3, .height = 32, .width = 32};

static void parameters_are_as_many_as_the_references(void **unused)
{
    (void)unused;
    assert_int_equal(n_parameters("[model]\nplugin = vae\n", grey28), 652824);
    assert_int_equal(n_parameters("[model]\nplugin = cdiff\n[network]\narch = context_unet\n"
                                  "n_feat = 64\n",
                                  grey28),
                     1650305);
    /* diffusers' google/ddpm-cifar10-32 */
    assert_int_equal(
        n_parameters("[model]\nplugin = ddpm\n[network]\n"
                     "block_out_channels = 128, 256, 256, 256\n"
                     "down_block_types = DownBlock2D, AttnDownBlock2D, DownBlock2D, DownBlock2D\n"
                     "up_block_types = UpBlock2D, UpBlock2D, AttnUpBlock2D, UpBlock2D\n"
                     "attention_head_dim = 0\n",
                     colour32),
        35746307);
    static const char ncsn[] = "[model]\nplugin = ncsn\n[noise]\nsigma_begin = 50\n"
                               "[network]\nngf = %d\n";
    char text[200];
    snprintf(text, sizeof text, ncsn, 128);
    assert_int_equal(n_parameters(text, colour32), 29694083);
    snprintf(text, sizeof text, ncsn, 64);
    assert_int_equal(n_parameters(text, grey28), 7426881);
}

/* --- the loss of nothing ------------------------------------------------------------- */

/* The first loss with every state 0, on random pictures; the optimiser stays
 * still. */
static double loss_of_zeros(const char *text, struct kiln_data_info info)
{
    struct subject s;
    kiln_device *device;
    kiln_session *session;
    kiln_executable *executable;
    set_up(&s, text, info);
    OK(kiln_device_open("cpu", NULL, &device, &error));
    OK(kiln_session_create(device, &(struct kiln_session_options){.fuse = true}, &session, &error));
    OK(kiln_session_group(session, "", (struct kiln_update){.kind = KILN_OPTIMIZER_SGD}, &error));
    OK(kiln_session_prepare(session, 1, &s.phase.graph, 0, NULL, &error));
    for (int i = 0; i < kiln_states_count(kiln_session_states(session)); i++) {
        const struct kiln_state_slot *slot = kiln_states_at(kiln_session_states(session), i);
        void *zeros = calloc((size_t)kiln_shape_count(&slot->state.shape), 4);
        OK(kiln_session_state_set(session, i, KILN_STATE_VALUE, zeros, &error));
        free(zeros);
    }
    OK(kiln_executable_create(session, s.phase.graph, NULL, &executable, &error));
    int64_t bytes = info.channels * info.height * info.width * BATCH;
    uint8_t *x = malloc((size_t)bytes);
    for (int64_t i = 0; i < bytes; i++)
        x[i] = (uint8_t)(i * i % 251);
    float report[KILN_MAX_METRICS + 3], hyper[KILN_HYPER_WORDS] = {[KILN_HYPER_LOSS_SCALE] = 1};
    OK(kiln_executable_write(executable, "batch.x", x, bytes, &error));
    if (info.n_classes)
        OK(kiln_executable_write(executable, "batch.label", (int32_t[BATCH]){0}, BATCH * 4,
                                 &error));
    OK(kiln_executable_write(executable, "rng", (int32_t[KILN_RNG_KEY_WORDS]){5, 0, 1}, 16,
                             &error));
    OK(kiln_executable_write(executable, "hyper", hyper, sizeof hyper, &error));
    OK(kiln_executable_run(executable, &error));
    OK(kiln_executable_read(executable, "report", report,
                            (s.phase.n_values + 2) * (int64_t)sizeof *report, &error));
    free(x);
    kiln_executable_destroy(&executable);
    kiln_session_destroy(&session);
    kiln_device_close(&device);
    tear_down(&s);
    return report[0];
}

/* An unlearned Bernoulli is a bit, ln 2, per pixel; the noise that is left to
 * predict is 1 per number, and half of that in score matching. */
static void a_network_of_zeros_has_known_losses(void **unused)
{
    (void)unused;
    static const char unet[] = "[network]\nblock_out_channels = 8, 8\nnorm_num_groups = 4\n"
                               "layers_per_block = 1\n";
    const struct kiln_data_info grey16 = {.channels = 1, .height = 16, .width = 16, .n_classes = 3};
    char text[300];
    assert_float_equal(loss_of_zeros("[model]\nplugin = vae\n", grey28), 784 * log(2), 0.01);
    snprintf(text, sizeof text, "[model]\nplugin = ddpm\n%s", unet);
    assert_float_equal(loss_of_zeros(text, colour32), 1, 0.02);
    snprintf(text, sizeof text, "[model]\nplugin = cdiff\n%s", unet);
    assert_float_equal(loss_of_zeros(text, grey16), 1, 0.05);
    assert_float_equal(loss_of_zeros("[model]\nplugin = ncsn\n[network]\nngf = 4\n"
                                     "[noise]\nsigma_begin = 9\n",
                                     colour32),
                       3072 / 2., 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_are_as_many_as_the_references),
        cmocka_unit_test(a_network_of_zeros_has_known_losses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
