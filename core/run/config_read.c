/* Collecting the settings of files, what they include, and overrides. */
#include "core/run/config_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/file.h"
#include "core/run/ini.h"

/* More keys than any config has; the search for duplicates is quadratic. */
enum { MAX_INCLUDES = 16, MAX_SETTINGS = 4096 };

/* One file being read, and the chain of those that include it. */
struct reading {
    struct kiln_settings *settings;
    const struct reading *includer; /* NULL: the first */
    const char *name;
    bool is_file; /* else text, which includes nothing */
    bool included;
    dev_t device;
    ino_t inode;
    int depth, source;
};

static enum kiln_status out_of_memory(struct kiln_error *error)
{
    return kiln_fail(error, KILN_MACHINE, "config: out of memory");
}

static enum kiln_status add(struct kiln_settings *settings, struct kiln_setting setting,
                            struct kiln_error *error)
{
    if (settings->n >= MAX_SETTINGS)
        return kiln_fail(error, KILN_INPUT, "%s: more than %d keys",
                         setting.origin ? setting.origin : "config", MAX_SETTINGS);
    setting.section = kiln_arena_strdup(settings->arena, setting.section);
    setting.key = kiln_arena_strdup(settings->arena, setting.key);
    setting.value = kiln_arena_strdup(settings->arena, setting.value);
    if (!setting.section || !setting.key || !setting.value || !setting.origin ||
        !kiln_array_grow(&settings->items, &settings->capacity, settings->n, sizeof setting))
        return out_of_memory(error);
    settings->items[settings->n++] = setting;
    return KILN_OK;
}

static enum kiln_status read_file(struct kiln_settings *, const char *path,
                                  const struct reading *includer, int line, struct kiln_error *);

static enum kiln_status include(struct reading *reading, const char *value, int line,
                                struct kiln_error *error)
{
    if (!reading->is_file)
        return kiln_fail(error, KILN_INPUT, "%s:%d: include: only a file can include",
                         reading->name, line);
    if (reading->included)
        return kiln_fail(error, KILN_INPUT, "%s:%d: include: duplicate key", reading->name, line);
    if (!*value)
        return kiln_fail(error, KILN_INPUT, "%s:%d: include: expected a file's name", reading->name,
                         line);
    if (reading->depth >= MAX_INCLUDES)
        return kiln_fail(error, KILN_INPUT, "%s:%d: include: more than %d files deep",
                         reading->name, line, MAX_INCLUDES);
    reading->included = true;
    char *directory = kiln_path_directory(reading->name);
    /* "./b.ini" in messages would hide that it is the user's own "b.ini" */
    bool here = directory && strcmp(directory, ".") == 0 && !strchr(reading->name, '/');
    char *path = directory ? kiln_path_join(here ? "" : directory, value) : NULL;
    char *kept = path ? kiln_arena_strdup(reading->settings->arena, path) : NULL;
    free(directory);
    free(path);
    return kept ? read_file(reading->settings, kept, reading, line, error) : out_of_memory(error);
}

static enum kiln_status receive(void *user, const char *section, const char *key, const char *value,
                                int line, struct kiln_error *error)
{
    struct reading *reading = user;
    struct kiln_settings *settings = reading->settings;
    if (!*section) {
        if (strcmp(key, "include") == 0)
            return include(reading, value, line, error);
        return kiln_fail(error, KILN_INPUT, "%s:%d: %s: a key before the first [section]",
                         reading->name, line, key);
    }
    for (size_t i = 0; i < settings->n; i++) {
        const struct kiln_setting *other = &settings->items[i];
        if (other->source == reading->source && strcmp(other->key, key) == 0 &&
            strcmp(other->section, section) == 0)
            return kiln_fail(error, KILN_INPUT,
                             "%s:%d: [%s] %s: duplicate key (the first is in line %d)",
                             reading->name, line, section, key, other->line);
    }
    const char *origin = kiln_arena_printf(settings->arena, "%s:%d", reading->name, line);
    return add(settings, (struct kiln_setting){section, key, value, origin, reading->source, line},
               error);
}

/* Reads a file; includer and line say where it is included from. */
static enum kiln_status read_file(struct kiln_settings *settings, const char *path,
                                  const struct reading *includer, int line,
                                  struct kiln_error *error)
{
    struct reading reading = {.settings = settings,
                              .includer = includer,
                              .name = path,
                              .is_file = true,
                              .depth = includer ? includer->depth + 1 : 0};
    char *text = NULL;
    size_t n;
    struct kiln_error why;
    enum kiln_status status = kiln_file_read(path, KILN_INI_MAX_BYTES, &text, &n, &why);
    if (status)
        return includer
                   ? kiln_fail(error, status, "%s:%d: include: %s", includer->name, line, why.text)
                   : kiln_fail(error, status, "%s", why.text);
    struct stat file;
    if (stat(path, &file) == 0) {
        reading.device = file.st_dev;
        reading.inode = file.st_ino;
    }
    for (const struct reading *other = includer; other && !status; other = other->includer)
        if (other->device == reading.device && other->inode == reading.inode)
            status = kiln_fail(error, KILN_INPUT, "%s:%d: include: %s includes itself",
                               includer->name, line, path);
    if (!status) {
        reading.source = settings->n_sources++;
        status = kiln_ini_parse(path, text, n, receive, &reading, error);
    }
    free(text);
    return status;
}

static enum kiln_status read_override(struct kiln_settings *settings,
                                      const struct kiln_config_override *override,
                                      struct kiln_error *error)
{
    char section[KILN_INI_MAX_NAME + 2], key[KILN_INI_MAX_NAME + 2];
    const char *text = override->assignment;
    const char *dot = strchr(text, '.'), *equals = strchr(text, '=');
    if (!dot || !equals || dot > equals)
        return kiln_fail(error, KILN_INPUT, "%s: expected section.key=value, got \"%s\"",
                         override->option, text);
    /* one byte more than a name may have, so that a longer one stays too long */
    snprintf(section, sizeof section, "%.*s", (int)(dot - text), text);
    snprintf(key, sizeof key, "%.*s", (int)(equals - dot - 1), dot + 1);
    const char *value = equals + 1;
    if (!kiln_ini_name_valid(section) || !kiln_ini_name_valid(key))
        return kiln_fail(error, KILN_INPUT, "%s: expected section.key=value, got \"%s\"",
                         override->option, text);
    if (!kiln_ini_value_valid(key, value))
        return kiln_fail(error, KILN_INPUT,
                         "%s: [%s] %s: a value has at most 198 bytes with its key, no comment and "
                         "no blanks at its ends",
                         override->option, section, key);
    const char *origin = kiln_arena_strdup(settings->arena, override->option);
    return add(settings,
               (struct kiln_setting){section, key, value, origin, settings->n_sources++, 0}, error);
}

enum kiln_status kiln_settings_read(struct kiln_settings *settings,
                                    const struct kiln_config_source *source,
                                    struct kiln_error *error)
{
    enum kiln_status status;
    if (source->text) {
        struct reading reading = {
            .settings = settings, .name = source->path, .source = settings->n_sources++};
        status = kiln_ini_parse(source->path, source->text, source->text_bytes, receive, &reading,
                                error);
    } else {
        status = read_file(settings, source->path, NULL, 0, error);
    }
    for (int i = 0; i < source->n_overrides && !status; i++)
        status = read_override(settings, &source->overrides[i], error);
    return status;
}

const struct kiln_setting *kiln_settings_find(const struct kiln_settings *settings,
                                              const char *section, const char *key)
{
    for (size_t i = settings->n; i-- > 0;) {
        const struct kiln_setting *setting = &settings->items[i];
        if (strcmp(setting->key, key) == 0 && strcmp(setting->section, section) == 0)
            return setting;
    }
    return NULL;
}
