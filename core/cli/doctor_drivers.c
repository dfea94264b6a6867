/* kiln doctor: the loader, the drivers it names, and the devices they show. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/child.h"
#include "core/base/file.h"
#include "core/cli/doctor.h"
#include "core/device/backends.h"
#include "core/device/device.h"
#include "core/device/probe.h"

#define CHILD_SECONDS 10.0

/* Loads a library in a child; true if that works, else why not. */
static bool try_library(const char *library, char *reason, size_t size)
{
    const char *program = kiln_probe_program_path();
    struct kiln_child_result result;
    struct kiln_error error;
    char *argv[] = {(char *)program, (char *)KILN_PROBE_LIBRARY_COMMAND, (char *)library, NULL};
    if (!program || kiln_child_run(program, argv, CHILD_SECONDS, 4096, &result, &error)) {
        snprintf(reason, size, "cannot be tried: %s",
                 program ? error.text : "this program does not know itself");
        return false;
    }
    bool loads = result.exit_status == 0;
    const char *text = result.output.data ? result.output.data : "";
    if (!loads && result.exit_status == KILN_MACHINE && text[0])
        snprintf(reason, size, "%.*s", (int)strcspn(text, "\n"), text);
    else if (!loads)
        kiln_child_ending(&result, CHILD_SECONDS, reason, size);
    kiln_text_finish(&result.output);
    return loads;
}

void kiln_doctor_loader(struct kiln_diagnosis *d)
{
    static const char section[] = "OpenCL loader";
    char reason[512];
    if (try_library("libOpenCL.so.1", reason, sizeof reason)) {
        kiln_diagnosis_find(d, section, KILN_FINDING_GOOD, "libOpenCL.so.1", "loads");
    } else {
        kiln_diagnosis_find(d, section, KILN_FINDING_BAD, "libOpenCL.so.1", "%s", reason);
        kiln_diagnosis_advise(d, "sudo apt install ocl-icd-libopencl1    (the OpenCL loader)");
    }
}

/* One ICD file: its first line names the driver's library. */
static void examine_icd(struct kiln_diagnosis *d, const char *path)
{
    static const char section[] = "Drivers";
    char *data, library[512], reason[512];
    size_t size;
    struct kiln_error error;
    if (kiln_file_read(path, 1 << 16, &data, &size, &error)) {
        kiln_diagnosis_find(d, section, KILN_FINDING_BAD, path, "%s", error.text);
        return;
    }
    snprintf(library, sizeof library, "%.*s", (int)strcspn(data, "\r\n"), data);
    free(data);
    if (try_library(library, reason, sizeof reason)) {
        d->driver = true;
        kiln_diagnosis_find(d, section, KILN_FINDING_GOOD, path, "%s loads", library);
    } else {
        kiln_diagnosis_find(d, section, KILN_FINDING_BAD, path, "%s does not load: %s", library,
                            reason);
        kiln_diagnosis_advise(
            d, "reinstall the driver of %s: a library that it needs is missing or damaged", path);
    }
    bool rusticl = strstr(library, "Rusticl") != NULL;
    if (rusticl && !getenv("RUSTICL_ENABLE")) {
        kiln_diagnosis_find(d, section, KILN_FINDING_INFO, path,
                            "rusticl shows no device unless RUSTICL_ENABLE names its driver");
        kiln_diagnosis_advise(
            d, "export RUSTICL_ENABLE=radeonsi    (AMD; Intel: iris, NVIDIA: nouveau)");
    }
}

static int is_icd(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    return length > 4 && strcmp(entry->d_name + length - 4, ".icd") == 0;
}

static void examine_folder(struct kiln_diagnosis *d, const char *folder)
{
    struct dirent **entries = NULL;
    int n = scandir(folder, &entries, is_icd, alphasort);
    for (int i = 0; i < n; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        examine_icd(d, path);
        free(entries[i]);
    }
    free(entries);
    if (n <= 0)
        kiln_diagnosis_find(d, "Drivers", KILN_FINDING_BAD, folder,
                            "no driver is registered here (no *.icd file)");
}

void kiln_doctor_drivers(struct kiln_diagnosis *d)
{
    const char *vendors = getenv("OCL_ICD_VENDORS");
    if (!vendors)
        vendors = getenv("OPENCL_VENDOR_PATH");
    if (vendors)
        kiln_diagnosis_find(d, "Drivers", KILN_FINDING_INFO, "OCL_ICD_VENDORS",
                            "%s is used instead of "
                            "/etc/OpenCL/vendors",
                            vendors);
    if (!vendors || kiln_directory_exists(vendors)) {
        examine_folder(d, vendors ? vendors : "/etc/OpenCL/vendors");
    } else if (strlen(vendors) > 4 && strcmp(vendors + strlen(vendors) - 4, ".icd") == 0) {
        char path[1024];
        snprintf(path, sizeof path, "%s%s", strchr(vendors, '/') ? "" : "/etc/OpenCL/vendors/",
                 vendors);
        examine_icd(d, path);
    } else {
        char reason[512];
        bool loads = try_library(vendors, reason, sizeof reason);
        d->driver = d->driver || loads;
        kiln_diagnosis_find(d, "Drivers", loads ? KILN_FINDING_GOOD : KILN_FINDING_BAD, vendors,
                            "%s", loads ? "loads" : reason);
    }
}

void kiln_doctor_devices(struct kiln_diagnosis *d)
{
    static const char section[] = "Devices";
    struct kiln_error error;
    if (kiln_backend_load(KILN_BACKEND_CPU, &error))
        kiln_diagnosis_find(d, section, KILN_FINDING_GOOD, "cpu", "the native backend loads");
    else
        kiln_diagnosis_find(d, section, KILN_FINDING_BAD, "cpu", "%s", error.text);
    struct kiln_probe *probe = malloc(sizeof *probe);
    if (!probe) {
        d->failed = true;
        return;
    }
    kiln_probe_opencl(true, probe);
    if (strstr(probe->reason, "is not installed"))
        kiln_diagnosis_advise(
            d, "this build of Kiln has no OpenCL backend: sudo apt install ocl-icd-opencl-dev "
               "opencl-c-headers libclblast-dev, then build it again");
    if (probe->reason[0])
        kiln_diagnosis_find(d, section, KILN_FINDING_BAD, "opencl", "%s", probe->reason);
    else if (!probe->n)
        kiln_diagnosis_find(d, section, KILN_FINDING_BAD, "opencl", "no driver shows a device");
    for (int i = 0; i < probe->n; i++) {
        const struct kiln_probe_device *device = &probe->devices[i];
        char name[192];
        snprintf(name, sizeof name, "opencl:%d %s", i, device->caps.name);
        kiln_diagnosis_find(d, section, device->usable ? KILN_FINDING_GOOD : KILN_FINDING_BAD, name,
                            "%s%s%s", device->usable ? device->caps.platform : device->reason,
                            device->usable ? ", driver " : "",
                            device->usable ? device->caps.driver : "");
        d->opencl = d->opencl || device->usable;
        d->gpu = d->gpu || (device->usable && device->caps.type != KILN_DEVICE_CPU);
    }
    free(probe);
}
