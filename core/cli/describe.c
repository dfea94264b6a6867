/* kiln describe: a configuration with everything resolved, and what its model
 * takes. */
#include <stdio.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "core/cli/command.h"
#include "core/cli/describe_model.h"
#include "core/cli/trained.h"
#include "core/run/ini.h"
#include "core/run/schema.h"

/* --- text: INI, so that it is a config again ----------------------------------------- */

enum { VALUE_COLUMNS = 32 };

/* Values that are no defaults say where they are from. */
static void write_config(const kiln_config *config, struct kiln_text *text)
{
    const struct kiln_schema *schema = kiln_config_schema(config);
    const char *section = NULL;
    for (size_t i = 0; i < schema->n; i++) {
        const char *key = schema->options[i]->key;
        if (!section || strcmp(section, schema->options[i]->section) != 0) {
            kiln_text_append(text, "%s[%s]\n", section ? "\n" : "", schema->options[i]->section);
            section = schema->options[i]->section;
        }
        size_t start = text->length;
        kiln_ini_write(text, key, kiln_config_text(config, section, key));
        int written = (int)(text->length - start);
        int blanks = written < VALUE_COLUMNS ? VALUE_COLUMNS - written : 0;
        const char *origin = kiln_config_origin(config, section, key);
        /* a longer line would not be a config's any more */
        if (kiln_config_given(config, section, key) &&
            strlen(origin) + (size_t)(written + blanks) + 3 <= KILN_INI_MAX_LINE)
            kiln_text_append(text, "%*s ; %s", blanks, "", origin);
        kiln_text_append(text, "\n");
    }
}

static void write_states(const struct kiln_description *about, struct kiln_text *text)
{
    kiln_text_append(text, "\n; parameters: %lld", (long long)about->n_parameters);
    if (about->n_buffers)
        kiln_text_append(text, ", and %lld numbers in buffers", (long long)about->n_buffers);
    kiln_text_append(text, "\n");
    for (int i = 0; i < kiln_states_count(about->states); i++) {
        const struct kiln_state *state = &kiln_states_at(about->states, i)->state;
        char shape[96];
        kiln_text_append(text, ";   %-44.120s %-20s %10lld%s\n", state->name,
                         kiln_shape_text(&state->shape, shape, sizeof shape),
                         (long long)kiln_shape_count(&state->shape),
                         state->trainable ? "" : "  buffer");
    }
}

struct derived {
    struct kiln_text *text;
    struct kiln_json *json; /* NULL: text */
    int n;
};

static void write_derived(void *user, const char *name, double value)
{
    struct derived *derived = user;
    if (derived->json) {
        kiln_json_number(derived->json, name, value);
        return;
    }
    kiln_text_append(derived->text, "%s;   %-44.120s %.10g\n",
                     derived->n++ ? "" : "\n; derived quantities\n", name, value);
}

static void write_data(const struct kiln_data_info *info, struct kiln_text *text)
{
    kiln_text_append(text, "\n; data: %lld training and %lld test samples of ",
                     (long long)info->n_train, (long long)info->n_test);
    if (info->points)
        kiln_text_append(text, "2 coordinates");
    else
        kiln_text_append(text, "%lldx%lldx%lld", (long long)info->channels, (long long)info->height,
                         (long long)info->width);
    if (info->n_classes)
        kiln_text_append(text, ", %lld classes", (long long)info->n_classes);
    kiln_text_append(text, "\n");
}

/* about NULL: the config alone. */
static void write_text(const kiln_config *config, const struct kiln_description *about,
                       struct kiln_text *text)
{
    write_config(config, text);
    if (about) {
        const struct kiln_instance *instance = &about->experiment.instance;
        struct derived derived = {.text = text};
        write_data(&about->experiment.info, text);
        write_states(about, text);
        kiln_description_memory(about, text);
        if (instance->model->describe)
            instance->model->describe(instance->state, write_derived, &derived);
    }
    text->length -= text->length > 0; /* kiln_cli_print ends the last line */
}

/* --- JSON -------------------------------------------------------------------------------- */

static void write_json_data(const struct kiln_data_info *info, struct kiln_json *json)
{
    kiln_json_object(json, "data");
    kiln_json_bool(json, "points", info->points);
    kiln_json_int(json, "channels", info->channels);
    kiln_json_int(json, "height", info->height);
    kiln_json_int(json, "width", info->width);
    kiln_json_int(json, "n_classes", info->n_classes);
    kiln_json_int(json, "n_train", info->n_train);
    kiln_json_int(json, "n_test", info->n_test);
    kiln_json_end(json);
}

static void write_json_states(const struct kiln_description *about, struct kiln_json *json)
{
    kiln_json_int(json, "n_parameters", about->n_parameters);
    kiln_json_array(json, "states");
    for (int i = 0; i < kiln_states_count(about->states); i++) {
        const struct kiln_state *state = &kiln_states_at(about->states, i)->state;
        kiln_json_object(json, NULL);
        kiln_json_string(json, "name", state->name);
        kiln_json_array(json, "shape");
        for (int d = 0; d < state->shape.n; d++)
            kiln_json_int(json, NULL, state->shape.d[d]);
        kiln_json_end(json);
        kiln_json_string(json, "dtype", kiln_dtype_name(state->dtype));
        kiln_json_bool(json, "trainable", state->trainable);
        kiln_json_end(json);
    }
    kiln_json_end(json);
}

static void write_json(const kiln_config *config, const struct kiln_description *about,
                       struct kiln_text *text)
{
    struct kiln_json json = kiln_json_start(text);
    kiln_json_object(&json, NULL);
    kiln_config_json(config, &json, "config");
    if (about) {
        const struct kiln_instance *instance = &about->experiment.instance;
        struct derived derived = {.json = &json};
        write_json_data(&about->experiment.info, &json);
        write_json_states(about, &json);
        kiln_description_json(about, &json);
        kiln_json_object(&json, "derived");
        if (instance->model->describe)
            instance->model->describe(instance->state, write_derived, &derived);
        kiln_json_end(&json);
    }
    kiln_json_end(&json);
}

/* --- the command --------------------------------------------------------------------------- */

static bool is_checkpoint(const char *path)
{
    static const char ending[] = ".safetensors";
    size_t n = strlen(path), e = strlen(ending);
    return kiln_directory_exists(path) || (n > e && strcmp(path + n - e, ending) == 0);
}

/* Prints the config, and what the model takes unless that is not asked for.
 * info NULL: the data set tells what the model is made for. */
static enum kiln_status describe(const struct kiln_cli *cli, kiln_config *config,
                                 const struct kiln_data_info *info, struct kiln_error *error)
{
    struct kiln_description about;
    struct kiln_text text = {0};
    enum kiln_status status = KILN_OK;
    bool config_only = kiln_cli_flag(cli, "config-only");
    if (!config_only)
        status = kiln_description_create(config, info, &about, error);
    if (!status && kiln_cli_flag(cli, "json"))
        write_json(config, config_only ? NULL : &about, &text);
    else if (!status)
        write_text(config, config_only ? NULL : &about, &text);
    if (!status)
        status = kiln_cli_print(&text, error);
    if (!config_only)
        kiln_description_finish(&about);
    return status;
}

static enum kiln_status run(const struct kiln_cli *cli, struct kiln_error *error)
{
    struct kiln_trained trained = {0};
    kiln_config *config = NULL;
    bool of_run = is_checkpoint(cli->arguments[0]);
    enum kiln_status status =
        of_run ? kiln_trained_open_config(cli, &trained, error)
               : kiln_cli_config(cli, cli->arguments[0], NULL, 0, &config, error);
    if (!status)
        status = describe(cli, of_run ? trained.config : config, trained.info, error);
    kiln_config_destroy(&config);
    kiln_trained_close(&trained);
    return status;
}

static const struct kiln_cli_option options[] = {
    KILN_CLI_DEVICE_OPTION,
    KILN_CLI_FILE_OPTIONS,
    KILN_CLI_CONFIG_OPTIONS,
    {"config-only", 0, NULL, NULL, "print the config alone: needs no data and no device"},
    KILN_CLI_QUIET_OPTION,
    KILN_CLI_JSON_OPTION,
    {0}};

static const char *const examples[] = {
    "kiln describe config/vae.ini",
    "prints the config with all defaults filled in, every parameter's shape, and the memory that "
    "training takes",
    "kiln describe config/vae.ini --set train.batch_size=64 --config-only >my.ini",
    "writes a changed config, complete", NULL};

const struct kiln_command kiln_command_describe = {
    .name = "describe",
    .arguments = "CONFIG|RUN",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "show a resolved config, its model and the memory it takes",
    .description = "Prints the config with includes, --set and all defaults resolved; values that "
                   "are no defaults say where they are from. Comments behind it tell the data, "
                   "the parameters, the plans of training and sampling on the device, and what the "
                   "model derives from its config. The text is a config again.",
    .options = options,
    .examples = examples,
    .run = run};
