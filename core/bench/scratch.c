/* Temporary folders, made by mkdtemp and removed by walking them. */
#define _XOPEN_SOURCE 700 /* nftw */
#include "core/bench/scratch.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"

enum kiln_status kiln_scratch_create(char **path, struct kiln_error *error)
{
    const char *parent = getenv("TMPDIR");
    *path = kiln_path_join(parent && parent[0] ? parent : "/tmp", "kiln-bench-XXXXXX");
    if (!*path)
        return kiln_fail(error, KILN_MACHINE, "out of memory");
    if (mkdtemp(*path))
        return KILN_OK;
    enum kiln_status status =
        kiln_fail(error, KILN_MACHINE, "no temporary folder: %s: %s", *path, strerror(errno));
    free(*path);
    *path = NULL;
    return status;
}

static int remove_entry(const char *path, const struct stat *about, int type, struct FTW *walk)
{
    (void)about, (void)type, (void)walk;
    remove(path); /* what cannot be removed stays */
    return 0;
}

void kiln_scratch_remove(char **path)
{
    if (*path)
        nftw(*path, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    free(*path);
    *path = NULL;
}
