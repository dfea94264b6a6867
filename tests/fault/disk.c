/*
 * A preloaded fsync and rename of which one call fails, as on a disk that
 * fails, and the order in which they were called.
 *
 *   FAULT=NAME:N   the N-th call of NAME, from 1, fails with EIO; 0: none
 *   FAULT_REPORT   file that receives "CALLS 0 FAILED" at the end; every call
 *                  adds a line to FAULT_REPORT.calls: "fsync PATH" or
 *                  "rename OLD NEW"
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHOWN __attribute__((visibility("default")))

static char name[16], report[512];
static long at, calls, failed;

static bool fails(const char *function)
{
    if (strcmp(function, name) != 0)
        return false;
    calls++;
    failed += calls == at;
    errno = EIO;
    return calls == at;
}

/* Appends with plain calls: nothing of stdio is held up by it. */
static void note(const char *line)
{
    char path[600];
    snprintf(path, sizeof path, "%s.calls", report);
    int file = report[0] ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (file < 0)
        return;
    if (write(file, line, strlen(line)) < 0)
        perror(path);
    close(file);
}

SHOWN int fsync(int fd)
{
    int (*next)(int);
    void *address = dlsym(RTLD_NEXT, "fsync");
    char link[64], path[1024], line[1100];
    memcpy(&next, &address, sizeof next);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    snprintf(line, sizeof line, "fsync %.*s\n", n > 0 ? (int)n : 0, path);
    note(line);
    return fails("fsync") ? -1 : next(fd);
}

SHOWN int rename(const char *from, const char *to)
{
    int (*next)(const char *, const char *);
    void *address = dlsym(RTLD_NEXT, "rename");
    char line[2200];
    memcpy(&next, &address, sizeof next);
    snprintf(line, sizeof line, "rename %s %s\n", from, to);
    note(line);
    return fails("rename") ? -1 : next(from, to);
}

__attribute__((constructor)) static void start(void)
{
    const char *fault = getenv("FAULT"), *path = getenv("FAULT_REPORT");
    if (!fault || sscanf(fault, "%15[^:]:%ld", name, &at) != 2)
        return;
    snprintf(report, sizeof report, "%s", path ? path : "");
    unsetenv("FAULT");
}

__attribute__((destructor)) static void finish(void)
{
    char text[64];
    int n = snprintf(text, sizeof text, "%ld 0 %ld\n", calls, failed);
    int file = report[0] ? open(report, O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
    if (file < 0)
        return;
    if (write(file, text, (size_t)n) != n)
        perror(report);
    close(file);
}
