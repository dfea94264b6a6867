/* Files: bounded reading, atomic writing, kills and full disks. */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/file.h"
#include "scratch.h"

static struct kiln_error error;

static void assert_content(const char *path, const char *expected)
{
    char *data;
    size_t bytes;
    assert_int_equal(kiln_file_read(path, 1 << 20, &data, &bytes, &error), KILN_OK);
    assert_int_equal(bytes, strlen(expected));
    assert_string_equal(data, expected);
    free(data);
}

static void assert_message(const char *part)
{
    if (!strstr(error.text, part))
        fail_msg("\"%s\" lacks \"%s\"", error.text, part);
}

static enum kiln_status read_status(const char *path, size_t limit)
{
    char *data;
    size_t bytes;
    enum kiln_status status = kiln_file_read(path, limit, &data, &bytes, &error);
    assert_true((data != NULL) == (status == KILN_OK));
    free(data);
    return status;
}

static void reading_accepts_files(void **unused)
{
    (void)unused;
    char *data;
    size_t bytes;
    const char *path = scratch_write("data", "a\0b", 3);
    assert_int_equal(kiln_file_read(path, 3, &data, &bytes, &error), KILN_OK);
    assert_int_equal(bytes, 3);
    assert_memory_equal(data, "a\0b\0", 4);
    free(data);
    assert_content(scratch_write("empty", "", 0), "");
}

static void reading_refuses_other_things(void **unused)
{
    (void)unused;
    assert_int_equal(read_status(scratch_write("large", "1234", 4), 3), KILN_INPUT);
    assert_message("4 bytes, at most 3");
    assert_int_equal(read_status(scratch_path("missing"), 9), KILN_INPUT);
    assert_message("missing: cannot open: No such file");
    assert_int_equal(read_status(scratch_path(""), 9), KILN_INPUT);
    assert_message("is a directory, expected a file");
    assert_int_equal(mkfifo(scratch_path("fifo"), 0600), 0);
    assert_int_equal(read_status(scratch_path("fifo"), 9), KILN_INPUT); /* and does not wait */
    assert_message("is a FIFO");
    assert_int_equal(read_status("/dev/zero", 9), KILN_INPUT);
    assert_message("is a device");
}

static void reading_beyond_the_end_fails(void **unused)
{
    (void)unused;
    const char *path = scratch_write("short", "12345", 5);
    char out[8];
    int fd;
    int64_t bytes;
    assert_int_equal(kiln_file_open(path, &fd, &bytes, &error), KILN_OK);
    assert_int_equal(bytes, 5);
    assert_int_equal(kiln_file_read_at(fd, path, out, 3, 2, &error), KILN_OK);
    assert_memory_equal(out, "345", 3);
    assert_int_equal(kiln_file_read_at(fd, path, out, 4, 2, &error), KILN_INPUT);
    assert_message("ends at byte 5, 1 bytes before");
    close(fd);
}

static void writing_creates_and_replaces(void **unused)
{
    (void)unused;
    scratch_clear();
    const char *path = scratch_path("file");
    mode_t mask = umask(027);
    assert_int_equal(kiln_file_write(path, "one", 3, &error), KILN_OK);
    umask(mask);
    assert_content(path, "one");
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
    assert_int_equal(kiln_file_write(path, "two!", 4, &error), KILN_OK);
    assert_content(path, "two!");
    assert_int_equal(kiln_file_write(path, NULL, 0, &error), KILN_OK);
    assert_content(path, "");
    assert_int_equal(scratch_count(), 1);
}

static void an_unfinished_file_is_not_seen(void **unused)
{
    (void)unused;
    scratch_clear();
    const char *path = scratch_write("file", "old", 3);
    kiln_output *output;
    assert_int_equal(kiln_output_begin(path, &output, &error), KILN_OK);
    assert_string_equal(kiln_output_path(output), path);
    fputs("new and longer", kiln_output_stream(output));
    fflush(kiln_output_stream(output));
    assert_content(path, "old");
    assert_int_equal(scratch_count(), 2);
    kiln_output_abort(&output);
    assert_null(output);
    kiln_output_abort(&output);
    assert_content(path, "old");
    assert_int_equal(scratch_count(), 1);
}

static void a_link_stays_a_link(void **unused)
{
    (void)unused;
    scratch_clear();
    scratch_write("target", "old", 3);
    assert_int_equal(symlink("target", scratch_path("link")), 0);
    assert_int_equal(kiln_file_write(scratch_path("link"), "new", 3, &error), KILN_OK);
    struct stat info;
    assert_int_equal(lstat(scratch_path("link"), &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_content(scratch_path("target"), "new");
    assert_int_equal(scratch_count(), 2);
}

static void places_that_cannot_be_written(void **unused)
{
    (void)unused;
    scratch_clear();
    assert_int_equal(kiln_file_write(scratch_path("no/such"), "x", 1, &error), KILN_INPUT);
    assert_message("no/such: cannot write: No such file or directory");
    scratch_write("plain", "x", 1);
    assert_int_equal(kiln_file_write(scratch_path("plain/x"), "x", 1, &error), KILN_INPUT);
    assert_int_equal(kiln_file_write(scratch_path(""), "x", 1, &error), KILN_INPUT);
    assert_message("Is a directory");
    assert_int_equal(kiln_file_write("", "x", 1, &error), KILN_INPUT);
    assert_int_equal(scratch_count(), 1);
}

static void a_device_is_written_directly(void **unused)
{
    (void)unused;
    assert_int_equal(kiln_file_write("/dev/null", "x", 1, &error), KILN_OK);
    struct stat info;
    assert_int_equal(stat("/dev/null", &info), 0);
    assert_true(S_ISCHR(info.st_mode));
    if (stat("/dev/full", &info) || !S_ISCHR(info.st_mode))
        skip();
    assert_int_equal(kiln_file_write("/dev/full", "x", 1, &error), KILN_MACHINE);
    assert_message("/dev/full: cannot write: No space left on device");
    assert_int_equal(stat("/dev/full", &info), 0);
    assert_true(S_ISCHR(info.st_mode));
}

/* A limit of file size acts as a full disk does. */
static void a_full_disk_leaves_the_old_file(void **unused)
{
    (void)unused;
    scratch_clear();
    const char *path = scratch_write("file", "old", 3);
    static char large[100000];
    struct rlimit old, tight;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    tight = old;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    const rlim_t sizes[] = {0, 1, 50000, 99999};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        tight.rlim_cur = sizes[i];
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
        enum kiln_status status = kiln_file_write(path, large, sizeof large, &error);
        setrlimit(RLIMIT_FSIZE, &old);
        assert_int_equal(status, KILN_MACHINE);
        assert_message("file: cannot write: File too large");
        assert_content(path, "old");
        assert_int_equal(scratch_count(), 1);
    }
    signal(SIGXFSZ, handler);
}

static void only_dead_writers_are_cleaned_up(void **unused)
{
    (void)unused;
    scratch_clear();
    const char *path = scratch_path("file");
    scratch_write(".file.kiln-99999-0", "stale", 5);
    scratch_write(".other.kiln-99999-0", "of another file", 15);
    kiln_output *first, *second;
    assert_int_equal(kiln_output_begin(path, &first, &error), KILN_OK);
    assert_int_equal(kiln_output_begin(path, &second, &error), KILN_OK);
    assert_int_equal(scratch_count(), 3);
    fputs("first", kiln_output_stream(first));
    fputs("second", kiln_output_stream(second));
    assert_int_equal(kiln_output_commit(&second, &error), KILN_OK);
    assert_content(path, "second");
    assert_int_equal(kiln_output_commit(&first, &error), KILN_OK);
    assert_content(path, "first");
    assert_int_equal(scratch_count(), 2);
}

static void a_long_name_can_be_written(void **unused)
{
    (void)unused;
    scratch_clear();
    char name[256];
    memset(name, 'n', 255);
    name[255] = '\0';
    assert_int_equal(kiln_file_write(scratch_path(name), "x", 1, &error), KILN_OK);
    assert_content(scratch_path(name), "x");
}

enum { KILLED_BYTES = 300000, KILLS = 60 };

/* Writes files of one letter until killed. */
static void write_for_ever(const char *path)
{
    static char data[KILLED_BYTES];
    for (int i = 0;; i++) {
        memset(data, 'a' + i % 26, sizeof data);
        if (kiln_file_write(path, data, sizeof data, NULL))
            _exit(1);
    }
}

static void a_kill_leaves_the_old_or_the_new_file(void **unused)
{
    (void)unused;
    scratch_clear();
    char path[512];
    snprintf(path, sizeof path, "%s", scratch_path("file"));
    static char start[KILLED_BYTES];
    memset(start, 'a', sizeof start);
    assert_int_equal(kiln_file_write(path, start, sizeof start, &error), KILN_OK);
    uint32_t random = 12345;
    for (int i = 0; i < KILLS; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            write_for_ever(path);
        random = random * 1664525u + 1013904223u;
        nanosleep(&(struct timespec){0, 200000 + (long)(random >> 8) % 8000000}, NULL);
        kill(child, SIGKILL);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        char *data;
        size_t bytes;
        assert_int_equal(kiln_file_read(path, KILLED_BYTES, &data, &bytes, &error), KILN_OK);
        assert_int_equal(bytes, KILLED_BYTES);
        for (size_t k = 1; k < bytes; k++)
            assert_int_equal(data[k], data[0]);
        free(data);
    }
    assert_int_equal(kiln_file_write(path, "x", 1, &error), KILN_OK);
    assert_int_equal(scratch_count(), 1);
}

static void directories(void **unused)
{
    (void)unused;
    scratch_clear();
    assert_int_equal(kiln_directory_create(scratch_path("a/b//c/"), &error), KILN_OK);
    assert_int_equal(kiln_directory_create(scratch_path("a/b/c"), &error), KILN_OK);
    assert_true(kiln_directory_exists(scratch_path("a/b/c")));
    assert_int_equal(kiln_directory_check_writable(scratch_path("a/b/c"), &error), KILN_OK);
    assert_int_equal(rmdir(scratch_path("a/b/c")), 0); /* the probe is gone */
    scratch_write("plain", "x", 1);
    assert_true(kiln_file_exists(scratch_path("plain")));
    assert_false(kiln_directory_exists(scratch_path("plain")));
    assert_int_equal(kiln_directory_create(scratch_path("plain"), &error), KILN_INPUT);
    assert_message("plain: cannot create directory: Not a directory");
    assert_int_equal(kiln_directory_create(scratch_path("plain/x"), &error), KILN_INPUT);
    assert_int_equal(kiln_directory_check_writable(scratch_path("plain"), &error), KILN_INPUT);
    assert_int_equal(kiln_directory_check_writable(scratch_path("none"), &error), KILN_INPUT);
}

static void a_lock_excludes(void **unused)
{
    (void)unused;
    int first, second;
    assert_int_equal(kiln_file_lock(scratch_path("lock"), &first, &error), KILN_OK);
    assert_int_equal(kiln_file_lock(scratch_path("lock"), &second, &error), KILN_INPUT);
    assert_message("in use by another process");
    assert_int_equal(second, -1);
    kiln_file_unlock(&second);
    kiln_file_unlock(&first);
    assert_int_equal(kiln_file_lock(scratch_path("lock"), &second, &error), KILN_OK);
    kiln_file_unlock(&second);
}

static void assert_path(char *path, const char *expected)
{
    assert_string_equal(path, expected);
    free(path);
}

static void paths(void **unused)
{
    (void)unused;
    assert_path(kiln_path_join("a", "b"), "a/b");
    assert_path(kiln_path_join("a/", "b"), "a/b");
    assert_path(kiln_path_join("", "b"), "b");
    assert_path(kiln_path_join(NULL, "b"), "b");
    assert_path(kiln_path_join("a", "/b"), "/b");
    assert_path(kiln_path_directory("a/b/c"), "a/b");
    assert_path(kiln_path_directory("c"), ".");
    assert_path(kiln_path_directory("/c"), "/");
    assert_string_equal(kiln_path_name("a/b"), "b");
    assert_string_equal(kiln_path_name("b"), "b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading_accepts_files),
        cmocka_unit_test(reading_refuses_other_things),
        cmocka_unit_test(reading_beyond_the_end_fails),
        cmocka_unit_test(writing_creates_and_replaces),
        cmocka_unit_test(an_unfinished_file_is_not_seen),
        cmocka_unit_test(a_link_stays_a_link),
        cmocka_unit_test(places_that_cannot_be_written),
        cmocka_unit_test(a_device_is_written_directly),
        cmocka_unit_test(a_full_disk_leaves_the_old_file),
        cmocka_unit_test(only_dead_writers_are_cleaned_up),
        cmocka_unit_test(a_long_name_can_be_written),
        cmocka_unit_test(a_kill_leaves_the_old_or_the_new_file),
        cmocka_unit_test(directories),
        cmocka_unit_test(a_lock_excludes),
        cmocka_unit_test(paths),
    };
    return cmocka_run_group_tests(tests, scratch_create, scratch_destroy);
}
