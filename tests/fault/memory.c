/*
 * A preloaded malloc, calloc, realloc, posix_memalign and aligned_alloc of
 * which one call of Kiln's fails.
 *
 *   FAULT=call:N   the N-th allocation, from 1
 *   FAULT=from:N   the N-th and all behind it
 *   FAULT=place:N  the first allocation at the N-th place, a place being a
 *                  chain of callers: few runs visit every failure path
 *   FAULT_REPORT   file that receives "CALLS PLACES FAILED" at the end
 *   FAULT_TRACE    print the callers of what fails
 *
 * Allocations count as Kiln's if the nearest caller outside the C library is
 * the program, one of its modules or a C library that passes failures on. C++
 * (oneDNN, CLBlast, drivers) and the thread pool end the program themselves.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t),
    *__libc_memalign(size_t, size_t);

enum { MAX_FRAMES = 64, MAX_PLACES = 1 << 14 };

enum mode { COUNT, CALL, FROM, PLACE };

static enum mode mode;
static long at, calls, failed;
static long n_places;
static uint64_t places[MAX_PLACES]; /* hash table, 0 = empty */
static bool ready, trace;
static char report[512];
static __thread bool inside;

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

enum owner { FOREIGN, KILN, C_LIBRARY };

static enum owner owner_of(const char *path)
{
    static const char *const ours[] = {"/kiln",      "/cpu.so", "/cpu_onednn.so",
                                       "/opencl.so", "/vae.so", NULL};
    static const char *const libraries[] = {"/libkiln.so", "/libjansson", "/libpng",
                                            "/libz.so",    "/libinih",    NULL};
    for (int i = 0; ours[i]; i++)
        if (ends_with(path, ours[i]) || strcmp(path, ours[i] + 1) == 0)
            return KILN;
    for (int i = 0; libraries[i]; i++)
        if (strstr(path, libraries[i]))
            return KILN;
    return strstr(path, "/libc.so") ? C_LIBRARY : FOREIGN;
}

/* Fills *place with the hash of Kiln's callers; false: not Kiln's. */
static bool is_ours(void *const *frames, int n, uint64_t *place)
{
    uint64_t hash = 14695981039346656037u;
    bool found = false;
    for (int i = 2; i < n; i++) { /* the wrapper and fails() itself first */
        Dl_info info;
        if (!dladdr(frames[i], &info) || !info.dli_fname)
            break;
        enum owner owner = owner_of(info.dli_fname);
        if (owner == FOREIGN && !found)
            return false;
        found |= owner == KILN;
        if (owner == KILN)
            hash = (hash ^ (uint64_t)((char *)frames[i] - (char *)info.dli_fbase)) * 1099511628211u;
    }
    *place = hash ? hash : 1;
    return found;
}

/* True if the place was not seen before. */
static bool is_new(uint64_t place)
{
    size_t i = place % MAX_PLACES;
    while (places[i] && places[i] != place)
        i = (i + 1) % MAX_PLACES;
    if (places[i] || n_places > MAX_PLACES / 2)
        return false;
    places[i] = place;
    n_places++;
    return true;
}

/* Decides on one allocation; other threads' are C++ or the pool's. */
static bool fails(void)
{
    void *frames[MAX_FRAMES];
    uint64_t place;
    if (!ready || inside)
        return false;
    inside = true;
    int n = backtrace(frames, MAX_FRAMES);
    bool fail = false;
    if (is_ours(frames, n, &place)) {
        calls++;
        bool fresh = is_new(place);
        fail = (mode == CALL && calls == at) || (mode == FROM && calls >= at) ||
               (mode == PLACE && fresh && n_places == at);
        failed += fail;
        if (fail && trace)
            backtrace_symbols_fd(frames + 2, n - 2, 2);
    }
    inside = false;
    errno = fail ? ENOMEM : errno;
    return fail;
}

__attribute__((visibility("default"))) void *malloc(size_t bytes)
{
    return fails() ? NULL : __libc_malloc(bytes);
}

__attribute__((visibility("default"))) void *calloc(size_t n, size_t bytes)
{
    return fails() ? NULL : __libc_calloc(n, bytes);
}

__attribute__((visibility("default"))) void *realloc(void *old, size_t bytes)
{
    return fails() ? NULL : __libc_realloc(old, bytes);
}

__attribute__((visibility("default"))) int posix_memalign(void **result, size_t alignment,
                                                          size_t bytes)
{
    void *memory = fails() ? NULL : __libc_memalign(alignment, bytes);
    if (memory)
        *result = memory;
    return memory ? 0 : ENOMEM;
}

__attribute__((visibility("default"))) void *aligned_alloc(size_t alignment, size_t bytes)
{
    return fails() ? NULL : __libc_memalign(alignment, bytes);
}

/* Child processes, drivers' probes for instance, get no faults. */
__attribute__((constructor)) static void start(void)
{
    const char *fault = getenv("FAULT"), *path = getenv("FAULT_REPORT");
    void *frames[4];
    if (!fault)
        return;
    inside = true;
    backtrace(frames, 4); /* loads its library now */
    inside = false;
    if (sscanf(fault, "call:%ld", &at) == 1)
        mode = CALL;
    else if (sscanf(fault, "from:%ld", &at) == 1)
        mode = FROM;
    else if (sscanf(fault, "place:%ld", &at) == 1)
        mode = PLACE;
    trace = getenv("FAULT_TRACE") != NULL;
    snprintf(report, sizeof report, "%s", path ? path : "");
    unsetenv("FAULT");
    ready = true;
}

__attribute__((destructor)) static void finish(void)
{
    char text[96];
    int n = snprintf(text, sizeof text, "%ld %ld %ld\n", calls, n_places, failed);
    int file = ready && report[0] ? open(report, O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
    ready = false;
    if (file < 0)
        return;
    if (write(file, text, (size_t)n) != n)
        perror(report);
    close(file);
}
