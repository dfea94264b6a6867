/* Choosing a device by name or by kind. */
#include "core/device/choice.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

bool kiln_device_better(const struct kiln_caps *a, const struct kiln_caps *b)
{
    static const int rank[] = {
        [KILN_DEVICE_CPU] = 0, [KILN_DEVICE_ACCELERATOR] = 1, [KILN_DEVICE_GPU] = 2};
    if (rank[a->type] != rank[b->type])
        return rank[a->type] > rank[b->type];
    if (a->unified_memory != b->unified_memory)
        return b->unified_memory;
    return (int64_t)a->compute_units * a->clock_mhz > (int64_t)b->compute_units * b->clock_mhz;
}

static bool contains(const char *text, const char *part)
{
    for (; *text; text++) {
        size_t i = 0;
        while (part[i] && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i]))
            i++;
        if (!part[i])
            return true;
    }
    return false;
}

/* "cpu (AMD EPYC), opencl:0 (pthread)" */
static void list_names(int n, const struct kiln_device_entry *entries, const int *which, char *text,
                       size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < n && used < size; i++) {
        const struct kiln_device_entry *entry = &entries[which ? which[i] : i];
        used += (size_t)snprintf(text + used, size - used, "%s%s%s%s%s", used ? ", " : "",
                                 entry->name, entry->caps.name[0] ? " (" : "", entry->caps.name,
                                 entry->caps.name[0] ? ")" : "");
    }
}

static int best(int n, const struct kiln_device_entry *entries, const char *backend)
{
    int chosen = -1;
    for (int i = 0; i < n; i++)
        if (!entries[i].reference && (!backend || strcmp(entries[i].backend->name, backend) == 0) &&
            (chosen < 0 || kiln_device_better(&entries[i].caps, &entries[chosen].caps)))
            chosen = i;
    /* the processor through OpenCL is slower than the native backend */
    if (!backend && chosen >= 0 && entries[chosen].caps.type == KILN_DEVICE_CPU)
        for (int i = 0; i < n; i++)
            if (strcmp(entries[i].name, "cpu") == 0)
                return i;
    return chosen;
}

enum kiln_status kiln_device_choose(const char *spec, int n,
                                    const struct kiln_device_entry *entries, int *chosen,
                                    struct kiln_error *error)
{
    enum { MOST = 64 };
    *chosen = -1;
    for (int i = 0; i < n && *chosen < 0; i++)
        if (strcmp(entries[i].name, spec) == 0)
            *chosen = i;
    if (*chosen < 0 && (!spec[0] || strcmp(spec, "auto") == 0))
        *chosen = best(n, entries, NULL);
    if (*chosen < 0 && strcmp(spec, "opencl") == 0)
        *chosen = best(n, entries, "opencl");
    if (*chosen >= 0)
        return KILN_OK;

    int matches[MOST], n_matches = 0;
    for (int i = 0; i < n && spec[0] && n_matches < MOST; i++)
        if (!entries[i].reference &&
            (contains(entries[i].caps.name, spec) || contains(entries[i].name, spec)))
            matches[n_matches++] = i;
    char names[700];
    if (n_matches == 1) {
        *chosen = matches[0];
        return KILN_OK;
    }
    list_names(n_matches ? n_matches : n, entries, n_matches ? matches : NULL, names, sizeof names);
    if (n_matches)
        return kiln_fail(error, KILN_INPUT, "device %s: more than one matches: %s", spec, names);
    return kiln_fail(error, KILN_INPUT, "device %s: there is no such device; there %s %s",
                     spec[0] ? spec : "auto", n == 1 ? "is" : "are", n ? names : "none at all");
}
