/* A training step gives the same bits on any number of threads of the CPU
 * backend's own code. oneDNN is off: its weight gradients depend on the
 * number. */
#define _XOPEN_SOURCE 700
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/api/nn.h"
#include "core/device/session.h"

enum { BATCH = 16, SIDE = 12, CHANNELS = 32, CLASSES = 5, STEPS = 3, MAX_VALUES = 1 << 16 };

static struct kiln_error error;

#define OK(call)                                                                                   \
    do {                                                                                           \
        if ((call) != KILN_OK)                                                                     \
            fail_msg(#call ": %s", error.text);                                                    \
    } while (0)

/* A kind of everything whose sums could be cut by threads. */
static kiln_node network(kiln_graph *g, kiln_node x, kiln_node label)
{
    struct kiln_conv same = kiln_conv_params(1, 1, 1);
    kiln_node h = kiln_conv2d(g, "conv1", x, CHANNELS, 3, same, true);
    h = kiln_silu(g, kiln_group_norm(g, "norm1", h, 4, 1e-5));
    h = kiln_conv2d(g, "conv2", h, CHANNELS, 3, same, true);
    h = kiln_relu(g, kiln_batch_norm(g, "norm2", h, 1e-5, 0.1, true));
    kiln_node shift = kiln_embedding(g, "embedding", label, CLASSES, CHANNELS);
    shift = kiln_reshape(g, shift, KILN_SHAPE(BATCH, CHANNELS, 1, 1));
    h = kiln_add(g, h, kiln_expand(g, shift, KILN_SHAPE(BATCH, CHANNELS, SIDE, SIDE)));
    h = kiln_max_pool(g, h, (struct kiln_window){{2, 2}, {2, 2}, {0, 0, 0, 0}});
    h = kiln_resize_bilinear(g, h, SIDE, SIDE, false);
    kiln_node tokens = kiln_reshape(g, h, KILN_SHAPE(BATCH, CHANNELS, SIDE *SIDE));
    tokens = kiln_layer_norm(g, "norm3", kiln_transpose(g, tokens, 1, 2), 1e-5);
    kiln_node q = kiln_linear(g, "q", tokens, CHANNELS, true);
    kiln_node k = kiln_linear(g, "k", tokens, CHANNELS, true);
    tokens = kiln_scaled_attention(g, q, k, tokens, 0.2f);
    return kiln_linear(g, "head", kiln_flatten(g, tokens), CLASSES, true);
}

static kiln_graph *build(void)
{
    kiln_graph *g = kiln_graph_create();
    kiln_node x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(BATCH, 3, SIDE, SIDE));
    kiln_node label = kiln_input(g, "label", KILN_I32, KILN_SHAPE(BATCH));
    kiln_node log_p = kiln_log_softmax(g, network(g, x, label), 1);
    kiln_node loss = kiln_mean_all(g, kiln_mul(g, log_p, kiln_one_hot(g, label, CLASSES)));
    loss = kiln_neg(g, loss);
    kiln_node states[64], gradients[64];
    int n = 0;
    for (kiln_node i = 1, end = kiln_graph_count(g); i < end; i++) {
        struct kiln_node_info info;
        kiln_graph_node(g, i, &info);
        if (info.state && info.state->trainable)
            states[n++] = i;
    }
    kiln_grad(g, loss, n, states, gradients);
    kiln_node hyper = kiln_input(g, "hyper", KILN_F32, KILN_SHAPE(KILN_HYPER_WORDS));
    kiln_optimizer_update(g, n, states, gradients, hyper,
                          (struct kiln_update){KILN_OPTIMIZER_ADAM, true});
    kiln_graph_output(g, "loss", loss);
    OK(kiln_graph_error(g, &error));
    return g;
}

static void write_inputs(kiln_executable *e)
{
    static float x[BATCH * 3 * SIDE * SIDE];
    static const int32_t labels[BATCH] = {0, 3, 1, 4, 3, 2, 2, 1, 0, 0, 4, 3, 1, 2, 4, 0};
    float hyper[KILN_HYPER_WORDS] = {
        [KILN_HYPER_LEARNING_RATE] = 0.01f, [KILN_HYPER_BETA1] = 0.9f,
        [KILN_HYPER_BETA2] = 0.99f,         [KILN_HYPER_EPSILON] = 1e-8f,
        [KILN_HYPER_CORRECTION1] = 0.1f,    [KILN_HYPER_CORRECTION2] = 0.01f,
        [KILN_HYPER_EMA_DECAY] = 0.9f,      [KILN_HYPER_LOSS_SCALE] = 1};
    for (int i = 0; i < BATCH * 3 * SIDE * SIDE; i++)
        x[i] = (float)(i * 7 % 31) / 16 - 1;
    OK(kiln_executable_write(e, "x", x, sizeof x, &error));
    OK(kiln_executable_write(e, "label", labels, sizeof labels, &error));
    OK(kiln_executable_write(e, "hyper", hyper, sizeof hyper, &error));
}

/* Trains some steps and returns all states one after the other, the loss last. */
static int64_t train(const char *device_name, int threads, enum kiln_layout layout, float *values)
{
    kiln_device *device;
    kiln_session *session;
    kiln_executable *e;
    OK(kiln_device_open(device_name, &(struct kiln_device_options){.threads = threads}, &device,
                        &error));
    struct kiln_session_options options = {.fuse = true, .force_layout = true, .layout = layout};
    OK(kiln_session_create(device, &options, &session, &error));
    OK(kiln_session_group(session, "", (struct kiln_update){KILN_OPTIMIZER_ADAM, true}, &error));
    kiln_graph *graph = build();
    OK(kiln_session_prepare(session, 1, &graph, 0, NULL, &error));
    OK(kiln_session_initialise(session, 1, &error));
    OK(kiln_executable_create(session, graph, NULL, &e, &error));
    write_inputs(e);
    for (int i = 0; i < STEPS; i++)
        OK(kiln_executable_run(e, &error));
    const kiln_states *states = kiln_session_states(session);
    int64_t n = 0;
    for (int i = 0; i < kiln_states_count(states); i++) {
        int64_t count = kiln_shape_count(&kiln_states_at(states, i)->state.shape);
        assert_true(n + count < MAX_VALUES);
        OK(kiln_session_state_get(session, i, KILN_STATE_VALUE, values + n, &error));
        n += count;
    }
    OK(kiln_executable_read(e, "loss", values + n, sizeof *values, &error));
    kiln_executable_destroy(&e);
    kiln_graph_destroy(&graph);
    kiln_session_destroy(&session);
    kiln_device_close(&device);
    return n + 1;
}

static void check(const char *device, enum kiln_layout layout)
{
    static float one[MAX_VALUES], more[MAX_VALUES];
    int64_t n = train(device, 1, layout, one);
    for (int threads = 2; threads <= 3; threads++) {
        assert_int_equal(train(device, threads, layout, more), n);
        for (int64_t i = 0; i < n; i++)
            if (memcmp(&one[i], &more[i], sizeof one[i]))
                fail_msg("%s, %s: value %lld is %.9g on one thread, %.9g on %d", device,
                         kiln_layout_name(layout), (long long)i, (double)one[i], (double)more[i],
                         threads);
    }
}

static void threads_do_not_change_a_training(void **unused)
{
    (void)unused;
    setenv("KILN_CPU_ONEDNN", "off", 1);
    check("cpu", KILN_LAYOUT_DENSE);
    check("cpu", KILN_LAYOUT_NCHW16C);
    check("cpu:ref", KILN_LAYOUT_DENSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(threads_do_not_change_a_training)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
