/*
 * Writing a model for other programs: its weights under the reference's names
 * and in the reference's files, as the plugin declares them.
 */
#ifndef KILN_RUN_EXPORT_H
#define KILN_RUN_EXPORT_H

#include "core/run/checkpoint.h"
#include "core/run/experiment.h"

/* What is written. */
struct kiln_export {
    const kiln_checkpoint *checkpoint; /* fits the experiment's model */
    const struct kiln_experiment *experiment;
    bool raw;     /* the weights themselves, not their moving average */
    bool replace; /* an existing file, or files of a folder, are replaced */
};

/* The files of a folder that the model is exported as, or NULL: one file. */
const struct kiln_exchange_file *kiln_export_files(const struct kiln_export *);
/*
 * Writes the file or the folder. Everything is written beside path first and
 * then put in place: a new folder at once, files that replace others one by
 * one. KILN_INPUT if path exists (a folder: is not empty) and replace is not
 * set, or if a tensor is missing.
 */
enum kiln_status kiln_export_write(const struct kiln_export *, const char *path,
                                   struct kiln_error *);

#endif
