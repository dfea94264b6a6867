/* Where model plugins are looked for. */
#include "core/run/plugin_path.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/module.h"
#include "core/base/text.h"
#include "core/run/ini.h"
#include "core/run/plugin.h"

static const char ending[] = ".so";

/* A directory of the search path; in a nested one, NAME.so lies in NAME/. */
struct place {
    char path[PATH_MAX];
    bool nested;
};

struct places {
    struct place *items;
    size_t n, capacity;
    bool failed;
};

bool kiln_plugin_name_valid(const char *name)
{
    return kiln_ini_name_valid(name);
}

static void add_place(struct places *places, const char *path, size_t n, bool nested)
{
    if (!n || n >= PATH_MAX)
        return;
    if (!kiln_array_grow(&places->items, &places->capacity, places->n, sizeof *places->items)) {
        places->failed = true;
        return;
    }
    struct place *place = &places->items[places->n++];
    memcpy(place->path, path, n);
    place->path[n] = '\0';
    place->nested = nested;
}

static void find_places(struct places *places, const char *plugin_dir)
{
    char path[PATH_MAX - 16];
    char models[PATH_MAX];
    if (plugin_dir)
        add_place(places, plugin_dir, strlen(plugin_dir), false);
    const char *list = getenv("KILN_PLUGIN_PATH");
    while (list && *list) {
        size_t n = strcspn(list, ":");
        add_place(places, list, n, false);
        list += n + (list[n] == ':');
    }
    if (kiln_module_build_dir(path, sizeof path)) {
        int n = snprintf(models, sizeof models, "%s/models", path);
        add_place(places, models, (size_t)n, true);
    }
    kiln_module_install_dir(path, sizeof path);
    int n = snprintf(models, sizeof models, "%s/models", path);
    add_place(places, models, (size_t)n, false);
}

/* The path of a plugin in a place, malloc'd; NULL when out of memory. */
static char *plugin_path(const struct place *place, const char *name)
{
    struct kiln_text text = {0};
    if (place->nested)
        kiln_text_append(&text, "%s/%s/%s%s", place->path, name, name, ending);
    else
        kiln_text_append(&text, "%s/%s%s", place->path, name, ending);
    if (text.failed)
        kiln_text_finish(&text);
    return text.data;
}

enum kiln_status kiln_plugin_find(const char *name, const char *plugin_dir, char **path,
                                  struct kiln_error *error)
{
    struct places places = {0};
    struct kiln_text tried = {0};
    *path = NULL;
    find_places(&places, plugin_dir);
    for (size_t i = 0; i < places.n && !*path && !places.failed; i++) {
        char *file = plugin_path(&places.items[i], name);
        if (!file) {
            places.failed = true;
        } else if (kiln_file_exists(file)) {
            *path = file;
        } else {
            kiln_text_append(&tried, "%s%s", tried.length ? ", " : "", file);
            free(file);
        }
    }
    enum kiln_status status = KILN_OK;
    if (places.failed)
        status = kiln_fail(error, KILN_MACHINE, "plugin %s: out of memory", name);
    else if (!*path)
        status = kiln_fail(error, KILN_INPUT, "no plugin %s; tried %s", name,
                           tried.data ? tried.data : "nothing");
    kiln_text_finish(&tried);
    free(places.items);
    return status;
}

/* --- listing ---------------------------------------------------------------------- */

struct list {
    struct kiln_plugin_entry *items;
    size_t n, capacity;
    bool failed;
};

static void add_entry(struct list *list, const struct place *place, const char *name)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->items[i].name, name) == 0)
            return;
    struct kiln_plugin_entry entry = {.path = plugin_path(place, name)};
    if (entry.path && !kiln_file_exists(entry.path)) {
        free(entry.path);
        return;
    }
    entry.name = strdup(name);
    if (entry.path && entry.name &&
        kiln_array_grow(&list->items, &list->capacity, list->n, sizeof entry)) {
        list->items[list->n++] = entry;
        return;
    }
    free(entry.path);
    free(entry.name);
    list->failed = true;
}

static void list_place(struct list *list, const struct place *place)
{
    DIR *directory = opendir(place->path);
    if (!directory)
        return;
    for (struct dirent *file; (file = readdir(directory));) {
        char name[KILN_INI_MAX_NAME + 1];
        size_t n = strlen(file->d_name), tail = place->nested ? 0 : strlen(ending);
        if (n <= tail || n - tail >= sizeof name ||
            (tail && strcmp(file->d_name + n - tail, ending) != 0))
            continue;
        memcpy(name, file->d_name, n - tail);
        name[n - tail] = '\0';
        if (kiln_plugin_name_valid(name))
            add_entry(list, place, name);
    }
    closedir(directory);
}

static int by_name(const void *a, const void *b)
{
    const struct kiln_plugin_entry *x = a, *y = b;
    return strcmp(x->name, y->name);
}

enum kiln_status kiln_plugin_list(const char *plugin_dir, size_t *n,
                                  struct kiln_plugin_entry **entries, struct kiln_error *error)
{
    struct places places = {0};
    struct list list = {0};
    *n = 0;
    *entries = NULL;
    find_places(&places, plugin_dir);
    for (size_t i = 0; i < places.n; i++)
        list_place(&list, &places.items[i]);
    bool failed = places.failed || list.failed;
    free(places.items);
    if (failed) {
        kiln_plugin_list_free(list.n, list.items);
        return kiln_fail(error, KILN_MACHINE, "plugins: out of memory");
    }
    if (list.n)
        qsort(list.items, list.n, sizeof *list.items, by_name);
    *n = list.n;
    *entries = list.items;
    return KILN_OK;
}

void kiln_plugin_list_free(size_t n, struct kiln_plugin_entry *entries)
{
    for (size_t i = 0; i < n; i++) {
        free(entries[i].name);
        free(entries[i].path);
    }
    free(entries);
}
