/* Prepared steps: left out while they hold, repeated when a state has changed. */
#define _XOPEN_SOURCE 700
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/api/nn.h"
#include "core/device/session.h"

enum { N = 8 };

static struct kiln_error error;

#define OK(call)                                                                                   \
    do {                                                                                           \
        if ((call) != KILN_OK)                                                                     \
            fail_msg(#call ": %s", error.text);                                                    \
    } while (0)

static const struct kiln_state weight = {
    "net.weight", {2, {N, N}}, KILN_F32, true, {KILN_INIT_NORMAL, 0, 1, 0}};

/* y = x exp(w): the product needs exp(w) in memory. */
static kiln_graph *build_use(void)
{
    kiln_graph *g = kiln_graph_create();
    kiln_node x = kiln_input(g, "x", KILN_F32, KILN_SHAPE(N, N));
    kiln_node w = kiln_exp(g, kiln_state(g, &weight));
    kiln_graph_output(g, "y", kiln_matmul(g, x, w, false, false));
    return g;
}

/* Gradient descent on the sum of all weights. */
static kiln_graph *build_training(void)
{
    kiln_graph *g = kiln_graph_create();
    kiln_node w = kiln_state(g, &weight), gradient;
    kiln_node hyper = kiln_input(g, "hyper", KILN_F32, KILN_SHAPE(KILN_HYPER_WORDS));
    kiln_grad(g, kiln_sum_all(g, w), 1, &w, &gradient);
    kiln_optimizer_update(g, 1, &w, &gradient, hyper,
                          (struct kiln_update){KILN_OPTIMIZER_SGD, true});
    return g;
}

struct fixture {
    kiln_device *device;
    kiln_session *session;
    kiln_graph *graphs[2];
    kiln_executable *use, *train;
    bool ema;
    float x[N * N], w[N * N];
};

static void open_fixture(struct fixture *f, bool fuse, bool ema)
{
    *f = (struct fixture){.ema = ema};
    OK(kiln_device_open("cpu", NULL, &f->device, &error));
    OK(kiln_session_create(f->device, &(struct kiln_session_options){.fuse = fuse}, &f->session,
                           &error));
    OK(kiln_session_group(f->session, "net.", (struct kiln_update){KILN_OPTIMIZER_SGD, true},
                          &error));
    f->graphs[0] = build_use();
    f->graphs[1] = build_training();
    OK(kiln_session_prepare(f->session, 2, f->graphs, 0, NULL, &error));
    OK(kiln_session_initialise(f->session, 1, &error));
    const struct kiln_compile_options options = {.use_ema = ema};
    OK(kiln_executable_create(f->session, f->graphs[0], &options, &f->use, &error));
    OK(kiln_executable_create(f->session, f->graphs[1], NULL, &f->train, &error));
    for (int i = 0; i < N * N; i++)
        f->x[i] = (float)(i % 5) - 2;
    float hyper[KILN_HYPER_WORDS] = {[KILN_HYPER_LEARNING_RATE] = 0.5f,
                                     [KILN_HYPER_EMA_DECAY] = 0.75f,
                                     [KILN_HYPER_LOSS_SCALE] = 1};
    OK(kiln_executable_write(f->use, "x", f->x, sizeof f->x, &error));
    OK(kiln_executable_write(f->train, "hyper", hyper, sizeof hyper, &error));
}

static void close_fixture(struct fixture *f)
{
    kiln_executable_destroy(&f->train);
    kiln_executable_destroy(&f->use);
    kiln_session_destroy(&f->session);
    kiln_device_close(&f->device);
    kiln_graph_destroy(&f->graphs[0]);
    kiln_graph_destroy(&f->graphs[1]);
}

/* Executes and checks the result against the state; returns the launches. */
static int64_t run(struct fixture *f)
{
    const struct kiln_backend *backend = kiln_device_backend(f->device);
    kiln_device_state *state = kiln_device_backend_state(f->device);
    int64_t before, after, unused[3];
    float y[N * N];
    backend->stats(state, &before, &unused[0], &unused[1], &unused[2]);
    OK(kiln_executable_run(f->use, &error));
    backend->stats(state, &after, &unused[0], &unused[1], &unused[2]);
    OK(kiln_executable_read(f->use, "y", y, sizeof y, &error));
    OK(kiln_session_state_get(f->session, 0, f->ema ? KILN_STATE_EMA : KILN_STATE_VALUE, f->w,
                              &error));
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            double sum = 0;
            for (int k = 0; k < N; k++)
                sum += (double)f->x[i * N + k] * exp((double)f->w[k * N + j]);
            assert_float_equal(y[i * N + j], sum, 1e-4);
        }
    return after - before;
}

static void prepared_steps_are_left_out(void **unused)
{
    (void)unused;
    struct fixture f;
    open_fixture(&f, true, false);
    const struct kiln_plan *plan = kiln_executable_plan(f.use);
    assert_int_equal(plan->n_prepared, 1);
    assert_int_equal(run(&f), plan->steps.n);
    assert_int_equal(run(&f), plan->steps.n - 1);
    f.x[3] = 7; /* an input does not matter */
    OK(kiln_executable_write(f.use, "x", f.x, sizeof f.x, &error));
    assert_int_equal(run(&f), plan->steps.n - 1);
    close_fixture(&f);
}

static void a_changed_state_is_prepared_again(void **unused)
{
    (void)unused;
    for (int ema = 0; ema < 2; ema++) {
        struct fixture f;
        open_fixture(&f, true, ema);
        int n = kiln_executable_plan(f.use)->steps.n;
        run(&f);
        OK(kiln_executable_run(f.train, &error));
        assert_int_equal(run(&f), n);
        assert_int_equal(run(&f), n - 1);
        for (int i = 0; i < N * N; i++)
            f.w[i] = (float)i / 64;
        OK(kiln_session_state_set(f.session, 0, KILN_STATE_VALUE, f.w, &error));
        assert_int_equal(run(&f), ema ? n - 1 : n); /* the average is another tensor */
        OK(kiln_session_state_set(f.session, 0, KILN_STATE_EMA, f.w, &error));
        assert_int_equal(run(&f), ema ? n : n - 1);
        OK(kiln_session_initialise(f.session, 2, &error));
        assert_int_equal(run(&f), n);
        OK(kiln_executable_run_steps(f.train, 0, kiln_executable_plan(f.train)->steps.n, &error));
        assert_int_equal(run(&f), n);
        close_fixture(&f);
    }
}

static void unfused_plans_prepare_nothing(void **unused)
{
    (void)unused;
    struct fixture f;
    open_fixture(&f, false, false);
    int n = kiln_executable_plan(f.use)->steps.n;
    assert_int_equal(kiln_executable_plan(f.use)->n_prepared, 0);
    run(&f);
    assert_int_equal(run(&f), n);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prepared_steps_are_left_out),
        cmocka_unit_test(a_changed_state_is_prepared_again),
        cmocka_unit_test(unfused_plans_prepare_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
