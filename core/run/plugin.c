/* Loading a model plugin and checking its table. */
#include "core/run/plugin.h"

#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/module.h"
#include "core/run/plugin_path.h"
#include "core/run/schema.h"

struct kiln_plugin {
    struct kiln_model model; /* a copy of our size */
    char *path;
};

/* --- checking ------------------------------------------------------------------- */

/* Returns what the table lacks, or NULL. */
static const char *missing(const struct kiln_model *model)
{
    if (!model->summary)
        return "summary";
    if (!model->create || !model->destroy)
        return "create or destroy";
    if (!model->phases || !model->loss)
        return "phases or loss";
    if (model->samplers && (!model->samplers[0] || !model->sample_plan || !model->sample_start ||
                            !model->sample_finish))
        return "a function of its samplers";
    return NULL;
}

enum kiln_status kiln_plugin_check(const struct kiln_model *table, const char *name,
                                   const char *path, struct kiln_model *copy,
                                   struct kiln_error *error)
{
    if (!table)
        return kiln_fail(error, KILN_INPUT, "%s: kiln_model_entry gives no table", path);
    if (table->abi != KILN_MODEL_ABI)
        return kiln_fail(error, KILN_INPUT,
                         "%s: built for version %u of the plugin interface, this program has %u",
                         path, (unsigned)table->abi, (unsigned)KILN_MODEL_ABI);
    /* up to loss, the fields are of the first version */
    if (table->size < offsetof(struct kiln_model, evaluate))
        return kiln_fail(error, KILN_INPUT, "%s: its table has only %u bytes", path,
                         (unsigned)table->size);
    memset(copy, 0, sizeof *copy);
    memcpy(copy, table, table->size < sizeof *copy ? table->size : sizeof *copy);
    copy->size = sizeof *copy;
    if (!copy->name || strcmp(copy->name, name) != 0)
        return kiln_fail(error, KILN_INPUT, "%s: it calls itself %s, not %s", path,
                         copy->name ? copy->name : "nothing", name);
    const char *lacks = missing(copy);
    if (lacks)
        return kiln_fail(error, KILN_INPUT, "%s: its table lacks %s", path, lacks);
    struct kiln_schema schema;
    enum kiln_status status = kiln_schema_init(&schema, copy, error);
    kiln_schema_finish(&schema);
    return status;
}

/* --- opening -------------------------------------------------------------------- */

static enum kiln_status open_file(const char *name, const char *path, kiln_plugin **result,
                                  struct kiln_error *error)
{
    void *symbol = kiln_module_open(path, "kiln_model_entry", error);
    if (!symbol)
        return KILN_INPUT;
    kiln_model_entry_fn *entry;
    memcpy(&entry, &symbol, sizeof entry); /* C has no cast between the two */
    kiln_plugin *plugin = calloc(1, sizeof *plugin);
    if (plugin)
        plugin->path = strdup(path);
    enum kiln_status status;
    if (plugin && plugin->path)
        status = kiln_plugin_check(entry(), name, path, &plugin->model, error);
    else
        status = kiln_fail(error, KILN_MACHINE, "%s: out of memory", path);
    if (status)
        kiln_plugin_close(&plugin);
    *result = plugin;
    return status;
}

enum kiln_status kiln_plugin_open(const char *name, const char *plugin_dir, kiln_plugin **plugin,
                                  struct kiln_error *error)
{
    *plugin = NULL;
    if (!kiln_plugin_name_valid(name))
        return kiln_fail(error, KILN_INPUT,
                         "\"%s\" is no plugin's name (letters, digits, '_' and '-')", name);
    char *path;
    enum kiln_status status = kiln_plugin_find(name, plugin_dir, &path, error);
    if (!status)
        status = open_file(name, path, plugin, error);
    free(path);
    return status;
}

void kiln_plugin_close(kiln_plugin **plugin)
{
    if (!plugin || !*plugin)
        return;
    free((*plugin)->path);
    free(*plugin);
    *plugin = NULL;
}

const struct kiln_model *kiln_plugin_model(const kiln_plugin *plugin)
{
    return &plugin->model;
}

const char *kiln_plugin_path(const kiln_plugin *plugin)
{
    return plugin->path;
}

/* --- trying in a child ------------------------------------------------------------ */

/* Exit statuses of the child that no constructor would choose. */
enum { CHILD_DONE = 113, CHILD_SECONDS = 10 };

static enum kiln_status try_in_child(const char *path, struct kiln_error *error)
{
    fflush(NULL); /* a constructor that exits would write our buffers again */
    pid_t child = fork();
    if (child < 0)
        return KILN_OK; /* no process to spare: load without the trial */
    if (child == 0) {
        signal(SIGALRM, SIG_DFL);
        alarm(CHILD_SECONDS);
        kiln_module_open(path, "kiln_model_entry", NULL);
        _exit(CHILD_DONE);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        ;
    if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_DONE)
        return KILN_OK;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        return kiln_fail(error, KILN_INPUT, "%s: hangs when it is loaded", path);
    if (WIFSIGNALED(status))
        return kiln_fail(error, KILN_INPUT, "%s: crashes when it is loaded (signal %d)", path,
                         WTERMSIG(status));
    return kiln_fail(error, KILN_INPUT, "%s: ends the program when it is loaded", path);
}

enum kiln_status kiln_plugin_open_entry(const struct kiln_plugin_entry *entry, kiln_plugin **plugin,
                                        struct kiln_error *error)
{
    *plugin = NULL;
    enum kiln_status status = try_in_child(entry->path, error);
    return status ? status : open_file(entry->name, entry->path, plugin, error);
}
