/* Golden files: opening, states, comparison. */
#include "tests/golden/golden.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STRIDE = 7 }; /* of training.py */

int n_failed, n_checked;
static const char *current_file;

static void die(const char *what, const struct kiln_error *error)
{
    printf("%s: %s: %s\n", current_file, what, error->text);
    exit(1);
}

void must(enum kiln_status status, const char *what, const struct kiln_error *error)
{
    if (status)
        die(what, error);
}

/* --- what a file says ------------------------------------------------------------- */

const char *golden_text(const struct golden *golden, const char *key, const char *otherwise)
{
    const char *text = kiln_safetensors_metadata(golden->file, key);
    return text ? text : otherwise;
}

double golden_number(const struct golden *golden, const char *key, double otherwise)
{
    const char *text = golden_text(golden, key, NULL);
    return text ? atof(text) : otherwise;
}

bool golden_lists(const struct golden *golden, const char *key, const char *name)
{
    size_t length = strlen(name);
    for (const char *p = golden_text(golden, key, ""); *p;) {
        size_t word = strcspn(p, " ");
        if (word == length && !strncmp(p, name, length))
            return true;
        p += word + strspn(p + word, " ");
    }
    return false;
}

static const struct kiln_tensor *find(const kiln_safetensors *file, const char *prefix,
                                      const char *name)
{
    char full[600];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    return kiln_safetensors_find(file, full);
}

bool golden_has(const struct golden *golden, const char *prefix, const char *name)
{
    return find(golden->file, prefix, name) != NULL;
}

static const struct kiln_tensor *need(const kiln_safetensors *file, const char *prefix,
                                      const char *name)
{
    const struct kiln_tensor *tensor = find(file, prefix, name);
    if (!tensor)
        die(name, &(struct kiln_error){.text = "no such tensor"});
    return tensor;
}

float *golden_values(const kiln_safetensors *file, const char *prefix, const char *name,
                     int64_t *count)
{
    const struct kiln_tensor *tensor = need(file, prefix, name);
    struct kiln_error error;
    float *values = malloc((size_t)(tensor->count + 1) * sizeof *values);
    must(kiln_safetensors_read_f32(file, tensor, 0, tensor->count, values, &error), name, &error);
    *count = tensor->count;
    return values;
}

/* The data that the file's batches, or its samples, are of. */
static struct kiln_data_info data_of(const struct golden *golden, const struct kiln_tensor *x)
{
    struct kiln_data_info info = {.channels = x->shape[1],
                                  .height = x->rank == 4 ? x->shape[2] : 1,
                                  .width = x->rank == 4 ? x->shape[3] : 1,
                                  .points = x->rank == 2,
                                  .n_train = 1000,
                                  .n_test = 100};
    info.n_classes = (int64_t)golden_number(golden, "classes", 0);
    return info;
}

static void open_weights(struct golden *golden, const char *path)
{
    const char *name = golden_text(golden, "weights", NULL), *slash = strrchr(path, '/');
    char full[1000];
    struct kiln_error error;
    golden->weights = golden->file;
    if (!name)
        return;
    snprintf(full, sizeof full, "%.*s%s", slash ? (int)(slash + 1 - path) : 0, path, name);
    must(kiln_safetensors_open(full, &golden->weights, &error), "open", &error);
}

void golden_open(struct golden *golden, const char *path)
{
    struct kiln_error error;
    current_file = path;
    must(kiln_safetensors_open(path, &golden->file, &error), "open", &error);
    open_weights(golden, path);
    const char *text = golden_text(golden, "config", "");
    golden->bound = golden_number(golden, "tolerance", 1e-5);
    struct kiln_config_source source = {.path = path, .text = text, .text_bytes = strlen(text)};
    must(kiln_config_load(&source, &golden->config, &error), "config", &error);
    const struct kiln_tensor *x = need(golden->weights, "x.", "0");
    struct kiln_data_info info = data_of(golden, x);
    golden->source = (struct kiln_batch_source){
        .info = info,
        .dtype = x->dtype == KILN_TENSOR_U8 ? KILN_U8 : KILN_F32,
        .n = 1000,
        .size = x->shape[0],
        .training = true};
    golden->instance.model = kiln_config_model(golden->config);
    must(golden->instance.model->create(golden->config, &info, &golden->instance.state, &error),
         "create", &error);
}

void golden_close(struct golden *golden)
{
    golden->instance.model->destroy(golden->instance.state);
    kiln_config_destroy(&golden->config);
    if (golden->weights != golden->file)
        kiln_safetensors_close(&golden->weights);
    kiln_safetensors_close(&golden->file);
}

/* --- to the device ------------------------------------------------------------------ */

void golden_write(const struct golden *golden, kiln_executable *executable, const char *tensor,
                  const char *input)
{
    const struct kiln_tensor *found = need(golden->file, "", tensor);
    struct kiln_error error;
    void *bytes = malloc((size_t)found->bytes);
    must(kiln_safetensors_read_raw(golden->file, found, bytes, &error), tensor, &error);
    must(kiln_executable_write(executable, input, bytes, found->bytes, &error), tensor, &error);
    free(bytes);
}

/*
 * Values that the metadata "drawn" describes instead of a tensor: a line "NAME
 * BOUND" means uniform in +-BOUND, of Philox keyed by 0 and the line's number.
 * Returns false if no line has the name.
 */
static bool draw(const struct golden *golden, const char *name, int64_t count, float *out)
{
    const char *drawn = kiln_safetensors_metadata(golden->weights, "drawn");
    char word[512];
    double bound = 0;
    uint32_t line = 0;
    for (const char *p = drawn ? drawn : ""; sscanf(p, "%511s %lf", word, &bound) == 2; line++) {
        if (!strcmp(word, name))
            break;
        p += strcspn(p, "\n");
        p += *p == '\n';
        bound = 0;
    }
    for (int64_t i = 0; bound > 0 && i < count; i += 4) {
        uint32_t words[4], counter[4] = {(uint32_t)(i / 4), 0, 0, line};
        kiln_philox(counter, (const uint32_t[]){0, 0}, words);
        for (int64_t j = i; j < count && j < i + 4; j++)
            out[j] = (float)((2 * (double)kiln_uniform(words[j - i]) - 1) * bound);
    }
    return bound > 0;
}

/* The file's value of a state, f32 or i32. */
static void read_state(const struct golden *golden, const struct kiln_state *state, void *out)
{
    int64_t count = kiln_shape_count(&state->shape);
    if (state->dtype == KILN_F32 && draw(golden, state->name, count, out))
        return;
    const struct kiln_tensor *tensor = need(golden->weights, "init.", state->name);
    struct kiln_error error = {.text = "another size in the file"};
    enum kiln_status status = KILN_INPUT;
    if (tensor->count == count)
        status = state->dtype == KILN_I32
                     ? kiln_safetensors_read_i32(golden->weights, tensor, 0, count, out, &error)
                     : kiln_safetensors_read_f32(golden->weights, tensor, 0, count, out, &error);
    must(status, state->name, &error);
}

void golden_set_states(const struct golden *golden, kiln_session *session)
{
    const kiln_states *states = kiln_session_states(session);
    struct kiln_error error;
    must(kiln_session_initialise(session, 0, &error), "initialise", &error);
    for (int i = 0; i < kiln_states_count(states); i++) {
        const struct kiln_state *state = &kiln_states_at(states, i)->state;
        /* a ladder of levels follows from the configuration */
        if (kiln_state_is_internal(state->name) || state->init.kind == KILN_INIT_GEOMETRIC)
            continue;
        void *values = malloc((size_t)kiln_shape_count(&state->shape) * 4);
        read_state(golden, state, values);
        must(kiln_session_state_set(session, i, KILN_STATE_VALUE, values, &error), state->name,
             &error);
        if (kiln_states_offset(states, i, KILN_STATE_EMA) >= 0)
            must(kiln_session_state_set(session, i, KILN_STATE_EMA, values, &error), state->name,
                 &error);
        free(values);
    }
}

/* --- comparison ------------------------------------------------------------------------ */

void golden_judge(const char *what, int step, double error, double bound)
{
    n_checked++;
    if (error < bound)
        return;
    n_failed++;
    printf("%s: %s: ", current_file, what);
    if (step >= 0)
        printf("step %d: ", step);
    printf("%.3g, bound %.3g\n", error, bound);
}

void golden_compare(const struct golden *golden, const char *prefix, const char *name,
                    const float *values, int64_t n, double bound)
{
    int64_t count;
    float *expected = golden_values(golden->file, prefix, name, &count);
    int64_t stride = count == n ? 1 : STRIDE;
    double difference = 0, norm = 0;
    if (count != (n + stride - 1) / stride)
        die(name, &(struct kiln_error){.text = "another size in the file"});
    for (int64_t i = 0; i < count; i++) {
        double d = (double)values[i * stride] - expected[i];
        difference += d * d;
        norm += (double)expected[i] * expected[i];
    }
    free(expected);
    double ratio = sqrt(difference) / (norm > 0 ? sqrt(norm) : 1);
    char full[600];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    golden_judge(full, -1, ratio, bound);
}
