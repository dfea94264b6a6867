/* kiln doctor: device files and groups, cache folders, packages. */
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/cli/doctor.h"
#include "core/device/device.h"

static void examine_file(struct kiln_diagnosis *d, const char *path)
{
    static const char section[] = "Device files";
    struct stat info;
    if (stat(path, &info) != 0)
        return;
    struct group *group = getgrgid(info.st_gid);
    const char *name = group ? group->gr_name : "?";
    if (access(path, R_OK | W_OK) == 0) {
        kiln_diagnosis_find(d, section, KILN_FINDING_GOOD, path, "readable and writable");
        return;
    }
    kiln_diagnosis_find(d, section, KILN_FINDING_BAD, path, "%s; it belongs to the group %s",
                        strerror(errno), name);
    if (info.st_mode & S_IWGRP)
        kiln_diagnosis_advise(d, "sudo usermod -aG %s $USER    (then log in again)", name);
}

static int is_render(const struct dirent *entry)
{
    return strncmp(entry->d_name, "renderD", 7) == 0;
}

void kiln_doctor_device_files(struct kiln_diagnosis *d)
{
    struct dirent **entries = NULL;
    int n = scandir("/dev/dri", &entries, is_render, alphasort);
    for (int i = 0; i < n; i++) {
        char path[300];
        snprintf(path, sizeof path, "/dev/dri/%s", entries[i]->d_name);
        examine_file(d, path);
        free(entries[i]);
    }
    free(entries);
    examine_file(d, "/dev/kfd");
    examine_file(d, "/dev/nvidiactl");
    if (n <= 0 && !kiln_file_exists("/dev/kfd") && !kiln_file_exists("/dev/nvidiactl"))
        kiln_diagnosis_find(d, "Device files", KILN_FINDING_INFO, "/dev/dri",
                            "no render node: there is no GPU, or the kernel has no driver for it");
}

/* PoCL shows its platform without a device if it cannot write its cache. */
static void examine_pocl_cache(struct kiln_diagnosis *d)
{
    static const char section[] = "Cache folders";
    const char *given = getenv("POCL_CACHE_DIR"), *base = getenv("XDG_CACHE_HOME"),
               *home = getenv("HOME");
    char path[4096];
    struct kiln_error error;
    if (given)
        snprintf(path, sizeof path, "%s", given);
    else if (base && base[0])
        snprintf(path, sizeof path, "%s/pocl/kcache", base);
    else
        snprintf(path, sizeof path, "%s/.cache/pocl/kcache", home ? home : "");
    if (!kiln_directory_create(path, &error) && !kiln_directory_check_writable(path, &error)) {
        kiln_diagnosis_find(d, section, KILN_FINDING_GOOD, path, "PoCL's, writable");
        return;
    }
    kiln_diagnosis_find(d, section, KILN_FINDING_BAD, path, "PoCL's: %s; it shows no device then",
                        error.text);
    kiln_diagnosis_advise(d, "export POCL_CACHE_DIR=/a/folder/you/can/write");
}

void kiln_doctor_folders(struct kiln_diagnosis *d)
{
    char path[4096];
    if (kiln_cache_dir(path, sizeof path)) {
        kiln_diagnosis_find(d, "Cache folders", KILN_FINDING_GOOD, path, "Kiln's, writable");
    } else {
        kiln_diagnosis_find(
            d, "Cache folders", KILN_FINDING_BAD, "Kiln's",
            "$XDG_CACHE_HOME/kiln or ~/.cache/kiln cannot be written, or others may write to it; "
            "every start measures and compiles anew");
        kiln_diagnosis_advise(d, "export XDG_CACHE_HOME=/a/folder/only/you/can/write");
    }
    examine_pocl_cache(d);
}

/* Vendors of display adapters, as PCI ids. */
enum { INTEL = 0x8086, AMD = 0x1002, NVIDIA = 0x10de };

static bool has_adapter(unsigned vendor)
{
    for (int card = 0; card < 16; card++) {
        char path[64];
        unsigned id = 0;
        snprintf(path, sizeof path, "/sys/class/drm/card%d/device/vendor", card);
        FILE *file = fopen(path, "r");
        bool found = file && fscanf(file, "%x", &id) == 1 && id == vendor;
        if (file)
            fclose(file);
        if (found)
            return true;
    }
    return vendor == NVIDIA && kiln_file_exists("/dev/nvidiactl");
}

void kiln_doctor_packages(struct kiln_diagnosis *d)
{
    if (!d->gpu && has_adapter(INTEL))
        kiln_diagnosis_advise(
            d,
            "sudo apt install intel-opencl-icd    (Intel graphics; your user in the group render)");
    if (!d->gpu && has_adapter(AMD))
        kiln_diagnosis_advise(
            d, "sudo apt install mesa-opencl-icd && export RUSTICL_ENABLE=radeonsi    (AMD; or "
               "AMD's own amdgpu-install --usecase=opencl)");
    if (!d->gpu && has_adapter(NVIDIA))
        kiln_diagnosis_advise(
            d, "sudo apt install nvidia-driver nvidia-opencl-icd    (NVIDIA; from non-free)");
    if (!d->opencl && !d->driver)
        kiln_diagnosis_advise(
            d, "sudo apt install pocl-opencl-icd    (OpenCL on the processor; Kiln's own backend "
               "cpu is faster)");
}
