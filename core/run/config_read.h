/*
 * Collecting the settings of a configuration: files with their includes, then
 * overrides. Nothing is known here about which keys exist.
 */
#ifndef KILN_RUN_CONFIG_READ_H
#define KILN_RUN_CONFIG_READ_H

#include "core/base/arena.h"
#include "core/run/config.h"

struct kiln_setting {
    const char *section, *key, *value;
    const char *origin; /* "config/vae.ini:12" or "--set" */
    int source;         /* number of the file or override it comes from */
    int line;
};

/* In order of precedence, the strongest last; strings live in the arena. */
struct kiln_settings {
    kiln_arena *arena;
    size_t n, capacity;
    struct kiln_setting *items; /* malloc'd */
    int n_sources;
};

/* Reads all settings of source into *settings, whose arena is set and whose
 * other fields are 0. The caller frees items, also on failure. */
enum kiln_status kiln_settings_read(struct kiln_settings *settings,
                                    const struct kiln_config_source *source,
                                    struct kiln_error *error);
/* The strongest setting of a key, or NULL. */
const struct kiln_setting *kiln_settings_find(const struct kiln_settings *, const char *section,
                                              const char *key);

#endif
