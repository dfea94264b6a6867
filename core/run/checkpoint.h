/*
 * Checkpoints: a run's states as a safetensors file.
 *
 * Tensors: every parameter and buffer under its state_dict name, in logical
 * layout; "ema.NAME" for averages; "optim.NAME.SLOT" for moments, where SLOT
 * is exp_avg and exp_avg_sq (Adam, AdamW), momentum_buffer (SGD) or square_avg
 * (RMSProp), as in torch.optim. i32 buffers are int64 in the file.
 *
 * Metadata: format ("pt", which makes other readers accept the file),
 * kiln_format (version), config (resolved INI), step, seed (of the run: with
 * the step it is the whole state of the random numbers), data (JSON: what the
 * model was made for), choices (hash of kernel choices and libraries), device
 * (its name, for people).
 *
 * A file without kiln_format is foreign: a bare state_dict.
 */
#ifndef KILN_RUN_CHECKPOINT_H
#define KILN_RUN_CHECKPOINT_H

#include "core/device/session.h"
#include "core/run/config.h"
#include "core/run/safetensors.h"

/* 1: first version */
#define KILN_CHECKPOINT_FORMAT 1

/* What a checkpoint says of its run. */
struct kiln_run_state {
    int64_t step; /* completed steps */
    uint64_t seed;
    struct kiln_data_info info;
};

/* Writes all states of the session that belong to the model. Waits for the
 * device. Atomic: a kill at any instant leaves the old file or the new one. */
enum kiln_status kiln_checkpoint_save(const char *path, kiln_session *, const kiln_config *,
                                      const struct kiln_run_state *, struct kiln_error *);

typedef struct kiln_checkpoint kiln_checkpoint;

/* path: a file, or a run's directory (its checkpoint.safetensors). Reads the
 * header only. */
enum kiln_status kiln_checkpoint_open(const char *path, kiln_checkpoint **, struct kiln_error *);
void kiln_checkpoint_close(kiln_checkpoint **);

const kiln_safetensors *kiln_checkpoint_tensors(const kiln_checkpoint *);
/* The file's path; strings live as long as the checkpoint. */
const char *kiln_checkpoint_path(const kiln_checkpoint *);
/* True for a bare state_dict: no config, no run state. */
bool kiln_checkpoint_foreign(const kiln_checkpoint *);
/* Zeroes if foreign. */
const struct kiln_run_state *kiln_checkpoint_run(const kiln_checkpoint *);
/* The resolved config, NULL if foreign. */
const char *kiln_checkpoint_config(const kiln_checkpoint *);
/* 32 hexadecimal digits (XXH3-128) of the whole file. */
enum kiln_status kiln_checkpoint_hash(const kiln_checkpoint *, char hash[33], struct kiln_error *);

/*
 * Says what the file's names mean, before check and load: other spellings as
 * the model declares, and part, the name of the network whose state_dict the
 * file is ("generator"; NULL or "" = the whole model). KILN_INPUT if part is
 * too long.
 */
enum kiln_status kiln_checkpoint_map(kiln_checkpoint *, const struct kiln_model *, const char *part,
                                     struct kiln_error *);
/* The tensor of a name of the model, under any of its spellings; NULL if the
 * file has none. */
const struct kiln_tensor *kiln_checkpoint_find(const kiln_checkpoint *, const char *name);

/* KILN_INPUT with the first differing names and shapes unless the file holds
 * exactly these parameters and buffers (besides "ema." and "optim."). */
enum kiln_status kiln_checkpoint_check(const kiln_checkpoint *, const kiln_states *,
                                       struct kiln_error *);
/* Load and resume warn of values that are not finite and go on. */
void kiln_checkpoint_accept_not_finite(kiln_checkpoint *);
bool kiln_checkpoint_accepts_not_finite(const kiln_checkpoint *);
/* Sets the values of the session's states: from the averages where the file
 * has them if ema is set. Values that are not finite are KILN_INPUT
 * unless they are accepted, and warned about then. */
enum kiln_status kiln_checkpoint_load(const kiln_checkpoint *, kiln_session *, bool ema,
                                      struct kiln_error *);
/* Sets values, moments and averages, all of which the file must have; warns if
 * the kernel choices differ from those of the run so far. */
enum kiln_status kiln_checkpoint_resume(const kiln_checkpoint *, kiln_session *,
                                        struct kiln_error *);

/* 16 hexadecimal digits of the session's choices. */
void kiln_checkpoint_choices(const kiln_session *, char digits[17]);
/* "optim.NAME.SLOT" or "ema.NAME" or NAME; false if the state does not keep
 * this part or belongs to the program. */
bool kiln_checkpoint_name(const kiln_states *, int state, enum kiln_state_part, char *name,
                          size_t size);

#endif
