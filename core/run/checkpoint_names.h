/*
 * How the names in a checkpoint's file relate to the model's states.
 */
#ifndef KILN_RUN_CHECKPOINT_NAMES_H
#define KILN_RUN_CHECKPOINT_NAMES_H

#include "core/device/session.h"
#include "core/run/checkpoint.h"

struct kiln_checkpoint_names {
    const struct kiln_exchange *exchange; /* may be NULL */
    /* The file holds the states whose names begin with this, without it. */
    char prefix[64];
};

const struct kiln_checkpoint_names *kiln_checkpoint_names(const kiln_checkpoint *);

/* True if the file should hold the state. */
bool kiln_checkpoint_in_part(const struct kiln_checkpoint_names *, const char *state);
/* The state's tensor under any of its spellings, or NULL. */
const struct kiln_tensor *kiln_checkpoint_names_find(const struct kiln_checkpoint_names *,
                                                     const kiln_safetensors *, const char *state);
/* True if a tensor's name is any spelling of a state's. */
bool kiln_checkpoint_names_known(const struct kiln_checkpoint_names *, const kiln_states *,
                                 const char *tensor);
/* True if a file without the state is complete: its first value stands. */
bool kiln_checkpoint_may_lack(const struct kiln_checkpoint_names *, const char *state);

#endif
