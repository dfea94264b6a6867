/*
 * Models against PyTorch: the golden files beside this test hold a state, ten
 * batches, and what PyTorch made of them (training.py says what is in a file).
 *
 *     golden_test DEVICE FILE...
 *
 * Per tensor, norm of the difference over the norm: gradients and losses
 * < 1e-5 (a model may say otherwise in its file's metadata "tolerance"),
 * weights after ten steps < 1e-4.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/device/session.h"
#include "core/run/config.h"
#include "core/run/graphs.h"
#include "core/run/safetensors.h"

enum { STEPS = 10, MAX_STATES = 1024, SKIP = 77 };

static int n_failed, n_checked;
static const char *current_file;

static void die(const char *what, const struct kiln_error *error)
{
    printf("%s: %s: %s\n", current_file, what, error->text);
    exit(1);
}

static void must(enum kiln_status status, const char *what, const struct kiln_error *error)
{
    if (status)
        die(what, error);
}

/* Prints a failure unless |a - b| / |b| < bound (b all zero: |a| < bound). */
static void compare(const char *what, const char *name, const float *a, const float *b, int64_t n,
                    double bound)
{
    double difference = 0, norm = 0;
    for (int64_t i = 0; i < n; i++) {
        difference += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        norm += (double)b[i] * b[i];
    }
    double ratio = sqrt(difference) / (norm > 0 ? sqrt(norm) : 1);
    n_checked++;
    if (ratio < bound)
        return;
    printf("%s: %s%s: %.3g, bound %.3g\n", current_file, what, name, ratio, bound);
    n_failed++;
}

static float *read_tensor(const kiln_safetensors *file, const char *prefix, const char *name,
                          int64_t *count)
{
    char full[600];
    struct kiln_error error = {"no such tensor"};
    snprintf(full, sizeof full, "%s%s", prefix, name);
    const struct kiln_tensor *tensor = kiln_safetensors_find(file, full);
    if (!tensor)
        die(full, &error);
    float *values = malloc((size_t)(tensor->count ? tensor->count : 1) * sizeof *values);
    must(kiln_safetensors_read_f32(file, tensor, 0, tensor->count, values, &error), full, &error);
    if (count)
        *count = tensor->count;
    return values;
}

/* A word of the metadata's list of names. */
static bool listed(const kiln_safetensors *file, const char *name)
{
    const char *list = kiln_safetensors_metadata(file, "zero_gradient");
    size_t length = strlen(name);
    for (const char *p = list ? list : ""; *p;) {
        size_t word = strcspn(p, " ");
        if (word == length && !strncmp(p, name, length))
            return true;
        p += word + strspn(p + word, " ");
    }
    return false;
}

/* What a file's model needs. */
struct golden {
    kiln_safetensors *file;
    kiln_config *config;
    struct kiln_instance instance;
    struct kiln_batch_source source;
    double bound;
};

static void open_golden(struct golden *golden, const char *path)
{
    struct kiln_error error;
    current_file = path;
    must(kiln_safetensors_open(path, &golden->file, &error), "open", &error);
    const char *text = kiln_safetensors_metadata(golden->file, "config");
    const char *bound = kiln_safetensors_metadata(golden->file, "tolerance");
    golden->bound = bound ? atof(bound) : 1e-5;
    struct kiln_config_source source = {.path = path, .text = text, .text_bytes = strlen(text)};
    must(kiln_config_load(&source, &golden->config, &error), "config", &error);
    const struct kiln_tensor *x = kiln_safetensors_find(golden->file, "x.0");
    struct kiln_data_info info = {.channels = x->shape[1],
                                  .height = x->shape[2],
                                  .width = x->shape[3],
                                  .n_train = 1000,
                                  .n_test = 100};
    const char *classes = kiln_safetensors_metadata(golden->file, "classes");
    info.n_classes = classes ? atoi(classes) : 0;
    golden->source = (struct kiln_batch_source){
        .info = info, .dtype = KILN_U8, .n = 1000, .size = x->shape[0], .training = true};
    golden->instance.model = kiln_config_model(golden->config);
    must(golden->instance.model->create(golden->config, &info, &golden->instance.state, &error),
         "create", &error);
}

static void close_golden(struct golden *golden)
{
    golden->instance.model->destroy(golden->instance.state);
    kiln_config_destroy(&golden->config);
    kiln_safetensors_close(&golden->file);
}

/* --- a session with the file's initial state -------------------------------------- */

static void set_states(const struct golden *golden, kiln_session *session)
{
    const kiln_states *states = kiln_session_states(session);
    struct kiln_error error;
    must(kiln_session_initialise(session, 0, &error), "initialise", &error);
    for (int i = 0; i < kiln_states_count(states); i++) {
        const struct kiln_state_slot *slot = kiln_states_at(states, i);
        if (kiln_state_is_internal(slot->state.name) || slot->state.dtype != KILN_F32)
            continue;
        int64_t count;
        float *values = read_tensor(golden->file, "init.", slot->state.name, &count);
        if (count != kiln_shape_count(&slot->state.shape)) {
            printf("%s: init.%s has another size\n", current_file, slot->state.name);
            exit(1);
        }
        must(kiln_session_state_set(session, i, KILN_STATE_VALUE, values, &error), slot->state.name,
             &error);
        free(values);
    }
}

static kiln_session *start(const struct golden *golden, kiln_device *device, kiln_graph *graph,
                           bool trains)
{
    struct kiln_error error;
    kiln_session *session;
    struct kiln_session_options options = {.fuse = true};
    must(kiln_session_create(device, &options, &session, &error), "session", &error);
    struct kiln_update update = {.kind = KILN_OPTIMIZER_ADAM};
    if (trains)
        must(kiln_session_group(session, "", update, &error), "group", &error);
    must(kiln_session_prepare(session, 1, &graph, 0, NULL, &error), "prepare", &error);
    set_states(golden, session);
    return session;
}

static void write_batch(const struct golden *golden, kiln_executable *executable, int step)
{
    char name[32];
    struct kiln_error error;
    snprintf(name, sizeof name, "x.%d", step);
    const struct kiln_tensor *x = kiln_safetensors_find(golden->file, name);
    void *bytes = malloc((size_t)x->bytes);
    must(kiln_safetensors_read_raw(golden->file, x, bytes, &error), name, &error);
    must(kiln_executable_write(executable, "batch.x", bytes, x->bytes, &error), name, &error);
    free(bytes);
    snprintf(name, sizeof name, "label.%d", step);
    const struct kiln_tensor *label = kiln_safetensors_find(golden->file, name);
    if (label) {
        int32_t *labels = malloc((size_t)label->count * sizeof *labels);
        must(kiln_safetensors_read_i32(golden->file, label, 0, label->count, labels, &error), name,
             &error);
        must(kiln_executable_write(executable, "batch.label", labels, label->count * 4, &error),
             name, &error);
        free(labels);
    }
    uint64_t seed = strtoull(kiln_safetensors_metadata(golden->file, "seed"), NULL, 10);
    int32_t key[KILN_RNG_KEY_WORDS] = {(int32_t)(uint32_t)seed, (int32_t)(uint32_t)(seed >> 32),
                                       step + 1, 0};
    must(kiln_executable_write(executable, "rng", key, sizeof key, &error), "rng", &error);
}

/* --- gradients of the first step ---------------------------------------------------- */

static void check_gradients(const struct golden *golden, kiln_device *device)
{
    struct kiln_error error;
    kiln_graph *graph = kiln_graph_create();
    struct kiln_batch batch;
    struct kiln_loss loss = {0};
    kiln_graph_batch(graph, &golden->source, &batch);
    golden->instance.model->loss(golden->instance.state, graph, 0, &batch, &loss);
    kiln_node states[MAX_STATES], gradients[MAX_STATES];
    int n = 0;
    for (kiln_node node = 1; node <= kiln_graph_count(graph) && n < MAX_STATES; node++) {
        struct kiln_node_info info;
        kiln_graph_node(graph, node, &info);
        if (info.op == KILN_OP_STATE && info.state->trainable)
            states[n++] = node;
    }
    kiln_grad(graph, loss.loss, n, states, gradients);
    char name[32];
    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof name, "g%d", i);
        kiln_graph_output(graph, name, gradients[i]);
    }
    must(kiln_graph_error(graph, &error), "graph", &error);
    kiln_session *session = start(golden, device, graph, false);
    kiln_executable *executable;
    struct kiln_compile_options options = {0};
    must(kiln_executable_create(session, graph, &options, &executable, &error), "compile", &error);
    write_batch(golden, executable, 0);
    must(kiln_executable_run(executable, &error), "run", &error);
    for (int i = 0; i < n; i++) {
        struct kiln_node_info info;
        kiln_graph_node(graph, states[i], &info);
        if (listed(golden->file, info.name))
            continue;
        int64_t count;
        float *expected = read_tensor(golden->file, "grad.", info.name, &count);
        float *values = malloc((size_t)count * sizeof *values);
        snprintf(name, sizeof name, "g%d", i);
        must(kiln_executable_read(executable, name, values, count * 4, &error), name, &error);
        compare("gradient of ", info.name, values, expected, count, golden->bound);
        free(values);
        free(expected);
    }
    kiln_executable_destroy(&executable);
    kiln_session_destroy(&session);
    kiln_graph_destroy(&graph);
}

/* --- ten steps of Adam ---------------------------------------------------------------- */

static void write_hyper(kiln_executable *executable, int step, double learning_rate)
{
    struct kiln_error error;
    float hyper[KILN_HYPER_WORDS] = {0};
    hyper[KILN_HYPER_LEARNING_RATE] = (float)learning_rate;
    hyper[KILN_HYPER_BETA1] = 0.9f;
    hyper[KILN_HYPER_BETA2] = 0.999f;
    hyper[KILN_HYPER_EPSILON] = 1e-4f;
    hyper[KILN_HYPER_CORRECTION1] = (float)(1 - pow(0.9, step + 1));
    hyper[KILN_HYPER_CORRECTION2] = (float)(1 - pow(0.999, step + 1));
    hyper[KILN_HYPER_LOSS_SCALE] = 1;
    must(kiln_executable_write(executable, "hyper", hyper, sizeof hyper, &error), "hyper", &error);
}

static void check_states(const struct golden *golden, kiln_session *session)
{
    const kiln_states *states = kiln_session_states(session);
    struct kiln_error error;
    for (int i = 0; i < kiln_states_count(states); i++) {
        const struct kiln_state_slot *slot = kiln_states_at(states, i);
        const char *name = slot->state.name;
        if (kiln_state_is_internal(name) || slot->state.dtype != KILN_F32 ||
            listed(golden->file, name))
            continue;
        int64_t count;
        float *expected = read_tensor(golden->file, "final.", name, &count);
        float *values = malloc((size_t)count * sizeof *values);
        must(kiln_session_state_get(session, i, KILN_STATE_VALUE, values, &error), name, &error);
        compare("after ten steps ", name, values, expected, count, 1e-4);
        free(values);
        free(expected);
    }
}

static void check_training(const struct golden *golden, kiln_device *device)
{
    struct kiln_error error;
    struct kiln_phase_graph phase;
    struct kiln_update update = {.kind = KILN_OPTIMIZER_ADAM};
    must(kiln_phase_graph_create(&golden->instance, 0, &golden->source, update, &phase, &error),
         "phase", &error);
    kiln_session *session = start(golden, device, phase.graph, true);
    kiln_executable *executable;
    struct kiln_compile_options options = {0};
    must(kiln_executable_create(session, phase.graph, &options, &executable, &error), "compile",
         &error);
    const struct kiln_tensor *tensor = kiln_safetensors_find(golden->file, "losses");
    float losses[STEPS], report[KILN_MAX_METRICS + 3];
    must(kiln_safetensors_read_f32(golden->file, tensor, 0, STEPS, losses, &error), "losses",
         &error);
    const char *rate = kiln_safetensors_metadata(golden->file, "learning_rate");
    for (int i = 0; i < STEPS; i++) {
        char name[16];
        write_batch(golden, executable, i);
        write_hyper(executable, i, rate ? atof(rate) : 1e-3);
        must(kiln_executable_run(executable, &error), "run", &error);
        must(kiln_executable_read(executable, "report", report,
                                  (phase.n_values + 2) * (int64_t)sizeof *report, &error),
             "report", &error);
        snprintf(name, sizeof name, "%d", i);
        compare("loss of step ", name, report, &losses[i], 1, golden->bound);
    }
    check_states(golden, session);
    kiln_executable_destroy(&executable);
    kiln_session_destroy(&session);
    kiln_phase_graph_finish(&phase);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        puts("golden_test DEVICE FILE...");
        return 1;
    }
    struct kiln_error error;
    struct kiln_device_options options = {.threads = 2};
    kiln_device *device;
    if (kiln_device_open(argv[1], &options, &device, &error)) {
        printf("%s\n", error.text);
        return SKIP;
    }
    for (int i = 2; i < argc; i++) {
        struct golden golden;
        open_golden(&golden, argv[i]);
        check_gradients(&golden, device);
        check_training(&golden, device);
        close_golden(&golden);
    }
    kiln_device_close(&device);
    printf("%d comparisons on %s, %d beyond their bound\n", n_checked, argv[1], n_failed);
    return n_failed || !n_checked;
}
