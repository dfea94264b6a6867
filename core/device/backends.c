/* Finding and loading backend modules. */
#include "core/device/backends.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/module.h"
#include "core/base/text.h"
#include "core/device/waiting.h"

enum { PATH_BYTES = 4096 };

const char *kiln_backend_name(enum kiln_backend_id id)
{
    static const char *const names[KILN_BACKEND_COUNT] = {"cpu", "opencl"};
    return names[id];
}

const struct kiln_backend *kiln_backend_open(const char *path, const char *name,
                                             struct kiln_error *error)
{
    union {
        void *symbol;
        kiln_backend_entry_fn *function;
    } entry = {kiln_module_open(path, "kiln_backend_entry", error)};
    if (!entry.symbol)
        return NULL;
    const struct kiln_backend *backend = entry.function();
    if (!backend)
        kiln_fail(error, KILN_INPUT, "%s: kiln_backend_entry returned nothing", path);
    else if (backend->abi != KILN_BACKEND_ABI || backend->size != sizeof *backend)
        kiln_fail(error, KILN_INPUT,
                  "%s: built for backend interface %u of %u bytes, this program has %d of %zu",
                  path, (unsigned)backend->abi, (unsigned)backend->size, KILN_BACKEND_ABI,
                  sizeof *backend);
    else if (!backend->name || strcmp(backend->name, name) != 0)
        kiln_fail(error, KILN_INPUT, "%s: is backend %s, not %s", path,
                  backend->name ? backend->name : "?", name);
    else
        return backend;
    return NULL;
}

/* Copies the next ':'-separated directory; false at the end of the list. */
static bool next_directory(const char **list, char *directory, size_t size)
{
    while (**list) {
        size_t length = strcspn(*list, ":");
        const char *start = *list;
        *list += length + (start[length] == ':');
        if (length && length < size) {
            memcpy(directory, start, length);
            directory[length] = '\0';
            return true;
        }
    }
    return false;
}

/* Writes DIRECTORY/NAME.so; if there is no such file, adds it to the list of
 * places tried and returns false. */
static bool try_place(const char *directory, const char *name, char path[PATH_BYTES],
                      struct kiln_text *tried)
{
    if (directory[0] != '/' ||
        snprintf(path, PATH_BYTES, "%s/%s.so", directory, name) >= PATH_BYTES)
        return false;
    if (access(path, F_OK) == 0)
        return true;
    kiln_text_append(tried, "%s%s", tried->length ? ", " : "", path);
    return false;
}

/* Writes the path of the module to load; false, with the places tried, if
 * there is none. */
static bool find_module(const char *name, char path[PATH_BYTES], struct kiln_text *tried)
{
    char root[PATH_BYTES - 64], directory[PATH_BYTES];
    const char *list = getenv("KILN_BACKEND_PATH");
    while (list && next_directory(&list, directory, sizeof directory))
        if (try_place(directory, name, path, tried))
            return true;
    if (kiln_module_build_dir(root, sizeof root)) {
        snprintf(directory, sizeof directory, "%s/backends/%s", root, name);
        if (try_place(directory, name, path, tried))
            return true;
    }
    kiln_module_install_dir(root, sizeof root);
    snprintf(directory, sizeof directory, "%s/backends", root);
    return try_place(directory, name, path, tried);
}

static const struct kiln_backend *load(const char *name, struct kiln_error *error)
{
    char path[PATH_BYTES];
    struct kiln_text tried = {0};
    const struct kiln_backend *backend = NULL;
    kiln_set_thread_waiting();
    if (find_module(name, path, &tried))
        backend = kiln_backend_open(path, name, error);
    else
        kiln_fail(error, KILN_MACHINE, "backend %s is not installed (looked for %s)", name,
                  tried.data ? tried.data : "nothing");
    kiln_text_finish(&tried);
    return backend;
}

const struct kiln_backend *kiln_backend_load(enum kiln_backend_id id, struct kiln_error *error)
{
    /* modules are a property of the process, as the loader's own list is */
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static struct {
        bool tried;
        const struct kiln_backend *backend;
        struct kiln_error error;
    } loaded[KILN_BACKEND_COUNT];

    pthread_mutex_lock(&mutex);
    if (!loaded[id].tried) {
        loaded[id].tried = true;
        loaded[id].backend = load(kiln_backend_name(id), &loaded[id].error);
    }
    const struct kiln_backend *backend = loaded[id].backend;
    if (!backend)
        kiln_fail(error, KILN_MACHINE, "%s", loaded[id].error.text);
    pthread_mutex_unlock(&mutex);
    return backend;
}
