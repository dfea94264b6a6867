/*
 * Every conformance case on one kind of device:
 *     conformance cpu | cpu:ref | opencl [PART OF A CASE'S NAME]
 * opencl stands for all OpenCL devices. Prints the worst error of each family
 * as a share of its bound. Exit status 77 if there is no such device.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/device/device.h"
#include "tests/lib/conformance.h"

enum { MOST_FAMILIES = 64, MOST_DEVICES = 66, SKIPPED = 77 };

struct family {
    char name[48];
    int cases, failed, ways;
    double share;
    char worst[400];
};

struct tally {
    kiln_device *device;
    const char *part;
    int n;
    struct family families[MOST_FAMILIES];
};

static struct family *family_of(struct tally *tally, const char *name)
{
    int length = (int)strcspn(name, ":");
    for (int i = 0; i < tally->n; i++)
        if ((int)strlen(tally->families[i].name) == length &&
            !strncmp(tally->families[i].name, name, (size_t)length))
            return &tally->families[i];
    struct family *family =
        &tally->families[tally->n < MOST_FAMILIES - 1 ? tally->n++ : tally->n - 1];
    snprintf(family->name, sizeof family->name, "%.*s", length, name);
    return family;
}

static void visit(void *user, const struct kiln_case *one)
{
    struct tally *tally = user;
    struct conformance_outcome outcome;
    struct kiln_error error;
    if (tally->part && !strstr(one->name, tally->part))
        return;
    struct family *family = family_of(tally, one->name);
    if (conformance_run(one, tally->device, &outcome, &error)) {
        outcome.passed = false;
        snprintf(outcome.failure, sizeof outcome.failure, "%.500s", error.text);
    }
    family->cases++;
    family->ways += outcome.ways;
    if (!outcome.passed) {
        family->failed++;
        printf("FAILED %s: %s\n", one->name, outcome.failure);
    }
    if (outcome.share > family->share) {
        family->share = outcome.share;
        snprintf(family->worst, sizeof family->worst, "%s (%s)", one->name, outcome.where);
    }
    fflush(stdout);
}

/* Returns the number of failed cases, or -1 if the device does not open. */
static int run_device(const char *name, const char *part)
{
    struct kiln_error error;
    static struct tally tally;
    tally = (struct tally){.part = part};
    if (kiln_device_open(name, NULL, &tally.device, &error)) {
        printf("%s: %s\n", name, error.text);
        return -1;
    }
    kiln_cases_visit(visit, &tally);
    int failed = 0, cases = 0;
    printf("%s (%s): worst error as a share of its bound\n", name,
           kiln_device_caps(tally.device)->name);
    for (int i = 0; i < tally.n; i++) {
        const struct family *family = &tally.families[i];
        printf("  %-14s %4d cases, %5d runs, %3d failed  %8.3g  %s\n", family->name, family->cases,
               family->ways, family->failed, family->share, family->worst);
        failed += family->failed;
        cases += family->cases;
    }
    printf("%s: %d of %d cases passed\n", name, cases - failed, cases);
    kiln_device_close(&tally.device);
    return failed || !cases;
}

int main(int argc, char **argv)
{
    static struct kiln_device_entry entries[MOST_DEVICES];
    static char notes[4096];
    const char *kind = argc > 1 ? argv[1] : "cpu", *part = argc > 2 ? argv[2] : NULL;
    int failed = 0, found = 0, n = kiln_device_list(MOST_DEVICES, entries, notes, sizeof notes);
    for (int i = 0; i < n; i++) {
        bool wanted = !strcmp(kind, "opencl") ? !strcmp(entries[i].backend->name, "opencl")
                                              : !strcmp(kind, entries[i].name);
        if (!wanted)
            continue;
        found++;
        failed |= run_device(entries[i].name, part) != 0;
    }
    if (!found) {
        printf("no %s device: %s\n", kind, notes);
        return SKIPPED;
    }
    return failed;
}
