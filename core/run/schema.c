/* Joining the tables of options, and looking keys up. */
#include "core/run/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/run/dataset.h"
#include "core/run/ini.h"

enum { MAX_OPTIONS = 4096 };

int kiln_schema_find(const struct kiln_schema *schema, const char *section, const char *key)
{
    for (size_t i = 0; i < schema->n; i++)
        if (strcmp(schema->options[i]->key, key) == 0 &&
            strcmp(schema->options[i]->section, section) == 0)
            return (int)i;
    return -1;
}

bool kiln_schema_has_section(const struct kiln_schema *schema, const char *section)
{
    for (size_t i = 0; i < schema->n; i++)
        if (strcmp(schema->options[i]->section, section) == 0)
            return true;
    return false;
}

/* Appends a table, whose keys are new. */
static bool append_table(struct kiln_schema *schema, const struct kiln_option *table)
{
    for (; table->section; table++) {
        if (!kiln_array_grow(&schema->options, &schema->capacity, schema->n,
                             sizeof *schema->options))
            return false;
        schema->options[schema->n++] = table;
    }
    return true;
}

/* Checks one row of a plugin's table; old is the core's option or NULL. */
static enum kiln_status check_option(const char *plugin, const struct kiln_option *option,
                                     const struct kiln_option *old, struct kiln_error *error)
{
    const char *problem = NULL;
    if (!option->key || !kiln_ini_name_valid(option->section) || !kiln_ini_name_valid(option->key))
        return kiln_fail(error, KILN_INPUT, "plugin %s: [%s] %s: not a name of an option", plugin,
                         option->section, option->key ? option->key : "(null)");
    if ((unsigned)option->type > KILN_OPTION_FLOATS)
        problem = "unknown type";
    else if (!option->value || !option->help)
        problem = "no default or no help";
    else if (!(option->min <= option->max))
        problem = "empty range";
    else if (option->type == KILN_OPTION_CHOICE && (!option->choices || !option->choices[0]))
        problem = "no choices";
    else if (strcmp(option->section, "model") == 0 && strcmp(option->key, "plugin") == 0)
        problem = "belongs to the core";
    else if (old && old->type != option->type)
        problem = "another type than the core's";
    else if (!kiln_ini_value_valid(option->key, option->value))
        problem = "default cannot stand in a config";
    if (problem)
        return kiln_fail(error, KILN_INPUT, "plugin %s: [%s] %s: %s", plugin, option->section,
                         option->key, problem);
    struct kiln_option_value value;
    struct kiln_error why;
    enum kiln_status status = kiln_option_parse(option, option->value, &value, &why);
    free(value.list);
    return status ? kiln_fail(error, status, "plugin %s: [%s] %s: default: %s", plugin,
                              option->section, option->key, why.text)
                  : KILN_OK;
}

static enum kiln_status add_plugin(struct kiln_schema *schema, const struct kiln_model *model,
                                   struct kiln_error *error)
{
    size_t n_core = schema->n;
    bool taken[MAX_OPTIONS] = {0}; /* the core's options that the plugin declared again */
    for (const struct kiln_option *option = model->options; option && option->section; option++) {
        int index = option->key ? kiln_schema_find(schema, option->section, option->key) : -1;
        const struct kiln_option *old = index >= 0 ? schema->options[index] : NULL;
        if (schema->n >= MAX_OPTIONS)
            return kiln_fail(error, KILN_INPUT, "plugin %s: more than %d options", model->name,
                             MAX_OPTIONS);
        if (old && ((size_t)index >= n_core || taken[index]))
            return kiln_fail(error, KILN_INPUT, "plugin %s: [%s] %s: declared twice", model->name,
                             option->section, option->key);
        enum kiln_status status = check_option(model->name, option, old, error);
        if (status)
            return status;
        if (old) {
            schema->options[index] = option;
            taken[index] = true;
            continue;
        }
        if (!kiln_array_grow(&schema->options, &schema->capacity, schema->n,
                             sizeof *schema->options))
            return kiln_fail(error, KILN_MACHINE, "out of memory");
        schema->options[schema->n++] = option;
    }
    return KILN_OK;
}

/* Place of a section in a config: the known ones first, others after them. */
static int section_rank(const char *section)
{
    static const char *const order[] = {"model", "network", "data", "train", "sample", "run"};
    int n = (int)(sizeof order / sizeof *order);
    for (int i = 0; i < n; i++)
        if (strcmp(order[i], section) == 0)
            return i;
    return n;
}

/* Groups the options by section, keeping the order of declaration. */
static bool group(struct kiln_schema *schema)
{
    const struct kiln_option **grouped = malloc((schema->n + 1) * sizeof(*grouped));
    if (!grouped)
        return false;
    size_t used = 0;
    for (int rank = 0; rank <= section_rank(""); rank++)
        for (size_t first = 0; first < schema->n; first++) {
            const struct kiln_option *option = schema->options[first];
            if (!option || section_rank(option->section) != rank)
                continue;
            const char *section = option->section;
            for (size_t i = first; i < schema->n; i++)
                if (schema->options[i] && strcmp(schema->options[i]->section, section) == 0) {
                    grouped[used++] = schema->options[i];
                    schema->options[i] = NULL;
                }
        }
    free(schema->options);
    schema->options = grouped;
    schema->capacity = schema->n + 1;
    return true;
}

enum kiln_status kiln_schema_init(struct kiln_schema *schema, const struct kiln_model *model,
                                  struct kiln_error *error)
{
    *schema = (struct kiln_schema){0};
    enum kiln_status status = KILN_OK;
    bool room = append_table(schema, kiln_core_options) && append_table(schema, kiln_data_options);
    if (room && model)
        status = add_plugin(schema, model, error);
    if (!status && !(room && group(schema)))
        status = kiln_fail(error, KILN_MACHINE, "out of memory");
    if (status)
        kiln_schema_finish(schema);
    return status;
}

void kiln_schema_finish(struct kiln_schema *schema)
{
    free(schema->options);
    *schema = (struct kiln_schema){0};
}

/* True if b is near enough to a to be what was meant, and nearer than *best. */
static bool nearer(const char *a, const char *b, int *best)
{
    int distance = kiln_edit_distance(a, b);
    if (distance > (int)strlen(a) / 3 + 1 || distance >= *best)
        return false;
    *best = distance;
    return true;
}

void kiln_schema_suggest(const struct kiln_schema *schema, const char *section, const char *key,
                         char *text, size_t size)
{
    bool known = kiln_schema_has_section(schema, section);
    const struct kiln_option *found = NULL;
    int best = 1000;
    text[0] = '\0';
    for (size_t i = 0; i < schema->n; i++) {
        const struct kiln_option *option = schema->options[i];
        if (known ? strcmp(option->section, section) == 0 && nearer(key, option->key, &best)
                  : nearer(section, option->section, &best))
            found = option;
    }
    if (found) {
        snprintf(text, size, known ? " (did you mean %s?)" : " (did you mean [%s]?)",
                 known ? found->key : found->section);
        return;
    }
    for (size_t i = 0; i < schema->n; i++)
        if (strcmp(schema->options[i]->key, key) == 0) {
            snprintf(text, size, " (did you mean [%s] %s?)", schema->options[i]->section, key);
            return;
        }
}
