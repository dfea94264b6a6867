/* Choosing among a backend's ways to do a step. */
#include "core/device/tune.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/device/measure.h"
#include "core/device/step_key.h"
#include "core/device/tune_file.h"

/* The key of the parameters of a backend's library. */
static const char library_key[] = "library parameters";

struct kiln_tuner {
    kiln_device *device;
    bool enabled;
    int fixed; /* the candidate if not enabled */
    bool winograd;
    double left; /* seconds */
    struct kiln_tune_table table;
    bool changed, announced;
    char file[64];
    struct kiln_text description;
    struct kiln_tune_table made; /* this session's choices: one for each key */
};

static void use_library(const kiln_tuner *tuner)
{
    const struct kiln_backend *backend = kiln_device_backend(tuner->device);
    const char *kept = kiln_tuner_get(tuner, library_key);
    if (kept && backend->library_use &&
        !backend->library_use(kiln_device_backend_state(tuner->device), kept))
        kiln_log_line(KILN_LOG_WARNING, "%s: the choice kept as \"%s\" is not understood: %.100s",
                      kiln_device_name(tuner->device), library_key, kept);
}

kiln_tuner *kiln_tuner_create(kiln_device *device, bool enabled, double seconds)
{
    kiln_tuner *tuner = calloc(1, sizeof *tuner);
    if (!tuner)
        return NULL;
    *tuner = (kiln_tuner){.device = device, .enabled = enabled, .winograd = true, .left = seconds};
    const struct kiln_caps *caps = kiln_device_caps(device);
    const struct kiln_backend *backend = kiln_device_backend(device);
    const char *libraries = backend->libraries(kiln_device_backend_state(device));
    kiln_text_append(&tuner->description, "%s; %s; %s; %s; %s; %d units; %d threads; %s; kiln %s",
                     backend->name, kiln_device_is_reference(device) ? "reference" : "full",
                     caps->name, caps->driver, caps->platform, caps->compute_units,
                     kiln_device_threads(device), libraries ? libraries : "", KILN_VERSION);
    if (tuner->description.failed) {
        kiln_tuner_destroy(&tuner);
        return NULL;
    }
    snprintf(tuner->file, sizeof tuner->file, "choices-%s-%016llx.json", backend->name,
             (unsigned long long)XXH3_64bits(tuner->description.data, tuner->description.length));
    if (enabled) {
        kiln_tune_read(&tuner->table, tuner->file, tuner->description.data);
        kiln_tune_read_shipped(&tuner->table, tuner->file, tuner->description.data);
        use_library(tuner);
    }
    return tuner;
}

void kiln_tuner_fix(kiln_tuner *tuner, int candidate)
{
    tuner->fixed = candidate;
}

void kiln_tuner_allow_winograd(kiln_tuner *tuner, bool allowed)
{
    tuner->winograd = allowed;
}

void kiln_tuner_save(kiln_tuner *tuner)
{
    if (tuner->changed)
        kiln_tune_write(&tuner->table, tuner->file, tuner->description.data);
    tuner->changed = false;
}

void kiln_tuner_destroy(kiln_tuner **tuner)
{
    if (!tuner || !*tuner)
        return;
    kiln_tune_clear(&(*tuner)->table);
    kiln_tune_clear(&(*tuner)->made);
    kiln_text_finish(&(*tuner)->description);
    free(*tuner);
    *tuner = NULL;
}

int kiln_tuner_candidates(void *user, const struct kiln_step *step,
                          struct kiln_candidate candidates[KILN_MAX_CANDIDATES])
{
    kiln_tuner *tuner = user;
    int n = kiln_device_backend(tuner->device)
                ->candidates(kiln_device_backend_state(tuner->device), step, candidates);
    int kept = 0;
    for (int i = 0; i < n; i++)
        if (tuner->winograd || !candidates[i].winograd)
            candidates[kept++] = candidates[i];
    return kept;
}

/* "winograd OIhw16i16o": what a choice is called in the file. */
static void candidate_name(const struct kiln_step *step, const struct kiln_candidate *candidate,
                           char *name, size_t size)
{
    bool conv = step->kind == KILN_STEP_CONV || step->kind == KILN_STEP_CONV_INPUT_GRAD ||
                step->kind == KILN_STEP_CONV_WEIGHT_GRAD;
    snprintf(name, size, "%s%s%s", candidate->name ? candidate->name : "plain", conv ? " " : "",
             conv ? kiln_layout_name(candidate->weight_layout) : "");
}

/* Index of the candidate of that name, -1 if the backend has none now. */
static int find_candidate(const struct kiln_step *step, int n,
                          const struct kiln_candidate *candidates, const char *wanted)
{
    char name[96];
    for (int i = 0; i < n; i++) {
        candidate_name(step, &candidates[i], name, sizeof name);
        if (strcmp(name, wanted) == 0)
            return i;
    }
    return -1;
}

/* Candidates that were offered are part of the key: a step whose weight must
 * keep its layout has fewer. */
static void choice_key(const struct kiln_step *step, int n, const struct kiln_candidate *candidates,
                       struct kiln_text *key)
{
    char name[96];
    uint64_t hash = (uint64_t)n;
    for (int i = 0; i < n; i++) {
        candidate_name(step, &candidates[i], name, sizeof name);
        hash = XXH3_64bits_withSeed(name, strlen(name), hash);
    }
    kiln_step_key(step, key);
    kiln_text_append(key, " of %08llx", (unsigned long long)(hash & 0xffffffffu));
}

/* Said once, before the first measurement of a session. */
static void announce(kiln_tuner *tuner)
{
    if (!tuner->announced)
        kiln_log_line(KILN_LOG_NOTE,
                      "%s: measuring algorithms and layouts, once for this network and at most "
                      "%.0f s (--no-tune takes the defaults)",
                      kiln_device_name(tuner->device), tuner->left);
    tuner->announced = true;
}

static int measure(kiln_tuner *tuner, const struct kiln_step *step, int n,
                   const struct kiln_candidate *candidates, const char *key)
{
    struct kiln_measured measured[KILN_MAX_CANDIDATES];
    double spent;
    announce(tuner);
    int chosen =
        kiln_measure_step(tuner->device, step, n, candidates, tuner->left, measured, &spent);
    tuner->left -= spent;
    if (chosen < 0)
        return 0;
    char name[96];
    candidate_name(step, &candidates[chosen], name, sizeof name);
    kiln_tuner_put(tuner, key, name, measured[chosen].seconds);
    kiln_log_line(KILN_LOG_DEBUG, "tune: %s: %s, %.3g ms, first choice %.3g ms", key, name,
                  1e3 * measured[chosen].seconds, 1e3 * measured[0].seconds);
    return chosen;
}

/* The choice of this session, of an earlier one, or a new one. */
static int choose(kiln_tuner *tuner, const struct kiln_step *step, int n,
                  const struct kiln_candidate *candidates, const char *key)
{
    if (!tuner->enabled)
        return tuner->fixed < n ? tuner->fixed : n - 1;
    const struct kiln_tune_entry *made = kiln_tune_find(&tuner->made, key);
    const char *kept = made ? made->value : kiln_tuner_get(tuner, key);
    int chosen = kept ? find_candidate(step, n, candidates, kept) : -1;
    if (chosen < 0 && tuner->left > 0)
        chosen = measure(tuner, step, n, candidates, key);
    return chosen < 0 ? 0 : chosen;
}

int kiln_tuner_choose(void *user, const struct kiln_step *step, int n,
                      const struct kiln_candidate *candidates)
{
    kiln_tuner *tuner = user;
    if (n < 2)
        return 0;
    struct kiln_text key = {0};
    choice_key(step, n, candidates, &key);
    int chosen = 0;
    if (!key.failed) {
        char name[96];
        chosen = choose(tuner, step, n, candidates, key.data);
        candidate_name(step, &candidates[chosen], name, sizeof name);
        kiln_tune_set(&tuner->made, key.data, name, 0);
    }
    kiln_text_finish(&key);
    return chosen;
}

const char *kiln_tuner_get(const kiln_tuner *tuner, const char *key)
{
    const struct kiln_tune_entry *entry = kiln_tune_find(&tuner->table, key);
    return entry ? entry->value : NULL;
}

void kiln_tuner_put(kiln_tuner *tuner, const char *key, const char *value, double seconds)
{
    if (!tuner->enabled)
        return;
    kiln_tune_set(&tuner->table, key, value, seconds);
    tuner->changed = true;
}

bool kiln_tuner_library_is_unknown(const kiln_tuner *tuner)
{
    return kiln_device_backend(tuner->device)->library_measure &&
           !kiln_tuner_get(tuner, library_key);
}

enum kiln_status kiln_tuner_measure_library(kiln_tuner *tuner, double seconds,
                                            struct kiln_error *error)
{
    const struct kiln_backend *backend = kiln_device_backend(tuner->device);
    char text[512];
    if (!backend->library_measure)
        return KILN_OK;
    enum kiln_status status = backend->library_measure(kiln_device_backend_state(tuner->device),
                                                       seconds, text, sizeof text, error);
    if (status)
        return status;
    kiln_tuner_put(tuner, library_key, text, 0);
    kiln_tuner_save(tuner);
    return KILN_OK;
}

double kiln_tuner_left(const kiln_tuner *tuner)
{
    return tuner->enabled ? tuner->left : 0;
}

void kiln_tuner_spend(kiln_tuner *tuner, double seconds)
{
    tuner->left -= seconds;
}

void kiln_tuner_forget(kiln_tuner *tuner)
{
    kiln_tune_clear(&tuner->made);
}

uint64_t kiln_tuner_hash(const kiln_tuner *tuner)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < tuner->made.n; i++) {
        const struct kiln_tune_entry *entry = &tuner->made.entries[i];
        hash = XXH3_64bits_withSeed(entry->key, strlen(entry->key), hash);
        hash = XXH3_64bits_withSeed(entry->value, strlen(entry->value), hash);
    }
    return hash;
}

/* --- exchange ----------------------------------------------------------------------------- */

int kiln_tuner_count(const kiln_tuner *tuner)
{
    return (int)tuner->table.n;
}

enum kiln_status kiln_tuner_export(const kiln_tuner *tuner, const char *path,
                                   struct kiln_error *error)
{
    char *text = kiln_tune_text(&tuner->table, tuner->description.data);
    char *file = kiln_path_join(kiln_directory_exists(path) ? path : "",
                                kiln_directory_exists(path) ? tuner->file : path);
    enum kiln_status status = text && file
                                  ? kiln_file_write(file, text, strlen(text), error)
                                  : kiln_fail(error, KILN_MACHINE, "%s: out of memory", path);
    free(text);
    free(file);
    return status;
}

enum kiln_status kiln_tuner_import(kiln_tuner *tuner, const char *path, int *n,
                                   struct kiln_error *error)
{
    struct kiln_tune_table table = {0};
    char *text = NULL, device[512];
    size_t bytes = 0;
    *n = 0;
    enum kiln_status status = kiln_file_read(path, KILN_TUNE_MOST_BYTES, &text, &bytes, error);
    if (!status &&
        !kiln_tune_parse(&table, text, bytes, tuner->description.data, device, sizeof device))
        status = device[0] ? kiln_fail(error, KILN_INPUT, "%s: made for %.300s, this is %.300s",
                                       path, device, tuner->description.data)
                           : kiln_fail(error, KILN_INPUT, "%s: not a file of kiln tune", path);
    for (size_t i = 0; i < table.n && !status; i++)
        kiln_tuner_put(tuner, table.entries[i].key, table.entries[i].value,
                       table.entries[i].seconds);
    *n = status ? 0 : (int)table.n;
    if (!status && *n && !kiln_tune_write(&tuner->table, tuner->file, tuner->description.data))
        status =
            kiln_fail(error, KILN_MACHINE, "%s: cannot be kept: there is no cache directory", path);
    tuner->changed = false;
    kiln_tune_clear(&table);
    free(text);
    return status;
}
