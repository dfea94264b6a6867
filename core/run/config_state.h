/*
 * The configuration as its own files see it.
 */
#ifndef KILN_RUN_CONFIG_STATE_H
#define KILN_RUN_CONFIG_STATE_H

#include "core/base/arena.h"
#include "core/run/config.h"
#include "core/run/plugin.h"
#include "core/run/schema.h"

struct kiln_config_entry {
    const char *text, *origin;
    int source; /* as struct kiln_setting's; -1 = default */
    struct kiln_option_value value;
};

struct kiln_config {
    kiln_arena *arena;
    kiln_plugin *plugin; /* NULL: the model was given */
    const struct kiln_model *model;
    struct kiln_schema schema;
    struct kiln_config_entry *entries; /* one for each option of the schema */
    const char *name;
};

#endif
