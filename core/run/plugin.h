/*
 * Finding and loading model plugins.
 *
 * A plugin NAME is the file NAME.so in, first found: the directory given by
 * --plugin-dir; those of $KILN_PLUGIN_PATH (separated by colons); the build
 * tree's models/NAME, when the program runs from it; the installed models
 * directory. Nothing else is searched.
 */
#ifndef KILN_RUN_PLUGIN_H
#define KILN_RUN_PLUGIN_H

#include "core/api/model.h"

typedef struct kiln_plugin kiln_plugin;

/*
 * Loads the plugin NAME (letters, digits, '_' and '-'). Every failure is
 * KILN_INPUT: not found (names every path that was tried), not a module, no
 * kiln_model_entry, another ABI, functions that must be there are missing, or
 * a wrong table of options. plugin_dir may be NULL.
 */
enum kiln_status kiln_plugin_open(const char *name, const char *plugin_dir, kiln_plugin **plugin,
                                  struct kiln_error *error);
/* Frees the handle and what kiln_plugin_model gave; the module stays loaded. */
void kiln_plugin_close(kiln_plugin **plugin);

/* The plugin's table; fields that its version lacks are NULL. Lives as long
 * as the plugin. */
const struct kiln_model *kiln_plugin_model(const kiln_plugin *);
const char *kiln_plugin_path(const kiln_plugin *);

/* Checks a table as kiln_plugin_open does and copies it into *copy, zeroing
 * fields beyond table->size. name is the file's, path stands in messages. */
enum kiln_status kiln_plugin_check(const struct kiln_model *table, const char *name,
                                   const char *path, struct kiln_model *copy,
                                   struct kiln_error *error);

/* A plugin file in the search path. */
struct kiln_plugin_entry {
    char *name, *path;
};
/* All plugins of the search path by name, each name once (first found).
 * *entries is malloc'd, freed by kiln_plugin_list_free. */
enum kiln_status kiln_plugin_list(const char *plugin_dir, size_t *n,
                                  struct kiln_plugin_entry **entries, struct kiln_error *error);
void kiln_plugin_list_free(size_t n, struct kiln_plugin_entry *entries);
/*
 * As kiln_plugin_open, for a file that is known. It is loaded in a child
 * process first, so that a plugin whose constructor crashes, hangs or exits is
 * a failure here and not the end of the program. The program has no other
 * threads yet.
 */
enum kiln_status kiln_plugin_open_entry(const struct kiln_plugin_entry *, kiln_plugin **plugin,
                                        struct kiln_error *error);

#endif
