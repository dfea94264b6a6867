/*
 * Folders of models in another program's format, such as diffusers' folder of
 * a UNet2DModel or of a whole pipeline. The plugins declare which files there
 * are and what their keys mean; here they are found, read and checked.
 */
#ifndef KILN_RUN_FOLDER_H
#define KILN_RUN_FOLDER_H

#include "core/api/model.h"
#include "core/base/arena.h"
#include "core/run/config.h"

struct kiln_folder {
    kiln_arena *arena;
    const char *weights; /* path of the safetensors file */
    const char *config;  /* INI text that names the plugin */
    /* What the JSON files say, each with its file's path as the option. */
    int n_settings;
    struct kiln_config_override *settings;
    struct kiln_data_info info; /* n_train and n_test are 0 */
    const char *unknown;        /* "FILE: KEY", the first that no table has; NULL = none */
};

/* True for a directory without a checkpoint of Kiln. */
bool kiln_folder_is(const char *path);
/*
 * Reads the JSON files of a folder and finds the plugin that they are for and
 * the weights, which are not opened. plugin_dir as kiln_plugin_open. A folder
 * that no plugin reads, and values that are not supported, are KILN_INPUT.
 * kiln_folder_finish in any case.
 */
enum kiln_status kiln_folder_read(const char *path, const char *plugin_dir, struct kiln_folder *,
                                  struct kiln_error *);
void kiln_folder_finish(struct kiln_folder *);

/* As kiln_folder_read, with the tables of one model: *fits is false, with
 * KILN_OK, if the folder's network is not one of its kind; *class becomes the
 * network's class, or NULL if there is no such file. */
enum kiln_status kiln_folder_read_as(const char *path, const struct kiln_exchange *,
                                     struct kiln_folder *, bool *fits, const char **class_name,
                                     struct kiln_error *);

#endif
