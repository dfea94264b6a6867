/* Loading backends, choosing devices, the OpenCL probe, the cache directory. */
#define _XOPEN_SOURCE 700
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/device/backends.h"
#include "core/device/cache.h"
#include "core/device/choice.h"
#include "core/device/probe.h"
#include "core/device/waiting.h"

static char folder[] = "/tmp/kiln-device-XXXXXX";

static char *in_folder(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *path, const void *data, size_t size, mode_t mode)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void expect_refusal(const char *path, const char *reason)
{
    struct kiln_error error = {""};
    assert_null(kiln_backend_open(path, "opencl", &error));
    if (!strstr(error.text, path) || !strstr(error.text, reason))
        fail_msg("\"%s\" does not name %s and \"%s\"", error.text, path, reason);
}

static void bad_modules_are_refused(void **unused)
{
    (void)unused;
    struct kiln_error error;
    assert_non_null(kiln_backend_open(FAKE_MODULES "/good.so", "opencl", &error));
    expect_refusal(FAKE_MODULES "/other_abi.so", "interface 99");
    expect_refusal(FAKE_MODULES "/other_size.so", "8 bytes");
    expect_refusal(FAKE_MODULES "/other_name.so", "is backend gpu");
    expect_refusal(FAKE_MODULES "/none.so", "returned nothing");
    expect_refusal(FAKE_MODULES "/missing.so", "No such file");
    expect_refusal("good.so", "good.so");

    write_file(in_folder("text.so"), "hello\n", 6, 0600);
    expect_refusal(in_folder("text.so"), "not a shared module");

    FILE *file = fopen(FAKE_MODULES "/good.so", "rb");
    assert_non_null(file);
    static char bytes[1 << 20];
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    assert_true(size > 5000 && size < sizeof bytes);
    for (size_t part = 1; part < size; part += size / 37 + 1) {
        write_file(in_folder("cut.so"), bytes, part, 0600);
        expect_refusal(in_folder("cut.so"), "module");
    }
}

/* --- choice -------------------------------------------------------------- */

static const struct kiln_backend cpu = {.name = "cpu"}, opencl = {.name = "opencl"};

static const struct kiln_device_entry entries[] = {
    {"cpu", &cpu, 0, false, {.type = KILN_DEVICE_CPU, .name = "AMD EPYC", .compute_units = 2}},
    {"cpu:ref", &cpu, 0, true, {.type = KILN_DEVICE_CPU, .name = "AMD EPYC", .compute_units = 2}},
    {"opencl:0",
     &opencl,
     0,
     false,
     {.type = KILN_DEVICE_CPU, .name = "pthread-AMD EPYC", .compute_units = 2}},
    {"opencl:1",
     &opencl,
     1,
     false,
     {.type = KILN_DEVICE_GPU,
      .name = "Small Graphics",
      .compute_units = 90,
      .clock_mhz = 1500,
      .unified_memory = true}},
    {"opencl:2",
     &opencl,
     2,
     false,
     {.type = KILN_DEVICE_GPU, .name = "Big Graphics", .compute_units = 60, .clock_mhz = 1500}},
};

static void expect_choice(const char *spec, int n, int chosen)
{
    struct kiln_error error = {""};
    int got;
    enum kiln_status status = kiln_device_choose(spec, n, entries, &got, &error);
    if (status || got != chosen)
        fail_msg("%s: chose %d, not %d: %s", spec, got, chosen, error.text);
}

static void devices_are_chosen_by_name(void **unused)
{
    (void)unused;
    expect_choice("cpu", 5, 0);
    expect_choice("cpu:ref", 5, 1);
    expect_choice("opencl:1", 5, 3);
    expect_choice("big graph", 5, 4);
    expect_choice("PTHREAD", 5, 2);
    expect_choice("opencl", 5, 4);
    expect_choice("", 5, 4);
    expect_choice("auto", 4, 3);
    expect_choice("auto", 3, 0); /* the native backend, not OpenCL's */
    struct kiln_error error;
    int chosen;
    assert_int_equal(kiln_device_choose("graphics", 5, entries, &chosen, &error), KILN_INPUT);
    assert_non_null(strstr(error.text, "more than one"));
    assert_non_null(strstr(error.text, "opencl:1 (Small Graphics), opencl:2"));
    assert_null(strstr(error.text, "pthread"));
    assert_int_equal(kiln_device_choose("opencl:7", 5, entries, &chosen, &error), KILN_INPUT);
    assert_non_null(strstr(error.text, "cpu:ref"));
    assert_int_equal(kiln_device_choose("auto", 0, entries, &chosen, &error), KILN_INPUT);
}

/* --- probe --------------------------------------------------------------- */

#define DEVICE_LINE                                                                                \
    "printf '%s\\n' '{\"device\":0,\"type\":1,\"name\":\"A GPU\",\"memory_bytes\":4096}'\n"
#define ENUMERATED "echo '{\"enumerated\":1}'\n"

static struct kiln_probe *probe_with(const char *script, bool fresh)
{
    static struct kiln_probe probe;
    char text[2048];
    snprintf(text, sizeof text, "#!/bin/sh\necho x >> %s/count\n[ \"$1\" = %s ] || exit 9\n%s",
             folder, KILN_PROBE_COMMAND, script);
    if (script)
        write_file(in_folder("probe"), text, strlen(text), 0700);
    setenv("KILN_PROBE_PROGRAM", in_folder("probe"), 1);
    kiln_probe_opencl(fresh, &probe);
    return &probe;
}

static void a_good_answer_is_read(void **unused)
{
    (void)unused;
    struct kiln_probe *probe = probe_with(
        "echo driver noise\n" DEVICE_LINE ENUMERATED
        "echo '{\"device\":0,\"opened\":true,\"reason\":\"\"}'\necho '{\"done\":true}'\n",
        true);
    assert_true(probe->done && probe->usable);
    assert_string_equal(probe->reason, "");
    assert_int_equal(probe->n, 1);
    assert_true(probe->devices[0].usable);
    assert_int_equal(probe->devices[0].caps.type, KILN_DEVICE_GPU);
    assert_int_equal(probe->devices[0].caps.memory_bytes, 4096);
    assert_string_equal(probe->devices[0].caps.name, "A GPU");

    probe = probe_with("echo '{\"failed\":\"no loader\"}'\nexit 1\n", true);
    assert_true(probe->done && !probe->usable);
    assert_string_equal(probe->reason, "no loader");
}

static void a_crash_is_a_reason(void **unused)
{
    (void)unused;
    struct kiln_probe *probe =
        probe_with("echo 'Option registered more than once' >&2\nkill -ABRT $$\n", true);
    assert_true(probe->done && !probe->usable);
    assert_non_null(strstr(probe->reason, "signal 6"));
    assert_non_null(strstr(probe->reason, "registered more than once"));

    /* enumerated, then dead: the device is bad, the rest is not */
    probe = probe_with(DEVICE_LINE ENUMERATED "kill -SEGV $$\n", true);
    assert_true(probe->usable);
    assert_int_equal(probe->n, 1);
    assert_false(probe->devices[0].usable);
    assert_non_null(strstr(probe->devices[0].reason, "crashed"));

    /* hostile numbers */
    probe = probe_with("echo '{\"device\":1000000000000}'\necho '{\"device\":-1,\"opened\":true}'\n"
                       "echo '{\"device\":3}'\n{ \"\n",
                       true);
    assert_false(probe->usable);
    assert_int_equal(probe->n, 0);

    setenv("KILN_PROBE_PROGRAM", "/nonexistent/kiln", 1);
    kiln_probe_opencl(true, probe);
    assert_false(probe->usable);
    assert_non_null(strstr(probe->reason, "/nonexistent/kiln"));
}

static void a_hang_is_ended(void **unused)
{
    (void)unused;
    setenv("KILN_PROBE_TIMEOUT", "0.2", 1);
    struct kiln_probe *probe = probe_with("sleep 100\n", true);
    assert_false(probe->usable);
    assert_non_null(strstr(probe->reason, "did not answer"));
    probe = probe_with("exec >/dev/null 2>&1\nsleep 100\n", true);
    assert_false(probe->usable);
    assert_non_null(strstr(probe->reason, "did not answer"));
    unsetenv("KILN_PROBE_TIMEOUT");
}

static long count_of_calls(void)
{
    struct stat info;
    return stat(in_folder("count"), &info) ? 0 : (long)info.st_size / 2;
}

static void the_answer_is_kept(void **unused)
{
    (void)unused;
    const char *script =
        DEVICE_LINE ENUMERATED "echo '{\"device\":0,\"opened\":true}'\necho '{\"done\":true}'\n";
    probe_with(script, true);
    long before = count_of_calls();
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    struct kiln_probe *probe = probe_with(NULL, false);
    clock_gettime(CLOCK_MONOTONIC, &end);
    print_message("warm probe: %.3f ms\n", 1e3 * (double)(end.tv_sec - start.tv_sec) +
                                               1e-6 * (double)(end.tv_nsec - start.tv_nsec));
    assert_int_equal(count_of_calls(), before);
    assert_true(probe->usable && probe->devices[0].usable);
    assert_string_equal(probe->devices[0].caps.name, "A GPU");
    /* another environment, another answer */
    setenv("RUSTICL_ENABLE", "test", 1);
    probe_with(NULL, false);
    assert_int_equal(count_of_calls(), before + 1);
    unsetenv("RUSTICL_ENABLE");
    /* a damaged file is no answer */
    kiln_cache_write("opencl-probe.json", "{\"key\": [", 9);
    probe = probe_with(NULL, false);
    assert_int_equal(count_of_calls(), before + 2);
    assert_true(probe->usable);
    unsetenv("KILN_PROBE_PROGRAM");
    kiln_probe_opencl(false, probe);
    assert_true(!probe->done && probe->usable);
}

/* --- cache ----------------------------------------------------------------- */

static void the_cache_is_private(void **unused)
{
    (void)unused;
    char path[4096];
    size_t size;
    assert_true(kiln_cache_write("note", "abc", 3));
    char *data = kiln_cache_read("note", 100, &size);
    assert_non_null(data);
    assert_int_equal(size, 3);
    assert_string_equal(data, "abc");
    free(data);
    assert_null(kiln_cache_read("note", 2, &size));
    assert_null(kiln_cache_read("none", 100, &size));
    assert_true(kiln_cache_dir(path, sizeof path));
    assert_int_equal(chmod(path, 0777), 0);
    assert_false(kiln_cache_dir(path, sizeof path));
    assert_false(kiln_cache_write("note", "abc", 3));
    snprintf(path, sizeof path, "%s/kiln", folder);
    assert_int_equal(chmod(path, 0700), 0);
    setenv("XDG_CACHE_HOME", "/proc/nowhere", 1);
    assert_false(kiln_cache_dir(path, sizeof path));
    assert_string_equal(path, "");
    setenv("XDG_CACHE_HOME", folder, 1);
}

/* --- how threads wait ------------------------------------------------------------ */

static void other_threads_make_a_machine_busy(void **unused)
{
    (void)unused;
    assert_false(kiln_loadavg_is_busy("0.20 0.18 0.12 1/80 11206\n", 2));
    assert_true(kiln_loadavg_is_busy("0.20 0.18 0.12 2/80 11206\n", 2));
    assert_false(kiln_loadavg_is_busy("9.00 8.00 7.00 5/3000 1\n", 64)); /* it has cores to spare */
    assert_true(kiln_loadavg_is_busy("9.00 8.00 7.00 6/3000 1\n", 64));
    assert_false(kiln_loadavg_is_busy("", 2));
    assert_false(kiln_loadavg_is_busy("0.20 0.18 0.12", 2));
}

static void the_user_says_how_threads_wait(void **unused)
{
    (void)unused;
    unsetenv("OMP_WAIT_POLICY");
    setenv("GOMP_SPINCOUNT", "77", 1);
    kiln_set_thread_waiting();
    assert_string_equal(getenv("GOMP_SPINCOUNT"), "77");
    unsetenv("GOMP_SPINCOUNT");
    setenv("OMP_WAIT_POLICY", "active", 1);
    kiln_set_thread_waiting();
    assert_null(getenv("GOMP_SPINCOUNT"));
    unsetenv("OMP_WAIT_POLICY");
    kiln_set_thread_waiting();
    assert_non_null(getenv("GOMP_SPINCOUNT"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_modules_are_refused),
        cmocka_unit_test(devices_are_chosen_by_name),
        cmocka_unit_test(a_good_answer_is_read),
        cmocka_unit_test(a_crash_is_a_reason),
        cmocka_unit_test(a_hang_is_ended),
        cmocka_unit_test(the_answer_is_kept),
        cmocka_unit_test(the_cache_is_private),
        cmocka_unit_test(other_threads_make_a_machine_busy),
        cmocka_unit_test(the_user_says_how_threads_wait),
    };
    if (!mkdtemp(folder))
        return 1;
    setenv("XDG_CACHE_HOME", folder, 1);
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    char command[300];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) || failures;
}
