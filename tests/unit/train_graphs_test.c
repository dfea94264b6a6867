/* The graphs of a run, built from small models, without a device. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "core/run/graphs.h"

/* --- a model of two networks ---------------------------------------------------- */

static int two_phases(void *model, struct kiln_phase phases[KILN_MAX_PHASES])
{
    (void)model;
    phases[0] = (struct kiln_phase){.name = "critic", .group = "critic.", .repeats = 5};
    phases[1] = (struct kiln_phase){.name = "generator", .group = "generator.", .repeats = 1};
    return 2;
}

static void two_losses(void *model, kiln_graph *g, int phase, const struct kiln_batch *batch,
                       struct kiln_loss *loss)
{
    (void)model;
    kiln_node fake = kiln_linear(g, "generator.fc", kiln_flatten(g, batch->x), 3, true);
    kiln_node score = kiln_linear(g, "critic.fc", fake, 1, true);
    loss->loss = kiln_mean_all(g, phase ? kiln_neg(g, score) : score);
    loss->n_metrics = 1;
    loss->metrics[0] = (struct kiln_metric){"score", kiln_mean_all(g, score)};
}

static const char *const samplers[] = {"first", "second", NULL};

static enum kiln_status plan_two(void *model, const struct kiln_sample_request *request,
                                 struct kiln_sample_plan *plan, struct kiln_error *error)
{
    (void)error;
    *plan = (struct kiln_sample_plan){.noise = KILN_SHAPE(request->batch, 4), .n_carried = 1};
    plan->carried[0] = plan->noise;
    if (model)
        plan->n_carried = *(int *)model;
    return KILN_OK;
}

static void start(void *model, kiln_graph *g, const struct kiln_sample_request *request,
                  kiln_node noise, kiln_node *carried)
{
    (void)model, (void)g, (void)request;
    carried[0] = noise;
}

static kiln_node finish(void *model, kiln_graph *g, const struct kiln_sample_request *request,
                        const kiln_node *carried, kiln_node label)
{
    (void)model, (void)label;
    return kiln_reshape(g, carried[0], KILN_SHAPE(request->batch, 1, 2, 2));
}

static const struct kiln_model two = {.name = "two",
                                      .phases = two_phases,
                                      .loss = two_losses,
                                      .samplers = samplers,
                                      .sample_plan = plan_two,
                                      .sample_start = start,
                                      .sample_finish = finish};

static struct kiln_batch_source small_source(bool resident)
{
    return (struct kiln_batch_source){
        .info = {.channels = 1, .height = 2, .width = 2, .n_classes = 3, .n_train = 10},
        .dtype = KILN_U8,
        .n = 10,
        .size = 4,
        .resident = resident,
        .flip = true,
        .training = true,
    };
}

static int count_ops(const kiln_graph *graph, enum kiln_op op)
{
    int n = 0;
    for (kiln_node node = 1; node <= kiln_graph_count(graph); node++) {
        struct kiln_node_info info;
        n += kiln_graph_node(graph, node, &info) && info.op == op;
    }
    return n;
}

/* The only node of an op. */
static struct kiln_node_info only(const kiln_graph *graph, enum kiln_op op)
{
    struct kiln_node_info found = {0}, info;
    assert_int_equal(count_ops(graph, op), 1);
    for (kiln_node node = 1; node <= kiln_graph_count(graph); node++)
        if (kiln_graph_node(graph, node, &info) && info.op == op)
            found = info;
    return found;
}

/* --- tests ------------------------------------------------------------------------ */

static void a_phase_updates_its_group(void **unused)
{
    (void)unused;
    const struct kiln_instance instance = {.model = &two};
    const struct kiln_batch_source source = small_source(true);
    const struct kiln_update update = {.kind = KILN_OPTIMIZER_ADAM};
    struct kiln_error error;
    for (int phase = 0; phase < 2; phase++) {
        struct kiln_phase_graph graph;
        assert_int_equal(kiln_phase_graph_create(&instance, phase, &source, update, &graph, &error),
                         KILN_OK);
        struct kiln_node_info node = only(graph.graph, KILN_OP_UPDATE);
        /* two states, two gradients, hyper */
        assert_int_equal(node.n_operands, 5);
        for (int i = 0; i < 2; i++) {
            struct kiln_node_info state;
            assert_true(kiln_graph_node(graph.graph, node.operands[i], &state));
            const char *prefix = phase ? "generator." : "critic.";
            assert_int_equal(strncmp(state.name, prefix, strlen(prefix)), 0);
        }
        assert_int_equal(graph.n_values, 2);
        assert_string_equal(graph.names[0], "loss");
        assert_string_equal(graph.names[1], "score");
        kiln_node report;
        assert_int_equal(kiln_graph_n_outputs(graph.graph), 1);
        assert_string_equal(kiln_graph_output_at(graph.graph, 0, &report), "report");
        struct kiln_shape shape = kiln_shape(graph.graph, report), expected = KILN_SHAPE(4);
        assert_true(kiln_shape_equal(&shape, &expected));
        assert_int_equal(count_ops(graph.graph, KILN_OP_GATHER_ROWS), 1 + 1); /* x, label */
        kiln_phase_graph_finish(&graph);
    }
}

static int no_group(void *model, struct kiln_phase phases[KILN_MAX_PHASES])
{
    (void)model;
    phases[0] = (struct kiln_phase){.name = "alone", .group = "nothing.", .repeats = 1};
    return 1;
}

static void a_group_without_parameters_is_an_error(void **unused)
{
    (void)unused;
    struct kiln_model model = two;
    model.phases = no_group;
    const struct kiln_instance instance = {.model = &model};
    const struct kiln_batch_source source = small_source(false);
    struct kiln_phase_graph graph;
    struct kiln_error error;
    assert_int_equal(
        kiln_phase_graph_create(&instance, 0, &source, (struct kiln_update){0}, &graph, &error),
        KILN_INPUT);
    assert_non_null(strstr(error.text, "nothing."));
    assert_null(graph.graph);
}

static void streamed_batches_are_inputs(void **unused)
{
    (void)unused;
    const struct kiln_batch_source source = small_source(false);
    struct kiln_batch batch;
    kiln_graph *graph = kiln_graph_create();
    kiln_graph_batch(graph, &source, &batch);
    assert_int_equal(kiln_graph_error(graph, NULL), KILN_OK);
    assert_int_equal(count_ops(graph, KILN_OP_GATHER_ROWS), 0);
    struct kiln_shape shape = kiln_shape(graph, batch.x), expected = KILN_SHAPE(4, 1, 2, 2);
    assert_true(kiln_shape_equal(&shape, &expected));
    assert_true(batch.label != 0);
    kiln_graph_destroy(&graph);
}

static void samplers_are_checked(void **unused)
{
    (void)unused;
    struct kiln_instance instance = {.model = &two};
    struct kiln_sample_request request = {.batch = 3, .sampler = "second"};
    struct kiln_sampler_graphs graphs;
    struct kiln_error error;
    assert_int_equal(kiln_sampler_graphs_create(&instance, &request, &graphs, &error), KILN_OK);
    assert_null(graphs.step);
    assert_string_equal(only(graphs.finish, KILN_OP_STATE).name, "sampler.0");
    assert_string_equal(only(graphs.noise, KILN_OP_STATE).name, KILN_STATE_NOISE);
    assert_int_equal(count_ops(graphs.start, KILN_OP_STATE), 2); /* noise to "sampler.0" */
    assert_int_equal(count_ops(graphs.start, KILN_OP_ASSIGN), 1);
    assert_int_equal(count_ops(graphs.noise, KILN_OP_RNG), 1);
    kiln_sampler_graphs_finish(&graphs);

    request.sampler = "third";
    assert_int_equal(kiln_sampler_graphs_create(&instance, &request, &graphs, &error), KILN_INPUT);
    assert_non_null(strstr(error.text, "first, second"));

    /* a plugin that carries more than there is room for */
    int carried = KILN_MAX_CARRIED + 1;
    request.sampler = "";
    instance.state = &carried;
    assert_int_equal(kiln_sampler_graphs_create(&instance, &request, &graphs, &error), KILN_INPUT);
    assert_non_null(strstr(error.text, "unsound"));

    struct kiln_model mute = two;
    mute.samplers = NULL;
    instance.model = &mute;
    assert_int_equal(kiln_sampler_graphs_create(&instance, &request, &graphs, &error), KILN_INPUT);
    struct kiln_figures_graph figures;
    const struct kiln_batch_source source = small_source(true);
    assert_int_equal(kiln_figures_graph_create(&instance, &source, &figures, &error), KILN_INPUT);
    kiln_graph *graph;
    assert_int_equal(kiln_reconstruct_graph_create(&instance, &source, &graph, &error), KILN_INPUT);
}

static void internal_names(void **unused)
{
    (void)unused;
    assert_true(kiln_state_is_internal("sampler.0"));
    assert_true(kiln_state_is_internal(KILN_STATE_FIRST_BAD));
    assert_false(kiln_state_is_internal("running_mean"));
    assert_false(kiln_state_is_internal("encoder.0.weight"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_phase_updates_its_group),
        cmocka_unit_test(a_group_without_parameters_is_an_error),
        cmocka_unit_test(streamed_batches_are_inputs),
        cmocka_unit_test(samplers_are_checked),
        cmocka_unit_test(internal_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
