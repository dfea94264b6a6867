/* A model plugin that is wrong in the way that a macro says. */
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>

#include "core/api/model.h"

#ifndef FAKE_NAME
#define FAKE_NAME "good"
#endif
#ifndef FAKE_ABI
#define FAKE_ABI KILN_MODEL_ABI
#endif
#ifndef FAKE_SIZE
#define FAKE_SIZE sizeof(struct kiln_model)
#endif
#ifndef FAKE_CREATE
#define FAKE_CREATE create
#endif
#ifndef FAKE_DEFAULT
#define FAKE_DEFAULT "3"
#endif

static enum kiln_status create(const kiln_config *config, const struct kiln_data_info *data,
                               void **model, struct kiln_error *error)
{
    (void)config, (void)data, (void)error;
    *model = NULL;
    return KILN_OK;
}

static int phases(void *model, struct kiln_phase list[KILN_MAX_PHASES])
{
    (void)model;
    list[0] = (struct kiln_phase){.name = "train", .group = "", .repeats = 1};
    return 1;
}

static void loss(void *model, kiln_graph *graph, int phase, const struct kiln_batch *batch,
                 struct kiln_loss *result)
{
    (void)model, (void)phase, (void)batch;
    result->loss = kiln_scalar(graph, 0);
}

static const struct kiln_option options[] = {
    {"network", "width", KILN_OPTION_INT, FAKE_DEFAULT, 1, 9, NULL, "width"}, {0}};

static const struct kiln_model model = {.abi = FAKE_ABI,
                                        .size = FAKE_SIZE,
                                        .name = FAKE_NAME,
                                        .summary = "for tests",
                                        .options = options,
                                        .create = FAKE_CREATE,
                                        .destroy = free,
                                        .phases = phases,
                                        .loss = loss,
                                        .reference = "nothing"};

#if defined FAKE_ABORT
__attribute__((constructor)) static void die(void)
{
    abort();
}
#elif defined FAKE_EXIT
__attribute__((constructor)) static void leave(void)
{
    exit(0);
}
#elif defined FAKE_UNDEFINED
void kiln_no_such_function(void);
void kiln_call_it(void);
void kiln_call_it(void)
{
    kiln_no_such_function();
}
#endif

#ifndef FAKE_NO_SYMBOL
KILN_API const struct kiln_model *kiln_model_entry(void);

const struct kiln_model *kiln_model_entry(void)
{
#ifdef FAKE_NO_TABLE
    return NULL;
#else
    return &model;
#endif
}
#endif
