/*
 * Golden files: what a model's reference in PyTorch made, and what the
 * programs that check it share. training.py and sampling.py say what is in a
 * file.
 *
 * A failure that a golden file can cause prints and counts in n_failed; what
 * should never happen prints and exits.
 */
#ifndef TESTS_GOLDEN_H
#define TESTS_GOLDEN_H

#include "core/device/session.h"
#include "core/run/config.h"
#include "core/run/graphs.h"
#include "core/run/safetensors.h"

struct golden {
    kiln_safetensors *file;    /* the golden's own */
    kiln_safetensors *weights; /* where states are: file, or the one its metadata "weights" names */
    kiln_config *config;
    struct kiln_instance instance;
    struct kiln_batch_source source;
    double bound; /* of losses and gradients */
};

extern int n_failed, n_checked;

/* Dies with what and the message unless status is KILN_OK. */
void must(enum kiln_status status, const char *what, const struct kiln_error *error);

/* Opens path, loads its configuration and prepares the model for its data. */
void golden_open(struct golden *golden, const char *path);
void golden_close(struct golden *golden);
/* A metadata key's value, or otherwise if it is absent. */
const char *golden_text(const struct golden *golden, const char *key, const char *otherwise);
double golden_number(const struct golden *golden, const char *key, double otherwise);
/* True if the metadata's list of names has the name. */
bool golden_lists(const struct golden *golden, const char *key, const char *name);
/* True if the file has the tensor prefix + name. */
bool golden_has(const struct golden *golden, const char *prefix, const char *name);
/* Values of prefix + name as f32, malloc'd, and their number; dies without it. */
float *golden_values(const kiln_safetensors *file, const char *prefix, const char *name,
                     int64_t *count);

/* Writes a tensor of the file to an input, as it is. */
void golden_write(const struct golden *golden, kiln_executable *executable, const char *tensor,
                  const char *input);
/* Gives every state of the session but internal ones, and its EMA, the file's
 * initial value. */
void golden_set_states(const struct golden *golden, kiln_session *session);

/* Counts a check; prints a failure unless error < bound. step -1: none. */
void golden_judge(const char *what, int step, double error, double bound);
/*
 * Judges values [n] against the file's tensor prefix + name, which may hold
 * every STRIDE-th element only: norm of the difference over the norm (or over
 * 1, if all is zero).
 */
void golden_compare(const struct golden *golden, const char *prefix, const char *name,
                    const float *values, int64_t n, double bound);

/* The checks of the two kinds of file. */
void check_training(const struct golden *golden, kiln_device *device);
void check_sampling(const struct golden *golden, kiln_device *device);

#endif
