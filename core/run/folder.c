/* Folders of models in another program's format. */
#include "core/run/folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/run/exchange_value.h"
#include "core/run/folder_json.h"
#include "core/run/plugin.h"

enum { MAX_SETTINGS = 256 };

static enum kiln_status no_memory(const char *path, struct kiln_error *error)
{
    return kiln_fail(error, KILN_MACHINE, "%s: out of memory", path);
}

/* --- files ------------------------------------------------------------------------ */

/* The first place of a file that exists; *found NULL if none does. */
static enum kiln_status find_file(struct kiln_folder *folder, const char *path, const char *places,
                                  const char **found, struct kiln_error *error)
{
    const char *item;
    *found = NULL;
    for (int n; !*found && (n = kiln_exchange_item(&places, &item)) >= 0;) {
        char *file = kiln_arena_printf(folder->arena, "%s/%.*s", path, n, item);
        if (!file)
            return no_memory(path, error);
        if (kiln_file_exists(file))
            *found = file;
    }
    return KILN_OK;
}

/* --- settings ------------------------------------------------------------------------ */

static enum kiln_status add_setting(struct kiln_folder *folder, const char *origin,
                                    const char *section, const char *key, const char *value,
                                    struct kiln_error *error)
{
    if (!folder->settings)
        folder->settings = KILN_ARENA_NEW(folder->arena, struct kiln_config_override, MAX_SETTINGS);
    char *text = kiln_arena_printf(folder->arena, "%s.%s=%s", section, key, value);
    if (!folder->settings || !text)
        return no_memory(origin, error);
    if (folder->n_settings == MAX_SETTINGS)
        return kiln_fail(error, KILN_INPUT, "%s: more than %d keys", origin, MAX_SETTINGS);
    folder->settings[folder->n_settings++] = (struct kiln_config_override){origin, text};
    return KILN_OK;
}

static enum kiln_status read_key(struct kiln_folder *folder, const char *path,
                                 const struct kiln_exchange_key *row, const json_t *object,
                                 struct kiln_error *error)
{
    struct kiln_text text = {0};
    struct kiln_error why;
    enum kiln_status status =
        kiln_exchange_read(row, json_object_get(object, row->name), &folder->info, &text, &why);
    if (status)
        kiln_fail(error, status, "%s: %s", path, why.text);
    else if (text.failed)
        status = no_memory(path, error);
    else if (row->section && text.data)
        status = add_setting(folder, path, row->section, row->key, text.data, error);
    kiln_text_finish(&text);
    return status;
}

/* Other programs ignore keys that they do not know, so they are only noted.
 * Keys with an underscore are notes themselves. */
static void note_unknown(struct kiln_folder *folder, const char *path,
                         const struct kiln_exchange_key *rows, json_t *object)
{
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        const struct kiln_exchange_key *row = rows;
        while (row->kind && strcmp(row->name, name) != 0)
            row++;
        if (!row->kind && name[0] != '_' && !folder->unknown)
            folder->unknown = kiln_arena_printf(folder->arena, "%s: %.64s", path, name);
    }
}

static enum kiln_status read_keys(struct kiln_folder *folder, const char *path,
                                  const struct kiln_exchange_file *file, json_t *object,
                                  struct kiln_error *error)
{
    enum kiln_status status = KILN_OK;
    for (const struct kiln_exchange_key *row = file->keys; row->kind && !status; row++)
        status = read_key(folder, path, row, object, error);
    if (!status && object)
        note_unknown(folder, path, file->keys, object);
    return status;
}

/* --- classes ----------------------------------------------------------------------------- */

static bool same_places(const struct kiln_exchange_file *a, const struct kiln_exchange_file *b)
{
    return b->paths && !b->prefix && !strcmp(a->paths, b->paths);
}

/* The file of the class among those of the same places. */
static enum kiln_status choose_class(const char *path, const struct kiln_exchange_file *first,
                                     const char *class_name,
                                     const struct kiln_exchange_file **chosen,
                                     struct kiln_error *error)
{
    struct kiln_text known = {0};
    *chosen = NULL;
    for (const struct kiln_exchange_file *file = first; same_places(first, file); file++) {
        if (!file->class_name || (class_name && !strcmp(file->class_name, class_name)))
            *chosen = file;
        else
            kiln_text_append(&known, "%s%s", known.length ? ", " : "", file->class_name);
    }
    enum kiln_status status = KILN_OK;
    if (!*chosen)
        status = known.failed
                     ? no_memory(path, error)
                     : kiln_fail(error, KILN_INPUT, "%s: _class_name: %.64s is not supported (%s)",
                                 path, class_name ? class_name : "nothing", known.data);
    kiln_text_finish(&known);
    return status;
}

static const char *class_of(const json_t *object)
{
    return json_string_value(json_object_get(object, "_class_name"));
}

/* One JSON file; absent ones have all keys absent. */
static enum kiln_status read_document(struct kiln_folder *folder, const char *path,
                                      const struct kiln_exchange_file *file,
                                      struct kiln_error *error)
{
    const char *found;
    json_t *object = NULL;
    enum kiln_status status = find_file(folder, path, file->paths, &found, error);
    if (!status && found)
        status = kiln_folder_json(found, &object, error);
    else if (!status && !file->optional)
        status = kiln_fail(error, KILN_INPUT, "%s: no %s", path, file->paths);
    if (!status && object)
        status = choose_class(found, file, class_of(object), &file, error);
    if (!status)
        status = read_keys(folder, found ? found : path, file, object, error);
    json_decref(object);
    return status;
}

static enum kiln_status find_weights(struct kiln_folder *folder, const char *path,
                                     const struct kiln_exchange_file *file,
                                     struct kiln_error *error)
{
    const char *first = file->paths, *item;
    int length = kiln_exchange_item(&first, &item);
    enum kiln_status status = find_file(folder, path, file->paths, &folder->weights, error);
    if (!status && !folder->weights)
        status = kiln_fail(error, KILN_INPUT,
                           "%s: no %.*s (kiln import makes one from a file of torch.save)", path,
                           length, item);
    return status;
}

/* --- the folder ---------------------------------------------------------------------------- */

/* The data set of an evaluation is brought to the network's size. */
static enum kiln_status set_data(struct kiln_folder *folder, const char *path,
                                 struct kiln_error *error)
{
    const struct kiln_data_info *info = &folder->info;
    char number[32];
    enum kiln_status status = KILN_OK;
    if (!info->channels || !info->height)
        return kiln_fail(error, KILN_INPUT, "%s: says no picture size", path);
    snprintf(number, sizeof number, "%lld", (long long)info->height);
    if (info->height == info->width && info->height <= 4096)
        status = add_setting(folder, path, "data", "image_size", number, error);
    snprintf(number, sizeof number, "%lld", (long long)info->channels);
    if (!status && (info->channels == 1 || info->channels == 3))
        status = add_setting(folder, path, "data", "channels", number, error);
    return status;
}

enum kiln_status kiln_folder_read_as(const char *path, const struct kiln_exchange *exchange,
                                     struct kiln_folder *folder, bool *fits,
                                     const char **class_name, struct kiln_error *error)
{
    const struct kiln_exchange_file *network = exchange->folder;
    const char *found;
    json_t *object = NULL;
    *fits = false;
    *class_name = NULL;
    enum kiln_status status = find_file(folder, path, network->paths, &found, error);
    if (status || !found)
        return status;
    status = kiln_folder_json(found, &object, error);
    if (!status) {
        const char *class = class_of(object) ? class_of(object) : "nothing";
        *class_name = kiln_arena_strdup(folder->arena, class);
        *fits = !strcmp(class, network->class_name);
    }
    json_decref(object);
    for (const struct kiln_exchange_file *file = network; *fits && file->paths && !status; file++) {
        if (file->prefix)
            status = find_weights(folder, path, file, error);
        else if (file == network || !same_places(file, file - 1))
            status = read_document(folder, path, file, error);
    }
    if (!status && *fits)
        status = set_data(folder, path, error);
    if (!status)
        *fits = *fits && (folder->info.n_classes > 0) == exchange->with_classes;
    return status;
}

bool kiln_folder_is(const char *path)
{
    char *checkpoint = kiln_path_join(path, "checkpoint.safetensors");
    bool folder = checkpoint && kiln_directory_exists(path) && !kiln_file_exists(checkpoint);
    free(checkpoint);
    return folder;
}

static enum kiln_status try_plugin(const char *path, const struct kiln_plugin_entry *entry,
                                   struct kiln_folder *folder, bool *fits, const char **class_name,
                                   struct kiln_error *error)
{
    kiln_plugin *plugin;
    if (kiln_plugin_open_entry(entry, &plugin, NULL))
        return KILN_OK; /* kiln models says why */
    const struct kiln_exchange *exchange = kiln_plugin_model(plugin)->exchange;
    enum kiln_status status = KILN_OK;
    folder->n_settings = 0;
    folder->unknown = NULL;
    folder->info = (struct kiln_data_info){0};
    if (exchange && exchange->folder)
        status = kiln_folder_read_as(path, exchange, folder, fits, class_name, error);
    kiln_plugin_close(&plugin);
    return status;
}

enum kiln_status kiln_folder_read(const char *path, const char *plugin_dir,
                                  struct kiln_folder *folder, struct kiln_error *error)
{
    *folder = (struct kiln_folder){.arena = kiln_arena_create()};
    size_t n = 0;
    struct kiln_plugin_entry *plugins = NULL;
    const char *class_name = NULL;
    bool fits = false;
    if (!folder->arena)
        return no_memory(path, error);
    enum kiln_status status = kiln_plugin_list(plugin_dir, &n, &plugins, error);
    for (size_t i = 0; i < n && !status && !fits; i++) {
        const char *class = NULL;
        status = try_plugin(path, &plugins[i], folder, &fits, &class, error);
        class_name = class ? class : class_name;
        if (fits)
            folder->config =
                kiln_arena_printf(folder->arena, "[model]\nplugin = %s\n", plugins[i].name);
    }
    kiln_plugin_list_free(n, plugins);
    if (status)
        return status;
    if (fits && folder->unknown)
        kiln_log_line(KILN_LOG_WARNING, "%s: an unknown key, which is ignored", folder->unknown);
    if (fits)
        return folder->config ? KILN_OK : no_memory(path, error);
    if (!class_name)
        return kiln_fail(error, KILN_INPUT,
                         "%s: no checkpoint.safetensors in this directory, and "
                         "no config.json of a model",
                         path);
    return kiln_fail(error, KILN_INPUT, "%s: _class_name: no plugin reads a %.64s", path,
                     class_name);
}

void kiln_folder_finish(struct kiln_folder *folder)
{
    kiln_arena_destroy(&folder->arena);
    *folder = (struct kiln_folder){0};
}
