/*
 * Safetensors files: a JSON header and dense little-endian tensors.
 *
 * The reader accepts exactly what the format's reference accepts (tensors
 * cover the buffer without holes, overlap or trailing bytes; no duplicate
 * names), within tighter limits: header <= 16 MiB, <= 65,536 tensors, rank
 * <= 8, names <= 512 bytes without control characters, no dtypes narrower than
 * a byte. Everything is checked
 * before data is read, and data is read by pread, so that a file that changes
 * underneath is an error and not a crash. A bad file is KILN_INPUT.
 *
 * The writer is streaming, deterministic (same calls, same bytes) and atomic.
 *
 * Format: github.com/huggingface/safetensors, README "Format".
 */
#ifndef KILN_RUN_SAFETENSORS_H
#define KILN_RUN_SAFETENSORS_H

#include "core/api/types.h"

/* X(NAME, bits): the format's element types. */
#define KILN_TENSOR_DTYPES(X)                                                                      \
    X(BOOL, 8) X(U8, 8) X(I8, 8) X(F8_E5M2, 8) X(F8_E4M3, 8) X(I16, 16) X(U16, 16) X(F16, 16)      \
    X(BF16, 16) X(I32, 32) X(U32, 32) X(F32, 32) X(F64, 64) X(I64, 64) X(U64, 64) X(C64, 64)

enum kiln_tensor_dtype {
#define KILN_TENSOR_DTYPE_ENUM(name, bits) KILN_TENSOR_##name,
    KILN_TENSOR_DTYPES(KILN_TENSOR_DTYPE_ENUM)
#undef KILN_TENSOR_DTYPE_ENUM
        KILN_TENSOR_DTYPE_COUNT
};

/* "F32" ... */
const char *kiln_tensor_dtype_name(enum kiln_tensor_dtype);
/* Bytes of an element. */
int64_t kiln_tensor_dtype_bytes(enum kiln_tensor_dtype);

#define KILN_TENSOR_MAX_RANK 8
#define KILN_TENSOR_MAX_NAME 512

struct kiln_tensor {
    const char *name; /* lives as long as the file */
    enum kiln_tensor_dtype dtype;
    int rank;                              /* 0 = scalar */
    int64_t shape[KILN_TENSOR_MAX_RANK];   /* an extent may be 0 */
    int64_t count;                         /* elements */
    int64_t offset, bytes;                 /* in the file */
};

/* --- reading ---------------------------------------------------------------- */

typedef struct kiln_safetensors kiln_safetensors;

enum kiln_status kiln_safetensors_open(const char *path, kiln_safetensors **, struct kiln_error *);
void kiln_safetensors_close(kiln_safetensors **);
const char *kiln_safetensors_path(const kiln_safetensors *);

int kiln_safetensors_count(const kiln_safetensors *);
/* Tensors in the order of their data. */
const struct kiln_tensor *kiln_safetensors_at(const kiln_safetensors *, int index);
/* NULL if there is none of this name. */
const struct kiln_tensor *kiln_safetensors_find(const kiln_safetensors *, const char *name);
/* Value of a metadata key, NULL if absent; lives as long as the file. */
const char *kiln_safetensors_metadata(const kiln_safetensors *, const char *key);
/* Key and value of the index-th metadata entry in file order; false beyond the
 * last. */
bool kiln_safetensors_metadata_at(const kiln_safetensors *, int index, const char **key,
                                  const char **value);

/*
 * Reads count elements from the first-th on, converted. To f32: every real
 * dtype but the F8s (f64 and wide integers are rounded). To i32: integers and
 * BOOL; a value outside i32 is KILN_INPUT. Raw: the file's bytes, whole tensor
 * (tensor->bytes of them). The range must lie within the tensor.
 */
enum kiln_status kiln_safetensors_read_f32(const kiln_safetensors *, const struct kiln_tensor *,
                                           int64_t first, int64_t count, float *out,
                                           struct kiln_error *);
enum kiln_status kiln_safetensors_read_i32(const kiln_safetensors *, const struct kiln_tensor *,
                                           int64_t first, int64_t count, int32_t *out,
                                           struct kiln_error *);
enum kiln_status kiln_safetensors_read_raw(const kiln_safetensors *, const struct kiln_tensor *,
                                           void *out, struct kiln_error *);

/* --- writing ---------------------------------------------------------------- */

/*
 *     create -> metadata..., tensor... -> begin -> data... -> commit
 *
 * Errors stick: each call may be left unchecked up to commit, which reports
 * the first. Before commit nothing is at the path.
 */
typedef struct kiln_safetensors_writer kiln_safetensors_writer;

enum kiln_status kiln_safetensors_writer_create(const char *path, kiln_safetensors_writer **,
                                                struct kiln_error *);
/* Adds a string to __metadata__, in order of the calls; a key at most once. */
void kiln_safetensors_writer_metadata(kiln_safetensors_writer *, const char *key,
                                      const char *value);
/*
 * Declares the next tensor; data is laid out in order of the calls. Declaring
 * wide dtypes before narrow ones keeps every tensor aligned, as other readers
 * may like.
 */
void kiln_safetensors_writer_tensor(kiln_safetensors_writer *, const char *name,
                                    enum kiln_tensor_dtype, int rank, const int64_t *shape);
/* As above with a Kiln shape and dtype. */
void kiln_safetensors_writer_declare(kiln_safetensors_writer *, const char *name, enum kiln_dtype,
                                     const struct kiln_shape *);
/* Writes the header: all tensors are declared. */
void kiln_safetensors_writer_begin(kiln_safetensors_writer *);
/* Appends elements of the declared tensors in order: bytes of any pieces,
 * little-endian. */
void kiln_safetensors_writer_data(kiln_safetensors_writer *, const void *data, int64_t bytes);
/* The first failure so far, for one who would rather stop than write on. */
enum kiln_status kiln_safetensors_writer_status(const kiln_safetensors_writer *,
                                                struct kiln_error *);
/* Puts the file in place; consumes the writer, also on failure. KILN_INPUT if
 * the bytes given are not those declared. */
enum kiln_status kiln_safetensors_writer_commit(kiln_safetensors_writer **, struct kiln_error *);
/* Drops everything; accepts NULL. */
void kiln_safetensors_writer_abort(kiln_safetensors_writer **);

#endif
