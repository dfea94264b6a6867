/* Writing checkpoints, and the names of their tensors. */
#include "core/run/checkpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "core/base/json.h"
#include "core/run/graphs.h"

/* --- names ---------------------------------------------------------------------- */

static const char *moment_slot(enum kiln_optimizer_kind kind, enum kiln_state_part part)
{
    switch (kind) {
    case KILN_OPTIMIZER_SGD:
        return "momentum_buffer";
    case KILN_OPTIMIZER_RMSPROP:
        return "square_avg";
    default:
        return part == KILN_STATE_MOMENT1 ? "exp_avg" : "exp_avg_sq";
    }
}

bool kiln_checkpoint_name(const kiln_states *states, int state, enum kiln_state_part part,
                          char *name, size_t size)
{
    const struct kiln_state_slot *slot = kiln_states_at(states, state);
    if (kiln_state_is_internal(slot->state.name) || kiln_states_offset(states, state, part) < 0)
        return false;
    int length = 0;
    if (part == KILN_STATE_VALUE) {
        length = snprintf(name, size, "%s", slot->state.name);
    } else if (part == KILN_STATE_EMA) {
        length = snprintf(name, size, "ema.%s", slot->state.name);
    } else {
        enum kiln_optimizer_kind kind = kiln_states_group_at(states, slot->group)->update.kind;
        length = snprintf(name, size, "optim.%s.%s", slot->state.name, moment_slot(kind, part));
    }
    return length > 0 && (size_t)length < size;
}

void kiln_checkpoint_choices(const kiln_session *session, char digits[17])
{
    const char *choices = kiln_session_choices(session);
    snprintf(digits, 17, "%016" PRIx64, (uint64_t)XXH3_64bits(choices, strlen(choices)));
}

/* --- metadata --------------------------------------------------------------------- */

static void data_json(const struct kiln_data_info *info, struct kiln_text *text)
{
    struct kiln_json json = kiln_json_start(text);
    kiln_json_object(&json, NULL);
    kiln_json_bool(&json, "points", info->points);
    kiln_json_int(&json, "channels", info->channels);
    kiln_json_int(&json, "height", info->height);
    kiln_json_int(&json, "width", info->width);
    kiln_json_int(&json, "n_classes", info->n_classes);
    kiln_json_int(&json, "n_train", info->n_train);
    kiln_json_int(&json, "n_test", info->n_test);
    kiln_json_end(&json);
}

static enum kiln_status write_metadata(kiln_safetensors_writer *writer, const kiln_session *session,
                                       const kiln_config *config, const struct kiln_run_state *run,
                                       struct kiln_error *error)
{
    char number[32], choices[17];
    const kiln_device *used = kiln_session_device(session);
    struct kiln_text text = {0}, data = {0}, device = {0};
    kiln_config_write(config, false, &text);
    data_json(&run->info, &data);
    kiln_text_append(&device, "%s (%s)", kiln_device_name(used), kiln_device_caps(used)->name);
    bool failed = text.failed || data.failed || device.failed;
    if (!failed) {
        kiln_safetensors_writer_metadata(writer, "format", "pt");
        snprintf(number, sizeof number, "%d", KILN_CHECKPOINT_FORMAT);
        kiln_safetensors_writer_metadata(writer, "kiln_format", number);
        snprintf(number, sizeof number, "%" PRId64, run->step);
        kiln_safetensors_writer_metadata(writer, "step", number);
        snprintf(number, sizeof number, "%" PRIu64, run->seed);
        kiln_safetensors_writer_metadata(writer, "seed", number);
        kiln_safetensors_writer_metadata(writer, "data", data.data);
        kiln_checkpoint_choices(session, choices);
        kiln_safetensors_writer_metadata(writer, "choices", choices);
        kiln_safetensors_writer_metadata(writer, "device", device.data);
        kiln_safetensors_writer_metadata(writer, "config", text.data);
    }
    kiln_text_finish(&text);
    kiln_text_finish(&data);
    kiln_text_finish(&device);
    return failed ? kiln_fail(error, KILN_MACHINE, "out of memory") : KILN_OK;
}

/* --- tensors ------------------------------------------------------------------------ */

/* Calls back for every tensor of the file in its order: integers (wider in the
 * file) first, so that all are aligned. */
typedef enum kiln_status tensor_fn(void *user, int state, enum kiln_state_part part,
                                   const char *name, struct kiln_error *error);

static enum kiln_status for_each_tensor(const kiln_states *states, tensor_fn *visit, void *user,
                                        struct kiln_error *error)
{
    static const enum kiln_state_part order[KILN_STATE_PARTS] = {
        KILN_STATE_VALUE, KILN_STATE_EMA, KILN_STATE_MOMENT1, KILN_STATE_MOMENT2};
    char name[KILN_TENSOR_MAX_NAME + 1];
    enum kiln_status status = KILN_OK;
    for (int integers = 1; integers >= 0; integers--)
        for (int part = 0; part < KILN_STATE_PARTS; part++)
            for (int i = 0; i < kiln_states_count(states) && !status; i++) {
                bool integer = kiln_states_at(states, i)->state.dtype == KILN_I32;
                if (integer == (integers == 1) &&
                    kiln_checkpoint_name(states, i, order[part], name, sizeof name))
                    status = visit(user, i, order[part], name, error);
            }
    return status;
}

struct saving {
    kiln_session *session;
    kiln_safetensors_writer *writer;
    void *dense;   /* one tensor as the device gives it */
    int64_t *wide; /* an integer tensor as the file holds it */
};

static enum kiln_status declare_tensor(void *user, int state, enum kiln_state_part part,
                                       const char *name, struct kiln_error *error)
{
    (void)part, (void)error;
    struct saving *saving = user;
    const struct kiln_state *s =
        &kiln_states_at(kiln_session_states(saving->session), state)->state;
    enum kiln_tensor_dtype dtype = s->dtype == KILN_I32 ? KILN_TENSOR_I64 : KILN_TENSOR_F32;
    kiln_safetensors_writer_tensor(saving->writer, name, dtype, s->shape.n, s->shape.d);
    return KILN_OK;
}

static enum kiln_status write_tensor(void *user, int state, enum kiln_state_part part,
                                     const char *name, struct kiln_error *error)
{
    (void)name;
    struct saving *saving = user;
    const struct kiln_state *s =
        &kiln_states_at(kiln_session_states(saving->session), state)->state;
    int64_t count = kiln_shape_count(&s->shape);
    enum kiln_status status =
        kiln_session_state_get(saving->session, state, part, saving->dense, error);
    if (status)
        return status;
    if (s->dtype == KILN_I32) {
        for (int64_t i = 0; i < count; i++)
            saving->wide[i] = ((const int32_t *)saving->dense)[i];
        kiln_safetensors_writer_data(saving->writer, saving->wide,
                                     count * (int64_t)sizeof(int64_t));
    } else {
        kiln_safetensors_writer_data(saving->writer, saving->dense, count * (int64_t)sizeof(float));
    }
    return KILN_OK;
}

static int64_t largest_count(const kiln_states *states)
{
    int64_t largest = 1;
    for (int i = 0; i < kiln_states_count(states); i++) {
        int64_t count = kiln_shape_count(&kiln_states_at(states, i)->state.shape);
        if (count > largest)
            largest = count;
    }
    return largest;
}

enum kiln_status kiln_checkpoint_save(const char *path, kiln_session *session,
                                      const kiln_config *config, const struct kiln_run_state *run,
                                      struct kiln_error *error)
{
    const kiln_states *states = kiln_session_states(session);
    size_t largest = (size_t)largest_count(states);
    struct saving saving = {
        .session = session,
        .dense = calloc(largest, sizeof(float)),
        .wide = calloc(largest, sizeof(int64_t)),
    };
    enum kiln_status status = KILN_OK;
    if (!saving.dense || !saving.wide)
        status = kiln_fail(error, KILN_MACHINE, "%s: out of memory", path);
    if (!status)
        status = kiln_safetensors_writer_create(path, &saving.writer, error);
    if (!status)
        status = write_metadata(saving.writer, session, config, run, error);
    if (!status) {
        for_each_tensor(states, declare_tensor, &saving, error);
        kiln_safetensors_writer_begin(saving.writer);
        status = for_each_tensor(states, write_tensor, &saving, error);
    }
    if (!status)
        status = kiln_safetensors_writer_commit(&saving.writer, error);
    kiln_safetensors_writer_abort(&saving.writer);
    free(saving.dense);
    free(saving.wide);
    return status;
}
