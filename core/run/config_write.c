/* Writing a configuration as INI text and as JSON. */
#include <stdio.h>
#include <string.h>

#include "core/run/config_state.h"
#include "core/run/ini.h"

enum { COMMENT_COLUMNS = 96 };

/* Appends text as comment lines, broken between words: the INI reader has a
 * longest line. */
static void write_comment(struct kiln_text *out, const char *text)
{
    size_t column = 0;
    while (*text) {
        size_t word = strcspn(text, " ");
        if (column && column + 1 + word > COMMENT_COLUMNS) {
            kiln_text_append(out, "\n");
            column = 0;
        }
        kiln_text_append(out, "%s%.*s", column ? " " : "# ", (int)word, text);
        column += word + (column ? 1 : 2);
        text += word;
        text += strspn(text, " ");
    }
    kiln_text_append(out, "\n");
}

static void write_help(struct kiln_text *out, const struct kiln_option *option)
{
    char range[256];
    struct kiln_text line = {0};
    kiln_option_range(option, range, sizeof range);
    kiln_text_append(&line, "%s (%s%s%s)", option->help, kiln_option_type_name(option->type),
                     range[0] ? ": " : "", range);
    if (line.failed)
        out->failed = true;
    else
        write_comment(out, line.data);
    kiln_text_finish(&line);
}

void kiln_config_write(const kiln_config *config, bool help, struct kiln_text *text)
{
    const char *section = NULL;
    for (size_t i = 0; i < config->schema.n; i++) {
        const struct kiln_option *option = config->schema.options[i];
        const char *value = config->entries[i].text;
        if (!section || strcmp(section, option->section) != 0) {
            kiln_text_append(text, "%s[%s]\n", section ? "\n" : "", option->section);
            section = option->section;
        }
        if (help)
            write_help(text, option);
        kiln_ini_write(text, option->key, value);
        kiln_text_append(text, "\n");
    }
}

static void write_value(struct kiln_json *json, const struct kiln_option *option,
                        const struct kiln_config_entry *entry)
{
    const struct kiln_option_value *value = &entry->value;
    switch (option->type) {
    case KILN_OPTION_BOOL:
        kiln_json_bool(json, option->key, value->flag);
        break;
    case KILN_OPTION_INT:
        kiln_json_int(json, option->key, value->integer);
        break;
    case KILN_OPTION_FLOAT:
        kiln_json_number(json, option->key, value->number);
        break;
    case KILN_OPTION_STRING:
    case KILN_OPTION_CHOICE:
        kiln_json_string(json, option->key, entry->text);
        break;
    case KILN_OPTION_INTS:
    case KILN_OPTION_FLOATS:
        kiln_json_array(json, option->key);
        for (int i = 0; i < value->n; i++)
            if (option->type == KILN_OPTION_INTS)
                kiln_json_int(json, NULL, (int64_t)value->list[i]);
            else
                kiln_json_number(json, NULL, value->list[i]);
        kiln_json_end(json);
        break;
    }
}

void kiln_config_json(const kiln_config *config, struct kiln_json *json, const char *key)
{
    const char *section = NULL;
    kiln_json_object(json, key);
    for (size_t i = 0; i < config->schema.n; i++) {
        const struct kiln_option *option = config->schema.options[i];
        if (!section || strcmp(section, option->section) != 0) {
            if (section)
                kiln_json_end(json);
            section = option->section;
            kiln_json_object(json, section);
        }
        write_value(json, option, &config->entries[i]);
    }
    if (section)
        kiln_json_end(json);
    kiln_json_end(json);
}
