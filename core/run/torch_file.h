/*
 * Tensors of a torch.save file.
 *
 * The tree is searched for state_dicts: dictionaries from text to tensors,
 * nested in dictionaries and lists as authors do. Nothing in the file is
 * executed. A bad file is KILN_INPUT.
 */
#ifndef KILN_RUN_TORCH_FILE_H
#define KILN_RUN_TORCH_FILE_H

#include "core/run/safetensors.h"

struct kiln_torch_tensor {
    const char *name; /* key in its dictionary, prefixes of wrappers stripped */
    enum kiln_tensor_dtype dtype;
    int rank;
    int64_t shape[KILN_TENSOR_MAX_RANK];
    int64_t stride[KILN_TENSOR_MAX_RANK]; /* elements, >= 0 */
    const uint8_t *data;                  /* of the first element */
    int64_t count;
};

typedef struct kiln_torch_file kiln_torch_file;

/*
 * Reads a file of at most 16 GiB. dictionary: which state_dict of the file
 * where there are several, by its path ("0", "state_dict.model"); NULL takes
 * the one with the most tensors, and an average of weights ("ema", ncsnv2's
 * last element) before the raw weights. The caller closes *file.
 */
enum kiln_status kiln_torch_open(const char *path, const char *dictionary, kiln_torch_file **file,
                                 struct kiln_error *);
void kiln_torch_close(kiln_torch_file **);
int kiln_torch_count(const kiln_torch_file *);
const struct kiln_torch_tensor *kiln_torch_at(const kiln_torch_file *, int index);
/* The path of the dictionary taken, "" = the whole file. */
const char *kiln_torch_dictionary(const kiln_torch_file *);

/* Writes all tensors as dense safetensors. */
enum kiln_status kiln_torch_convert(const kiln_torch_file *, const char *path, struct kiln_error *);

#endif
