/* Paths and directories. */
#include "core/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file_status.h"

char *kiln_path_join(const char *directory, const char *name)
{
    if (!directory || !*directory || *name == '/')
        return strdup(name);
    size_t n = strlen(directory);
    const char *slash = directory[n - 1] == '/' ? "" : "/";
    size_t bytes = n + strlen(slash) + strlen(name) + 1;
    char *path = malloc(bytes);
    if (path)
        snprintf(path, bytes, "%s%s%s", directory, slash, name);
    return path;
}

const char *kiln_path_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

char *kiln_path_directory(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return strdup(".");
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

/* One level; a directory that is there already is fine. */
static bool create_level(const char *path)
{
    if (mkdir(path, 0777) == 0)
        return true;
    int reason = errno;
    if (kiln_directory_exists(path))
        return true;
    errno = reason == EEXIST ? ENOTDIR : reason;
    return false;
}

enum kiln_status kiln_directory_create(const char *path, struct kiln_error *error)
{
    char *prefix = strdup(path);
    if (!prefix)
        return kiln_fail(error, KILN_MACHINE, "%s: out of memory", path);
    enum kiln_status status = KILN_OK;
    for (char *slash = strchr(prefix + (*prefix == '/'), '/'); slash && !status;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (!create_level(prefix))
            status = kiln_file_fail(error, prefix, "create directory");
        *slash = '/';
    }
    if (!status && !create_level(prefix))
        status = kiln_file_fail(error, path, "create directory");
    free(prefix);
    return status;
}

enum kiln_status kiln_directory_check_writable(const char *path, struct kiln_error *error)
{
    if (!kiln_directory_exists(path)) {
        errno = kiln_file_exists(path) ? ENOTDIR : ENOENT;
        return kiln_file_fail(error, path, "write to directory");
    }
    char name[64];
    snprintf(name, sizeof name, ".kiln-probe-%ld", (long)getpid());
    char *probe = kiln_path_join(path, name);
    if (!probe)
        return kiln_fail(error, KILN_MACHINE, "%s: out of memory", path);
    enum kiln_status status = KILN_OK;
    int fd = open(probe, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        status = kiln_file_fail(error, path, "write to directory");
    } else {
        close(fd);
        unlink(probe);
    }
    free(probe);
    return status;
}
