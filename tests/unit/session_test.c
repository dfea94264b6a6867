/* Sessions on the laboratory's backend: states, data, writing, running, reading. */
#define _XOPEN_SOURCE 700
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/device/memory.h"
#include "core/device/session.h"

static char folder[] = "/tmp/kiln-session-XXXXXX";
static struct kiln_error error;

#define OK(call)                                                                                   \
    do {                                                                                           \
        if ((call) != KILN_OK)                                                                     \
            fail_msg(#call ": %s", error.text);                                                    \
    } while (0)

#define REFUSED(call, reason)                                                                      \
    do {                                                                                           \
        assert_int_equal(call, KILN_INPUT);                                                        \
        if (!strstr(error.text, reason))                                                           \
            fail_msg("\"%s\" does not say \"%s\"", error.text, reason);                            \
    } while (0)

static const struct kiln_state weight_state = {
    "net.weight", {2, {5, 3}}, KILN_F32, true, {KILN_INIT_NORMAL, 0.5f, 0.1f}};
static const struct kiln_state count_state = {
    "count", {1, {1}}, KILN_I32, false, {KILN_INIT_CONSTANT, 7, 0}};

/* y = tanh(x w) + rows of the data; count counts; "unused" is dead. */
static kiln_graph *build(bool train)
{
    kiln_graph *g = kiln_graph_create();
    kiln_node x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(4, 5)), w = kiln_state(g, &weight_state);
    kiln_node data = kiln_input(g, "data.x", KILN_U8, KILN_SHAPE(10, 3));
    kiln_node index = kiln_input(g, "index", KILN_I32, KILN_SHAPE(4)),
              count = kiln_state(g, &count_state);
    kiln_input(g, "unused", KILN_F32, KILN_SHAPE(2));
    kiln_node rows = kiln_cast(g, kiln_gather_rows(g, data, index), KILN_F32);
    kiln_node y = kiln_add(g, kiln_tanh(g, kiln_matmul(g, x, w, false, false)), rows);
    kiln_graph_output(g, "y", y);
    int permutation[] = {1, 0};
    kiln_graph_output(g, "y transposed", kiln_permute(g, y, permutation));
    if (train) {
        kiln_node gradient, loss = kiln_reduce_sum(g, kiln_mul(g, y, y), 3);
        kiln_node hyper = kiln_input(g, "hyper", KILN_F32, KILN_SHAPE(KILN_HYPER_WORDS));
        kiln_grad(g, loss, 1, &w, &gradient);
        kiln_optimizer_update(g, 1, &w, &gradient, hyper,
                              (struct kiln_update){KILN_OPTIMIZER_ADAM, true});
        int32_t one = 1;
        kiln_assign(g, count, kiln_add(g, count, kiln_constant(g, KILN_I32, KILN_SHAPE(1), &one)));
    }
    OK(kiln_graph_error(g, &error));
    return g;
}

struct fixture {
    kiln_device *device;
    kiln_session *session;
    kiln_graph *graph;
    kiln_executable *e;
};

static const uint8_t data_rows[10][3] = {
    {0, 1, 2}, {10, 11, 12}, {20, 21, 22}, {30, 31, 32}, {40, 41, 42}};

static void open_fixture(struct fixture *f, struct kiln_session_options options)
{
    *f = (struct fixture){0};
    OK(kiln_device_open("cpu", NULL, &f->device, &error));
    OK(kiln_session_create(f->device, &options, &f->session, &error));
    OK(kiln_session_group(f->session, "net.", (struct kiln_update){KILN_OPTIMIZER_ADAM, true},
                          &error));
    f->graph = build(true);
    struct kiln_resident data = {"data.x", KILN_U8, KILN_SHAPE(10, 3), data_rows};
    REFUSED(kiln_executable_create(f->session, f->graph, NULL, &f->e, &error), "prepare");
    OK(kiln_session_prepare(f->session, 1, &f->graph, 1, &data, &error));
    OK(kiln_session_initialise(f->session, 42, &error));
    OK(kiln_executable_create(f->session, f->graph, NULL, &f->e, &error));
}

static void close_fixture(struct fixture *f)
{
    kiln_executable_destroy(&f->e);
    kiln_graph_destroy(&f->graph);
    kiln_session_destroy(&f->session);
    assert_int_equal(kiln_device_memory_used(f->device), 0);
    kiln_device_close(&f->device);
}

static void write_inputs(struct fixture *f)
{
    float x[20], hyper[KILN_HYPER_WORDS] = {
                     [KILN_HYPER_LEARNING_RATE] = 0.01f, [KILN_HYPER_BETA1] = 0.9f,
                     [KILN_HYPER_BETA2] = 0.99f,         [KILN_HYPER_EPSILON] = 1e-8f,
                     [KILN_HYPER_CORRECTION1] = 0.1f,    [KILN_HYPER_CORRECTION2] = 0.01f,
                     [KILN_HYPER_EMA_DECAY] = 0.9f,      [KILN_HYPER_LOSS_SCALE] = 1};
    for (int i = 0; i < 20; i++)
        x[i] = (float)(i % 7) / 7 - 0.4f;
    OK(kiln_executable_write(f->e, "x", x, sizeof x, &error));
    OK(kiln_executable_write(f->e, "index", (int32_t[]){3, 0, 4, 1}, 16, &error));
    OK(kiln_executable_write(f->e, "hyper", hyper, sizeof hyper, &error));
}

static void an_execution_has_its_effects(void **unused)
{
    (void)unused;
    struct fixture f;
    open_fixture(&f, (struct kiln_session_options){.fuse = true});
    const kiln_states *states = kiln_session_states(f.session);
    int weight = kiln_states_find(states, "net.weight"), count = kiln_states_find(states, "count");
    assert_true(weight >= 0 && count >= 0);
    float w[15], after[15], average[15], y[12], transposed[12];
    int32_t counted;
    OK(kiln_session_state_get(f.session, weight, KILN_STATE_VALUE, w, &error));
    OK(kiln_session_state_get(f.session, weight, KILN_STATE_EMA, average, &error));
    assert_memory_equal(w, average, sizeof w);
    write_inputs(&f);
    OK(kiln_executable_run(f.e, &error));
    OK(kiln_executable_read(f.e, "y", y, sizeof y, &error));
    OK(kiln_executable_read(f.e, "y transposed", transposed, sizeof transposed, &error));
    static const int rows[] = {3, 0, 4, 1};
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 3; j++) {
            double sum = 0;
            for (int k = 0; k < 5; k++)
                sum += ((float)((i * 5 + k) % 7) / 7 - 0.4f) * (double)w[k * 3 + j];
            assert_float_equal(y[i * 3 + j], tanh(sum) + data_rows[rows[i]][j], 1e-5);
            assert_true(transposed[j * 4 + i] == y[i * 3 + j]);
        }
    OK(kiln_session_state_get(f.session, weight, KILN_STATE_VALUE, after, &error));
    OK(kiln_session_state_get(f.session, weight, KILN_STATE_EMA, average, &error));
    for (int i = 0; i < 15; i++) { /* Adam's first step is the learning rate */
        assert_float_equal(fabs(after[i] - w[i]), 0.01, 1e-4);
        assert_float_equal(average[i], w[i] + 0.1 * (after[i] - w[i]), 1e-6);
    }
    OK(kiln_session_state_get(f.session, count, KILN_STATE_VALUE, &counted, &error));
    assert_int_equal(counted, 8);
    close_fixture(&f);
}

static void wrong_calls_are_refused(void **unused)
{
    (void)unused;
    struct fixture f;
    open_fixture(&f, (struct kiln_session_options){.fuse = true});
    float buffer[32] = {0};
    OK(kiln_executable_write(f.e, "unused", buffer, 8, &error));
    REFUSED(kiln_executable_write(f.e, "unused", buffer, 12, &error), "12 bytes given, 8 expected");
    REFUSED(kiln_executable_write(f.e, "z", buffer, 8, &error), "input z");
    REFUSED(kiln_executable_write(f.e, "data.x", buffer, 30, &error), "resident");
    REFUSED(kiln_executable_read(f.e, "z", buffer, 8, &error), "output z");
    REFUSED(kiln_executable_read(f.e, "y", buffer, 8, &error), "48");
    REFUSED(kiln_executable_read_value(f.e, 1000, buffer, 8, &error), "value 1000");
    REFUSED(kiln_session_state_get(f.session, 99, KILN_STATE_VALUE, buffer, &error), "state 99");
    int count = kiln_states_find(kiln_session_states(f.session), "count");
    REFUSED(kiln_session_state_get(f.session, count, KILN_STATE_EMA, buffer, &error),
            "EMA is not kept");
    REFUSED(kiln_session_group(f.session, "late", (struct kiln_update){0}, &error),
            "after prepare");
    REFUSED(kiln_session_prepare(f.session, 1, &f.graph, 0, NULL, &error), "once");
    kiln_graph *bad = kiln_graph_create();
    kiln_executable *e;
    kiln_matmul(bad, kiln_scalar(bad, 1), kiln_scalar(bad, 1), false, false);
    REFUSED(kiln_executable_create(f.session, bad, NULL, &e, &error), "matmul");
    assert_null(e);
    kiln_graph_destroy(&bad);
    close_fixture(&f);
}

static void first_values_come_from_seed_and_name(void **unused)
{
    (void)unused;
    struct fixture f;
    open_fixture(&f, (struct kiln_session_options){0});
    int weight = kiln_states_find(kiln_session_states(f.session), "net.weight");
    float a[15], b[15], moment[15];
    OK(kiln_session_state_get(f.session, weight, KILN_STATE_VALUE, a, &error));
    double mean = 0, square = 0;
    for (int i = 0; i < 15; i++) {
        mean += a[i] / 15;
        square += (a[i] - 0.5) * (a[i] - 0.5) / 15;
    }
    assert_float_equal(mean, 0.5, 0.1);
    assert_float_equal(sqrt(square), 0.1, 0.06);
    OK(kiln_session_state_set(f.session, weight, KILN_STATE_MOMENT1, a, &error));
    OK(kiln_session_initialise(f.session, 43, &error));
    OK(kiln_session_state_get(f.session, weight, KILN_STATE_VALUE, b, &error));
    assert_memory_not_equal(a, b, sizeof a);
    OK(kiln_session_initialise(f.session, 42, &error));
    OK(kiln_session_state_get(f.session, weight, KILN_STATE_VALUE, b, &error));
    assert_memory_equal(a, b, sizeof a);
    OK(kiln_session_state_get(f.session, weight, KILN_STATE_MOMENT1, moment, &error));
    for (int i = 0; i < 15; i++)
        assert_true(moment[i] == 0);
    close_fixture(&f);
}

static void first_values_may_end_in_zeros(void **unused)
{
    (void)unused;
    kiln_device *device;
    kiln_session *session;
    kiln_graph *g = kiln_graph_create();
    const struct kiln_state embedding = {
        "embed.weight", {2, {4, 6}}, KILN_F32, true, {KILN_INIT_NORMAL, 1, 0.02f, 1.0f / 3}};
    kiln_graph_output(g, "y", kiln_state(g, &embedding));
    OK(kiln_device_open("cpu", NULL, &device, &error));
    OK(kiln_session_create(device, NULL, &session, &error));
    OK(kiln_session_prepare(session, 1, &g, 0, NULL, &error));
    OK(kiln_session_initialise(session, 1, &error));
    float values[24];
    OK(kiln_session_state_get(session, 0, KILN_STATE_VALUE, values, &error));
    for (int i = 0; i < 24; i++) {
        bool tail = i % 6 >= 4;
        assert_float_equal(values[i], tail ? 0 : 1, tail ? 0 : 0.2);
    }
    kiln_session_destroy(&session);
    kiln_graph_destroy(&g);
    kiln_device_close(&device);
}

/* All ways to lay out memory give the same bytes. */
static void memory_reuse_changes_nothing(void **unused)
{
    (void)unused;
    static const struct kiln_session_options ways[] = {
        {.fuse = true},
        {.fuse = true, .no_reuse = true},
        {.fuse = true, .poison = true},
        {.fuse = true, .no_reuse = true, .poison = true}};
    float first[12 + 15];
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct fixture f;
        float got[12 + 15];
        open_fixture(&f, ways[i]);
        write_inputs(&f);
        OK(kiln_executable_run(f.e, &error));
        OK(kiln_executable_run(f.e, &error));
        OK(kiln_executable_read(f.e, "y", got, 48, &error));
        int weight = kiln_states_find(kiln_session_states(f.session), "net.weight");
        OK(kiln_session_state_get(f.session, weight, KILN_STATE_VALUE, got + 12, &error));
        if (i == 0)
            memcpy(first, got, sizeof first);
        assert_memory_equal(first, got, sizeof first);
        close_fixture(&f);
    }
}

static void values_are_kept_on_request(void **unused)
{
    (void)unused;
    struct fixture f;
    open_fixture(&f, (struct kiln_session_options){.fuse = true});
    kiln_executable *e;
    OK(kiln_executable_create(f.session, f.graph,
                              &(struct kiln_compile_options){.keep = true, .unfused = true}, &e,
                              &error));
    const struct kiln_plan *plan = kiln_executable_plan(e);
    kiln_executable_destroy(&f.e);
    f.e = e;
    write_inputs(&f);
    OK(kiln_executable_run(e, &error));
    int finite = 0;
    for (int i = 0; i < plan->n_values; i++) {
        int64_t n = kiln_shape_count(&plan->values[i].shape);
        int64_t bytes = n * (int64_t)kiln_dtype_bytes(plan->values[i].place.dtype);
        void *data = malloc((size_t)bytes);
        OK(kiln_executable_read_value(e, i, data, bytes, &error));
        for (int64_t k = 0; k < n && plan->values[i].place.dtype == KILN_F32; k++)
            finite += isfinite(((float *)data)[k]) != 0;
        free(data);
    }
    assert_true(finite > 50);
    close_fixture(&f);
}

static void too_little_memory_is_said(void **unused)
{
    (void)unused;
    kiln_device *device;
    kiln_session *session;
    kiln_graph *g = kiln_graph_create();
    kiln_node x =
        kiln_input(g, "x", KILN_F32, KILN_SHAPE(1024, 1024)); /* 4 MiB of an 8 MiB limit */
    kiln_node y = kiln_matmul(g, x, x, false, false);
    kiln_graph_output(g, "y", kiln_matmul(g, y, kiln_matmul(g, x, y, false, false), false, false));
    OK(kiln_device_open("cpu", NULL, &device, &error));
    OK(kiln_session_create(device, &(struct kiln_session_options){.fuse = true}, &session, &error));
    OK(kiln_session_prepare(session, 1, &g, 0, NULL, &error));
    kiln_executable *e;
    assert_int_equal(kiln_executable_create(session, g, NULL, &e, &error), KILN_MACHINE);
    if (!strstr(error.text, "MiB") || !strstr(error.text, "train.batch_size"))
        fail_msg("%s", error.text);
    assert_null(e);
    struct kiln_session_options options = {.fuse = true};
    kiln_session_destroy(&session);
    assert_int_equal(kiln_device_memory_used(device), 0);
    OK(kiln_session_create(device, &options, &session, &error));
    struct kiln_resident data = {"d", KILN_U8, KILN_SHAPE(64, 1024, 1024), NULL};
    assert_int_equal(kiln_session_prepare(session, 1, &g, 1, &data, &error), KILN_MACHINE);
    assert_non_null(strstr(error.text, "device_memory"));
    kiln_session_destroy(&session);
    kiln_graph_destroy(&g);
    kiln_device_close(&device);
}

static void choices_are_said(void **unused)
{
    (void)unused;
    struct fixture f;
    open_fixture(&f, (struct kiln_session_options){.fuse = true, .tune = true, .tune_seconds = 5});
    char first[512];
    snprintf(first, sizeof first, "%s", kiln_session_choices(f.session));
    assert_non_null(strstr(first, "laboratory 1"));
    close_fixture(&f);
    open_fixture(&f, (struct kiln_session_options){.fuse = true, .tune = true, .tune_seconds = 5});
    assert_string_equal(first, kiln_session_choices(f.session));
    close_fixture(&f);
    open_fixture(&f, (struct kiln_session_options){.fuse = true});
    assert_string_not_equal(first, kiln_session_choices(f.session));
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_execution_has_its_effects),
        cmocka_unit_test(wrong_calls_are_refused),
        cmocka_unit_test(first_values_come_from_seed_and_name),
        cmocka_unit_test(first_values_may_end_in_zeros),
        cmocka_unit_test(memory_reuse_changes_nothing),
        cmocka_unit_test(values_are_kept_on_request),
        cmocka_unit_test(too_little_memory_is_said),
        cmocka_unit_test(choices_are_said),
    };
    if (!mkdtemp(folder))
        return 1;
    setenv("XDG_CACHE_HOME", folder, 1);
    setenv("KILN_BACKEND_PATH", LAB_MODULES, 1);
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    char command[300];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) || failures;
}
