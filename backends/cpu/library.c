/* Loads the optional oneDNN module from the folder of this one. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* dladdr */
#endif
#include "backends/cpu/cpu.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct cpu_onednn *loaded;

static void load_once(void)
{
    Dl_info info;
    void *here;
    const struct cpu_onednn *(*self)(void) = cpu_onednn_load;
    memcpy(&here, &self, sizeof here);
    if (!dladdr(here, &info) || !info.dli_fname)
        return;
    const char *slash = strrchr(info.dli_fname, '/');
    int folder = slash ? (int)(slash - info.dli_fname) : 1;
    char path[4096];
    int length =
        snprintf(path, sizeof path, "%.*s/cpu_onednn.so", folder, slash ? info.dli_fname : ".");
    if (length < 0 || (size_t)length >= sizeof path)
        return;
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    void *symbol = module ? dlsym(module, "cpu_onednn_entry") : NULL;
    cpu_onednn_entry_fn *entry;
    if (!symbol)
        return;
    memcpy(&entry, &symbol, sizeof entry);
    loaded = entry();
}

const struct cpu_onednn *cpu_onednn_load(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    const char *off = getenv("KILN_CPU_ONEDNN");
    pthread_once(&once, load_once);
    return off && !strcmp(off, "off") ? NULL : loaded;
}
