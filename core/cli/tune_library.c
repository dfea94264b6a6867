/* Measuring a backend's library in a child process. */
#include "core/cli/tune_library.h"

#include "core/base/child.h"
#include "core/base/log.h"
#include "core/device/probe.h"

enum { SECONDS = 60, IDLE_SECONDS = 600, OUTPUT_LIMIT = 1 << 16 };

enum kiln_status kiln_tune_open(const char *spec, kiln_device **device, kiln_tuner **tuner,
                                struct kiln_error *error)
{
    *tuner = NULL;
    enum kiln_status status = kiln_device_open(spec, NULL, device, error);
    if (status)
        return status;
    *tuner = kiln_tuner_create(*device, true, 0);
    if (*tuner)
        return KILN_OK;
    kiln_device_close(device);
    return kiln_fail(error, KILN_MACHINE, "out of memory");
}

static enum kiln_status is_unknown(const char *spec, bool *unknown, struct kiln_error *error)
{
    kiln_device *device;
    kiln_tuner *tuner;
    enum kiln_status status = kiln_tune_open(spec, &device, &tuner, error);
    if (status)
        return status;
    *unknown = kiln_tuner_library_is_unknown(tuner);
    kiln_tuner_destroy(&tuner);
    kiln_device_close(&device);
    return KILN_OK;
}

enum kiln_status kiln_tune_library(const char *device, struct kiln_error *error)
{
    const char *program = kiln_probe_program_path();
    bool unknown = false;
    enum kiln_status status = is_unknown(device, &unknown, error);
    if (status || !unknown || !program)
        return status;
    char *const arguments[] = {(char *)program, KILN_TUNE_LIBRARY_COMMAND, (char *)device, NULL};
    struct kiln_child_result result;
    char ending[128];
    status = kiln_child_run(program, arguments, IDLE_SECONDS, OUTPUT_LIMIT, &result, error);
    if (status)
        return status;
    if (result.exit_status != 0)
        kiln_log_line(KILN_LOG_WARNING, "%s: parameters of its library: %s", device,
                      kiln_child_ending(&result, IDLE_SECONDS, ending, sizeof ending));
    kiln_text_finish(&result.output);
    return KILN_OK;
}

enum kiln_status kiln_tune_library_child(const char *spec, struct kiln_error *error)
{
    kiln_device *device;
    kiln_tuner *tuner;
    enum kiln_status status = kiln_tune_open(spec, &device, &tuner, error);
    if (status)
        return status;
    status = kiln_tuner_measure_library(tuner, SECONDS, error);
    kiln_tuner_destroy(&tuner);
    kiln_device_close(&device);
    return status;
}
