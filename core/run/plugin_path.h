/*
 * The search path of model plugins, as core/run/plugin.h describes it.
 */
#ifndef KILN_RUN_PLUGIN_PATH_H
#define KILN_RUN_PLUGIN_PATH_H

#include <stdbool.h>

#include "core/api/status.h"

/* True for a name that may become a file's name. */
bool kiln_plugin_name_valid(const char *name);
/* The first file of the search path for a valid name, malloc'd; none is
 * KILN_INPUT, names every path tried, and *path is NULL. */
enum kiln_status kiln_plugin_find(const char *name, const char *plugin_dir, char **path,
                                  struct kiln_error *error);

#endif
