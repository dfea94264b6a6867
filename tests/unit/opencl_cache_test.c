/*
 * Program binaries on disk: written, used, and rebuilt when they are damaged.
 * PoCL keeps its own, so the test takes the simulator's driver if it is there.
 */
#define _XOPEN_SOURCE 700
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "opencl_lab.h"

static const char simulator[] = "/usr/lib/oclgrind/liboclgrind-rt-icd.so";
static char folder[] = "/tmp/kiln-clbin-XXXXXX";

/* y = x + x over a few elements; true if the device did it rightly. */
static bool device_works(bool cache)
{
    struct kiln_device_options options = {.kernel_cache = cache, .cache_dir = folder};
    struct lab lab = lab_open_with(0, "", &options);
    struct kiln_access access[2] = {{.stride = {1}}, {.stride = {1}, .store = true}};
    struct kiln_instruction program[3] = {
        {.op = KILN_INSTRUCTION_LOAD, .section = 1, .a = -1, .b = -1, .c = -1},
        {.op = KILN_OP_ADD, .section = 1, .a = 0, .b = 0, .c = -1, .access = -1},
        {.op = KILN_INSTRUCTION_STORE, .section = 1, .a = 1, .b = -1, .c = -1, .access = 1}};
    struct kiln_step step = {.kind = KILN_STEP_LOOP, .label = "double"};
    step.as.loop = (struct kiln_loop){.n_dims = 1,
                                      .extent = {40},
                                      .n_accesses = 2,
                                      .accesses = access,
                                      .n_instructions = 3,
                                      .instructions = program};
    access[0].place = lab_put(&lab, KILN_F32, 40, 0);
    access[1].place = lab_put(&lab, KILN_F32, 40, 0);
    lab_check(&lab, &step, "double", 0, 0);
    lab_close(&lab);
    return true;
}

/* Calls visit for each binary; returns their number. */
static int for_each(void (*visit)(const char *path))
{
    DIR *open = opendir(folder);
    assert_non_null(open);
    int n = 0;
    for (struct dirent *entry; (entry = readdir(open));) {
        char path[512];
        if (!strstr(entry->d_name, ".clbin"))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (visit)
            visit(path);
        n++;
    }
    closedir(open);
    return n;
}

static void flip_a_byte(const char *path)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, -100, SEEK_END), 0);
    int byte = fgetc(file);
    assert_int_equal(fseek(file, -100, SEEK_END), 0);
    assert_int_not_equal(fputc(byte ^ 0x55, file), EOF);
    assert_int_equal(fclose(file), 0);
}

static void cut(const char *path)
{
    assert_int_equal(truncate(path, 50), 0);
}

static void empty(const char *path)
{
    assert_int_equal(truncate(path, 0), 0);
}

static void make_old(const char *path)
{
    struct timespec times[2] = {{1000, 0}, {1000, 0}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static int n_old;

static void count_old(const char *path)
{
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    n_old += info.st_mtime == 1000;
}

static void binaries_are_kept_and_checked(void **unused)
{
    (void)unused;
    assert_true(device_works(false));
    assert_int_equal(for_each(NULL), 0);
    assert_true(device_works(true));
    int n = for_each(make_old);
    if (n == 0) /* the driver caches by itself */
        skip();
    assert_true(device_works(true));
    assert_int_equal(for_each(count_old), n);
    assert_int_equal(n_old, n); /* used, not written again */
    void (*const damages[])(const char *) = {flip_a_byte, cut, empty};
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        for_each(damages[i]);
        for_each(make_old);
        assert_true(device_works(true));
        n_old = 0;
        assert_int_equal(for_each(count_old), n);
        assert_int_equal(n_old, 0); /* written again */
    }
}

static void discard(const char *path)
{
    unlink(path);
}

int main(void)
{
    if (access(simulator, R_OK) == 0)
        setenv("OCL_ICD_VENDORS", simulator, 1);
    if (lab_devices() == 0 || !mkdtemp(folder))
        return 77;
    const struct CMUnitTest tests[] = {cmocka_unit_test(binaries_are_kept_and_checked)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for_each(discard);
    rmdir(folder);
    return failed;
}
