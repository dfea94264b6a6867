/*
 * The resolved configuration: an INI file, what it includes, overrides of the
 * command line, and the defaults of the core and of the model plugin. The
 * getters are in core/api/model.h.
 *
 * "include = other.ini" before the first section inherits from that file (path
 * relative to the including one); the including file's values win. Order of
 * precedence: overrides (the last wins), file, included files, plugin's
 * defaults, core's defaults.
 *
 * Every error is KILN_INPUT and one line:
 *     config/ddpm.ini:12: [train] batch_sise: unknown key (did you mean batch_size?)
 */
#ifndef KILN_RUN_CONFIG_H
#define KILN_RUN_CONFIG_H

#include "core/api/model.h"
#include "core/base/json.h"

struct kiln_schema;

/* One override: option is what the user wrote ("--set", "--steps") and stands
 * in messages, assignment is "section.key=value". */
struct kiln_config_override {
    const char *option, *assignment;
};

struct kiln_config_source {
    const char *path; /* of the file; with text: its name in messages */
    const char *text; /* NULL: read path; else INI text without include */
    size_t text_bytes;
    const char *plugin_dir; /* as kiln_plugin_open; may be NULL */
    int n_overrides;
    const struct kiln_config_override *overrides;
    /* NULL: load the plugin that [model] plugin names. Else this model's
     * options are used, [model] plugin is its name, and it must outlive the
     * config. */
    const struct kiln_model *model;
};

/* Reads and resolves; the caller destroys *config. */
enum kiln_status kiln_config_load(const struct kiln_config_source *, kiln_config **config,
                                  struct kiln_error *error);
void kiln_config_destroy(kiln_config **config);

/* All of these live as long as the config. */
const struct kiln_model *kiln_config_model(const kiln_config *);
const struct kiln_schema *kiln_config_schema(const kiln_config *);
/* The value's text as written: resolved, blanks trimmed; NULL if undeclared. */
const char *kiln_config_text(const kiln_config *, const char *section, const char *key);
/* "default", "config/vae.ini:12" or "--set"; NULL if undeclared. */
const char *kiln_config_origin(const kiln_config *, const char *section, const char *key);
/* The file's name without folder and ".ini", e.g. for the run's directory. */
const char *kiln_config_name(const kiln_config *);

/*
 * Fails with "config/vae.ini:12: [section] key: " and the message, where the
 * value's origin takes the place of the file and line: for checks that need
 * more than one key. Returns KILN_INPUT.
 */
enum kiln_status kiln_config_fail(const kiln_config *, const char *section, const char *key,
                                  struct kiln_error *error, const char *format, ...)
    KILN_PRINTF(5, 6);

/* Appends the whole configuration as INI text that kiln_config_load reads back
 * to the same values: every key in section order; with help, each key's range
 * and meaning as a comment above it. */
void kiln_config_write(const kiln_config *, bool help, struct kiln_text *text);
/* Writes {"train": {"batch_size": 128, ...}, ...} with typed values as the
 * member key (NULL: as the value itself). */
void kiln_config_json(const kiln_config *, struct kiln_json *, const char *key);

#endif
