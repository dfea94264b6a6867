/*
 * Files: bounded reading, and writing that leaves the old file or the new one.
 *
 * Messages name the path and the system's reason. Status: a path that cannot
 * be used as asked (missing, no permission, a directory, too large) is
 * KILN_INPUT; a machine that fails (disk full, I/O error, memory) is
 * KILN_MACHINE. All functions are safe in any thread on distinct objects.
 */
#ifndef KILN_BASE_FILE_H
#define KILN_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/api/status.h"

/* --- reading ---------------------------------------------------------------- */

/*
 * Opens a regular file for reading, never waiting: directories, FIFOs, sockets
 * and devices are refused. *fd is closed by the caller (close); *bytes is the
 * size at this moment.
 */
enum kiln_status kiln_file_open(const char *path, int *fd, int64_t *bytes, struct kiln_error *);

/* Reads exactly bytes at offset into out; a file that ends before is
 * KILN_INPUT. path is for the message only. */
enum kiln_status kiln_file_read_at(int fd, const char *path, void *out, size_t bytes,
                                   int64_t offset, struct kiln_error *);

/*
 * Reads a whole regular file of at most limit bytes. *data is malloc'd, freed
 * by the caller, and ends with a NUL beyond *bytes (which may be 0; the file
 * may hold NULs itself).
 */
enum kiln_status kiln_file_read(const char *path, size_t limit, char **data, size_t *bytes,
                                struct kiln_error *);

/* True if path exists (of any type). */
bool kiln_file_exists(const char *path);
/* True if path is a directory, or a link to one. */
bool kiln_directory_exists(const char *path);

/* --- atomic writing ----------------------------------------------------------- */

/*
 * A file being written. The bytes go to a hidden temporary file beside path;
 * commit flushes it, syncs it, renames it to path and syncs the directory, so
 * that a kill or a power cut at any instant leaves the old file or the new
 * one. Temporary files that killed writers of the same path left behind are
 * removed by the next begin. A symbolic link stays and its target is replaced.
 * A path that names a device or a FIFO (/dev/stdout) is written directly.
 */
typedef struct kiln_output kiln_output;

/* *output is NULL on failure. */
enum kiln_status kiln_output_begin(const char *path, kiln_output **output, struct kiln_error *);
/* Appends bytes; returns false on failure, which commit reports again with the
 * system's reason. */
bool kiln_output_write(kiln_output *, const void *data, size_t bytes);
/* For formatted writing; belongs to the output. Not seekable in general.
 * Errors of the stream may be left to commit, whose reason is then vague. */
FILE *kiln_output_stream(kiln_output *);
/* The path given to begin; lives as long as the output. */
const char *kiln_output_path(const kiln_output *);
/* Puts the file in place; consumes the output (sets it to NULL), also on
 * failure, when the old file is untouched and the temporary one is gone. Only
 * a directory that cannot be synced fails with the new file in place: it may
 * not outlive a power cut. */
enum kiln_status kiln_output_commit(kiln_output **output, struct kiln_error *);
/* Drops what was written; accepts NULL. */
void kiln_output_abort(kiln_output **output);

/* A whole file at once. */
enum kiln_status kiln_file_write(const char *path, const void *data, size_t bytes,
                                 struct kiln_error *);

/* --- directories and paths ------------------------------------------------------ */

/* mkdir -p; an existing directory is fine, another kind of file in the way is
 * KILN_INPUT. */
enum kiln_status kiln_directory_create(const char *path, struct kiln_error *);
/* Creates and removes a probe file, so that a run learns before its first step
 * that it cannot save. */
enum kiln_status kiln_directory_check_writable(const char *path, struct kiln_error *);

/*
 * Takes an exclusive lock on the file (created if missing), held until
 * kiln_file_unlock or the end of the process. KILN_INPUT if another process
 * (or this one) holds it.
 */
enum kiln_status kiln_file_lock(const char *path, int *lock, struct kiln_error *);
/* Releases; sets *lock to -1; accepts -1. */
void kiln_file_unlock(int *lock);

/* "directory/name", or name alone if it is absolute or directory is "" or
 * NULL. malloc'd; NULL when out of memory. */
char *kiln_path_join(const char *directory, const char *name);
/* The part after the last '/'; points into path. */
const char *kiln_path_name(const char *path);
/* The part before the last '/' ("." if there is none, "/" for the root).
 * malloc'd; NULL when out of memory. */
char *kiln_path_directory(const char *path);

#endif
