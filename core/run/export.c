/* One file of an export: weights, or a JSON object. */
#include "core/run/export.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "core/run/exchange_value.h"
#include "core/run/export_folder.h"

/* --- weights --------------------------------------------------------------------- */

/* The tensor of a state: its average if there is one and it is asked for. */
static const struct kiln_tensor *find_tensor(const struct kiln_export *export, const char *name)
{
    char average[KILN_TENSOR_MAX_NAME + 8];
    snprintf(average, sizeof average, "ema.%s", name);
    const struct kiln_tensor *tensor =
        export->raw ? NULL : kiln_checkpoint_find(export->checkpoint, average);
    return tensor ? tensor : kiln_checkpoint_find(export->checkpoint, name);
}

static enum kiln_status copy_tensor(const struct kiln_export *export,
                                    const struct kiln_state *state, kiln_safetensors_writer *writer,
                                    struct kiln_error *error)
{
    const struct kiln_tensor *tensor = find_tensor(export, state->name);
    const kiln_safetensors *file = kiln_checkpoint_tensors(export->checkpoint);
    if (!tensor)
        return kiln_fail(error, KILN_INPUT, "%s: %s is not in it",
                         kiln_checkpoint_path(export->checkpoint), state->name);
    bool integer = state->dtype == KILN_I32;
    int64_t n = tensor->count;
    int64_t *data = calloc((size_t)n + 1, sizeof *data); /* large enough for both types */
    if (!data)
        return kiln_fail(error, KILN_MACHINE, "%s: out of memory",
                         kiln_checkpoint_path(export->checkpoint));
    int32_t *narrow = (int32_t *)data;
    enum kiln_status status =
        integer ? kiln_safetensors_read_i32(file, tensor, 0, n, narrow, error)
                : kiln_safetensors_read_f32(file, tensor, 0, n, (float *)data, error);
    for (int64_t i = n - 1; integer && i >= 0; i--) /* widened in place, from the end */
        data[i] = narrow[i];
    if (!status)
        kiln_safetensors_writer_data(writer, data, n * (integer ? 8 : 4));
    free(data);
    return status;
}

/* The states of a network, integers first as in checkpoints; NULL after the
 * last. */
static const struct kiln_state *next_state(const kiln_states *states, const char *prefix, int *at)
{
    int n = kiln_states_count(states);
    while (*at < 2 * n) {
        const struct kiln_state *state = &kiln_states_at(states, *at % n)->state;
        bool integers = (*at)++ < n;
        if ((state->dtype == KILN_I32) == integers && !kiln_state_is_internal(state->name) &&
            !strncmp(state->name, prefix, strlen(prefix)))
            return state;
    }
    return NULL;
}

enum kiln_status kiln_export_weights(const struct kiln_export *export, const kiln_states *states,
                                     const char *prefix, const char *path, struct kiln_error *error)
{
    kiln_safetensors_writer *writer;
    const struct kiln_state *state;
    enum kiln_status status = kiln_safetensors_writer_create(path, &writer, error);
    if (status)
        return status;
    kiln_safetensors_writer_metadata(writer, "format", "pt");
    for (int at = 0; (state = next_state(states, prefix, &at));)
        kiln_safetensors_writer_tensor(writer, state->name + strlen(prefix),
                                       state->dtype == KILN_I32 ? KILN_TENSOR_I64 : KILN_TENSOR_F32,
                                       state->shape.n, state->shape.d);
    kiln_safetensors_writer_begin(writer);
    for (int at = 0; !status && (state = next_state(states, prefix, &at));)
        status = copy_tensor(export, state, writer, error);
    if (!status)
        status = kiln_safetensors_writer_commit(&writer, error);
    kiln_safetensors_writer_abort(&writer);
    return status;
}

/* --- JSON ---------------------------------------------------------------------------- */

enum kiln_status kiln_export_json(const struct kiln_export *export,
                                  const struct kiln_exchange_file *file, const char *path,
                                  struct kiln_error *error)
{
    const struct kiln_exchange_source source = {
        .config = export->experiment->config,
        .info = &export->experiment->info,
        .model = export->experiment->instance.state,
    };
    struct kiln_text text = {0};
    kiln_text_append(&text, "{");
    int written = 0;
    for (const struct kiln_exchange_key *row = file->keys; row->kind; row++) {
        struct kiln_text value = {0};
        if (file->class_name && !strcmp(row->name, "_class_name"))
            kiln_json_quote(&value, file->class_name);
        else
            kiln_exchange_write(row, &source, &value);
        if (value.failed)
            text.failed = true;
        else if (value.length)
            kiln_text_append(&text, "%s\n  \"%s\": %s", written++ ? "," : "", row->name,
                             value.data);
        kiln_text_finish(&value);
    }
    kiln_text_append(&text, "\n}\n");
    enum kiln_status status = text.failed
                                  ? kiln_fail(error, KILN_MACHINE, "%s: out of memory", path)
                                  : kiln_file_write(path, text.data, text.length, error);
    kiln_text_finish(&text);
    return status;
}
