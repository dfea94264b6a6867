/* Fitting a checkpoint's tensors to a model, and loading them. */
#include "core/run/checkpoint.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/text.h"
#include "core/run/checkpoint_names.h"
#include "core/run/graphs.h"

/* --- fit ----------------------------------------------------------------------------- */

enum { MAX_DIFFERENCES = 5 };

struct differences {
    struct kiln_text text;
    int n;
};

static const char *tensor_shape_text(const struct kiln_tensor *tensor, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "[");
    for (int i = 0; i < tensor->rank && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%lld", i ? ", " : "",
                                 (long long)tensor->shape[i]);
    if (used < size)
        snprintf(text + used, size - used, "]");
    return text;
}

static bool same_shape(const struct kiln_tensor *tensor, const struct kiln_shape *shape)
{
    bool same = tensor->rank == shape->n;
    for (int i = 0; same && i < shape->n; i++)
        same = tensor->shape[i] == shape->d[i];
    return same;
}

static void add_difference(struct differences *differences, const char *text)
{
    if (differences->n++ < MAX_DIFFERENCES)
        kiln_text_append(&differences->text, "%s%s", differences->text.length ? "; " : "", text);
}

/* Compares one expected tensor with the file's. */
static void compare(const struct kiln_tensor *tensor, const char *name,
                    const struct kiln_state *state, struct differences *differences)
{
    char expected[128], found[256], line[KILN_TENSOR_MAX_NAME + 512];
    kiln_shape_text(&state->shape, expected, sizeof expected);
    if (tensor && same_shape(tensor, &state->shape))
        return;
    if (tensor)
        snprintf(line, sizeof line, "%s is %s, expected %s", name,
                 tensor_shape_text(tensor, found, sizeof found), expected);
    else
        snprintf(line, sizeof line, "%s %s is missing", name, expected);
    add_difference(differences, line);
}

static enum kiln_status report(const kiln_checkpoint *checkpoint, struct differences *differences,
                               struct kiln_error *error)
{
    enum kiln_status status = KILN_OK;
    if (differences->text.failed)
        status = kiln_fail(error, KILN_MACHINE, "out of memory");
    else if (differences->n)
        status = kiln_fail(error, KILN_INPUT, "%s: does not fit the model (%d difference%s): %s%s",
                           kiln_checkpoint_path(checkpoint), differences->n,
                           differences->n == 1 ? "" : "s", differences->text.data,
                           differences->n > MAX_DIFFERENCES ? "; ..." : "");
    kiln_text_finish(&differences->text);
    return status;
}

static bool auxiliary(const char *name)
{
    return !strncmp(name, "ema.", 4) || !strncmp(name, "optim.", 6);
}

enum kiln_status kiln_checkpoint_check(const kiln_checkpoint *checkpoint, const kiln_states *states,
                                       struct kiln_error *error)
{
    const kiln_safetensors *file = kiln_checkpoint_tensors(checkpoint);
    const struct kiln_checkpoint_names *names = kiln_checkpoint_names(checkpoint);
    struct differences differences = {0};
    int n_states = 0;
    for (int i = 0; i < kiln_states_count(states); i++) {
        const struct kiln_state *state = &kiln_states_at(states, i)->state;
        if (kiln_state_is_internal(state->name) || !kiln_checkpoint_in_part(names, state->name))
            continue;
        const struct kiln_tensor *tensor = kiln_checkpoint_find(checkpoint, state->name);
        n_states++;
        if (tensor || !kiln_checkpoint_may_lack(names, state->name))
            compare(tensor, state->name, state, &differences);
    }
    if (!n_states)
        return kiln_fail(error, KILN_INPUT, "--part: the model has no network '%s'", names->prefix);
    for (int i = 0; i < kiln_safetensors_count(file); i++) {
        const char *name = kiln_safetensors_at(file, i)->name;
        char line[KILN_TENSOR_MAX_NAME + 64];
        snprintf(line, sizeof line, "%s is not the model's", name);
        if (!auxiliary(name) && !kiln_checkpoint_names_known(names, states, name))
            add_difference(&differences, line);
    }
    return report(checkpoint, &differences, error);
}

/* --- loading ---------------------------------------------------------------------------- */

static enum kiln_status check_finite(const kiln_checkpoint *checkpoint, const char *name,
                                     const float *x, int64_t count, struct kiln_error *error)
{
    for (int64_t i = 0; i < count; i++) {
        if (isfinite(x[i]))
            continue;
        if (!kiln_checkpoint_accepts_not_finite(checkpoint))
            return kiln_fail(error, KILN_INPUT,
                             "%s: %s has values that are not finite (--force uses them)",
                             kiln_checkpoint_path(checkpoint), name);
        kiln_log_line(KILN_LOG_WARNING, "%s: %s has values that are not finite",
                      kiln_checkpoint_path(checkpoint), name);
        break;
    }
    return KILN_OK;
}

static enum kiln_status load_tensor(const kiln_checkpoint *checkpoint,
                                    const struct kiln_tensor *tensor, kiln_session *session,
                                    int state, enum kiln_state_part part, struct kiln_error *error)
{
    void *dense = malloc((size_t)tensor->count * sizeof(float));
    if (!dense)
        return kiln_fail(error, KILN_MACHINE, "%s: out of memory",
                         kiln_checkpoint_path(checkpoint));
    bool integer = kiln_states_at(kiln_session_states(session), state)->state.dtype == KILN_I32;
    enum kiln_status status =
        integer ? kiln_safetensors_read_i32(kiln_checkpoint_tensors(checkpoint), tensor, 0,
                                            tensor->count, dense, error)
                : kiln_safetensors_read_f32(kiln_checkpoint_tensors(checkpoint), tensor, 0,
                                            tensor->count, dense, error);
    if (!status && !integer)
        status = check_finite(checkpoint, tensor->name, dense, tensor->count, error);
    if (!status)
        status = kiln_session_state_set(session, state, part, dense, error);
    free(dense);
    return status;
}

/* Loads one part of every state that keeps it. */
static enum kiln_status load_part(const kiln_checkpoint *checkpoint, kiln_session *session,
                                  enum kiln_state_part part, struct kiln_error *error)
{
    const kiln_states *states = kiln_session_states(session);
    struct differences differences = {0};
    enum kiln_status status = KILN_OK;
    for (int i = 0; i < kiln_states_count(states) && !status; i++) {
        char name[KILN_TENSOR_MAX_NAME + 1];
        if (!kiln_checkpoint_name(states, i, part, name, sizeof name))
            continue;
        const struct kiln_tensor *tensor = kiln_checkpoint_find(checkpoint, name);
        if (!tensor && kiln_checkpoint_may_lack(kiln_checkpoint_names(checkpoint), name))
            continue;
        int before = differences.n;
        compare(tensor, name, &kiln_states_at(states, i)->state, &differences);
        if (differences.n == before)
            status = load_tensor(checkpoint, tensor, session, i, part, error);
    }
    if (status) {
        kiln_text_finish(&differences.text);
        return status;
    }
    return report(checkpoint, &differences, error);
}

/* Overwrites values by the averages that the file has. */
static enum kiln_status load_averages(const kiln_checkpoint *checkpoint, kiln_session *session,
                                      struct kiln_error *error)
{
    const kiln_states *states = kiln_session_states(session);
    enum kiln_status status = KILN_OK;
    for (int i = 0; i < kiln_states_count(states) && !status; i++) {
        const struct kiln_state *state = &kiln_states_at(states, i)->state;
        char name[KILN_TENSOR_MAX_NAME + 1];
        snprintf(name, sizeof name, "ema.%s", state->name);
        const struct kiln_tensor *tensor = kiln_checkpoint_find(checkpoint, name);
        if (!tensor)
            continue;
        struct differences differences = {0};
        compare(tensor, name, state, &differences);
        status = report(checkpoint, &differences, error);
        if (!status)
            status = load_tensor(checkpoint, tensor, session, i, KILN_STATE_VALUE, error);
    }
    return status;
}

enum kiln_status kiln_checkpoint_load(const kiln_checkpoint *checkpoint, kiln_session *session,
                                      bool ema, struct kiln_error *error)
{
    enum kiln_status status = load_part(checkpoint, session, KILN_STATE_VALUE, error);
    return !status && ema ? load_averages(checkpoint, session, error) : status;
}

enum kiln_status kiln_checkpoint_resume(const kiln_checkpoint *checkpoint, kiln_session *session,
                                        struct kiln_error *error)
{
    enum kiln_status status = KILN_OK;
    for (int part = 0; part < KILN_STATE_PARTS && !status; part++)
        status = load_part(checkpoint, session, (enum kiln_state_part)part, error);
    if (status)
        return status;
    char now[17];
    const char *before = kiln_safetensors_metadata(kiln_checkpoint_tensors(checkpoint), "choices");
    kiln_checkpoint_choices(session, now);
    if (!before || strcmp(before, now))
        kiln_log_line(KILN_LOG_WARNING,
                      "%s: the run so far used another device, library version or choice of "
                      "kernels; it goes on, but not "
                      "bit for bit as it would have",
                      kiln_checkpoint_path(checkpoint));
    return KILN_OK;
}
