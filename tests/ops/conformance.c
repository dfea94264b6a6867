/*
 * Every conformance case on one kind of device:
 *     conformance cpu | cpu:ref | opencl [PART OF A CASE'S NAME]
 * opencl stands for all OpenCL devices. Prints the worst error of each family
 * as a share of its bound. Exit status 77 if there is no such device.
 */
#include <stdio.h>
#include <string.h>

#include "tests/lib/conformance_tally.h"

enum { MOST_DEVICES = 66, SKIPPED = 77 };

static void report(void *user, const struct kiln_case *one,
                   const struct conformance_outcome *outcome)
{
    (void)user;
    if (!outcome->passed)
        printf("FAILED %s: %s\n", one->name, outcome->failure);
    fflush(stdout);
}

static bool run_device(const char *name, const char *part)
{
    static struct conformance_tally tally;
    struct kiln_error error;
    tally = (struct conformance_tally){.part = part, .report = report};
    if (kiln_device_open(name, NULL, &tally.device, &error)) {
        printf("%s: %s\n", name, error.text);
        return false;
    }
    conformance_tally_run(&tally);
    printf("%s (%s): worst error as a share of its bound\n", name,
           kiln_device_caps(tally.device)->name);
    for (int i = 0; i < tally.n; i++) {
        const struct conformance_family *family = &tally.families[i];
        printf("  %-14s %4d cases, %5d runs, %3d failed  %8.3g  %s\n", family->name, family->cases,
               family->ways, family->failed, family->share, family->worst);
    }
    printf("%s: %d of %d cases passed\n", name, tally.cases - tally.failed, tally.cases);
    kiln_device_close(&tally.device);
    return tally.cases && !tally.failed;
}

int main(int argc, char **argv)
{
    static struct kiln_device_entry entries[MOST_DEVICES];
    static char notes[4096];
    const char *kind = argc > 1 ? argv[1] : "cpu", *part = argc > 2 ? argv[2] : NULL;
    int n = kiln_device_list(MOST_DEVICES, entries, notes, sizeof notes), found = 0;
    bool passed = true;
    for (int i = 0; i < n; i++) {
        const char *name = strcmp(kind, "opencl") ? entries[i].name : entries[i].backend->name;
        if (strcmp(kind, name) != 0)
            continue;
        found++;
        passed = run_device(entries[i].name, part) && passed;
    }
    if (!found) {
        printf("no %s device: %s\n", kind, notes);
        return SKIPPED;
    }
    return !passed;
}
