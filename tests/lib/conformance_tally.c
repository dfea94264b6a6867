/* Summing up conformance cases. */
#include "tests/lib/conformance_tally.h"

#include <stdio.h>
#include <string.h>

static struct conformance_family *family_of(struct conformance_tally *tally, const char *name)
{
    struct conformance_family wanted = {.cases = 0};
    snprintf(wanted.name, sizeof wanted.name, "%.*s", (int)strcspn(name, ":"), name);
    for (int i = 0; i < tally->n; i++)
        if (strcmp(tally->families[i].name, wanted.name) == 0)
            return &tally->families[i];
    if (tally->n == CONFORMANCE_MOST_FAMILIES)
        return &tally->families[tally->n - 1];
    tally->families[tally->n] = wanted;
    return &tally->families[tally->n++];
}

static void visit(void *user, const struct kiln_case *one)
{
    struct conformance_tally *tally = user;
    struct conformance_outcome outcome;
    struct kiln_error error;
    if (tally->part && !strstr(one->name, tally->part))
        return;
    if (conformance_run(one, tally->device, &outcome, &error)) {
        outcome.passed = false;
        snprintf(outcome.failure, sizeof outcome.failure, "%.500s", error.text);
    }
    struct conformance_family *family = family_of(tally, one->name);
    family->cases++;
    family->ways += outcome.ways;
    family->failed += !outcome.passed;
    tally->cases++;
    tally->failed += !outcome.passed;
    if (outcome.share > family->share) {
        family->share = outcome.share;
        snprintf(family->worst, sizeof family->worst, "%s (%s)", one->name, outcome.where);
    }
    if (tally->report)
        tally->report(tally->user, one, &outcome);
}

void conformance_tally_run(struct conformance_tally *tally)
{
    tally->n = tally->cases = tally->failed = 0;
    kiln_cases_visit(visit, tally);
}
