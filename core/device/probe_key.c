/* What the OpenCL probe's answer depends on, as text. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/module.h"
#include "core/base/text.h"
#include "core/device/probe.h"

/* Loader, driver and linker settings that change which devices appear. */
static const char *const variables[] = {
    "OCL_ICD_VENDORS",
    "OPENCL_VENDOR_PATH",
    "OCL_ICD_FILENAMES",
    "OCL_ICD_PLATFORM_SORT",
    "OCL_ICD_DEFAULT_PLATFORM",
    "OCL_ICD_ASSUME_ICD_EXTENSION",
    "OPENCL_LAYERS",
    "POCL_DEVICES",
    "POCL_CACHE_DIR",
    "POCL_MEMORY_LIMIT",
    "POCL_MAX_PTHREAD_COUNT",
    "RUSTICL_ENABLE",
    "RUSTICL_DEVICE_TYPE",
    "ROCR_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "GPU_DEVICE_ORDINAL",
    "CUDA_VISIBLE_DEVICES",
    "ZE_AFFINITY_MASK",
    "KILN_BACKEND_PATH",
    "KILN_BUILD_DIR",
    "KILN_PROBE_PROGRAM",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "HOME",
    "XDG_CACHE_HOME",
};

static void append_file(struct kiln_text *key, const char *path)
{
    struct stat info;
    if (stat(path, &info) == 0)
        kiln_text_append(key, "%s %lld %lld.%09ld %d\n", path, (long long)info.st_size,
                         (long long)info.st_mtime, info.st_mtim.tv_nsec, access(path, R_OK | W_OK));
}

/* The driver library that an ICD file names, where the linker usually finds
 * it: an update replaces it without touching the ICD file. */
static void append_library(struct kiln_text *key, const char *library)
{
    static const char *const folders[] = {"/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu",
                                          "/usr/lib64", "/usr/lib", "/usr/local/lib"};
    if (library[0] == '/') {
        append_file(key, library);
        return;
    }
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", folders[i], library);
        append_file(key, path);
    }
}

static void append_icd(struct kiln_text *key, const char *path)
{
    append_file(key, path);
    FILE *file = fopen(path, "r");
    if (!file)
        return;
    char line[512];
    if (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\r\n")] = '\0';
        append_library(key, line);
    }
    fclose(file);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Files of a directory whose names hold the part, in order of their names. */
static void append_folder(struct kiln_text *key, const char *folder, const char *part,
                          void (*append)(struct kiln_text *, const char *path))
{
    enum { MOST = 64, BYTES = 512 };
    DIR *directory = opendir(folder);
    if (!directory)
        return;
    char(*paths)[BYTES] = malloc(sizeof *paths * MOST);
    int n = 0;
    for (struct dirent *entry; paths && n < MOST && (entry = readdir(directory));)
        if (strstr(entry->d_name, part) &&
            snprintf(paths[n], BYTES, "%s/%s", folder, entry->d_name) < BYTES)
            n++;
    closedir(directory);
    if (n)
        qsort(paths, (size_t)n, sizeof *paths, by_name);
    for (int i = 0; i < n; i++)
        append(key, paths[i]);
    free(paths);
}

void kiln_probe_key(struct kiln_text *key)
{
    kiln_text_append(key, "kiln %s abi %d uid %ld\n", KILN_VERSION, KILN_BACKEND_ABI,
                     (long)geteuid());
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        const char *value = getenv(variables[i]);
        if (value)
            kiln_text_append(key, "%s=%s\n", variables[i], value);
    }
    const char *program = getenv("KILN_PROBE_PROGRAM");
    if (program)
        append_file(key, program);
    const char *vendors = getenv("OCL_ICD_VENDORS");
    if (!vendors)
        vendors = getenv("OPENCL_VENDOR_PATH");
    append_folder(key, vendors ? vendors : "/etc/OpenCL/vendors", ".icd", append_icd);
    if (vendors)
        append_library(key, vendors); /* may name one file or library */
    append_library(key, "libOpenCL.so.1");
    append_folder(key, "/dev/dri", "renderD", append_file);
    append_file(key, "/dev/kfd");
    append_file(key, "/dev/nvidiactl");
    char root[1024], module[1100];
    if (kiln_module_build_dir(root, sizeof root)) {
        snprintf(module, sizeof module, "%s/backends/opencl/opencl.so", root);
        append_file(key, module);
    }
    kiln_module_install_dir(root, sizeof root);
    snprintf(module, sizeof module, "%s/backends/opencl.so", root);
    append_file(key, module);
}
