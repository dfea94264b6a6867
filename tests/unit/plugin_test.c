/* Loading plugins: good ones, and one line for each kind of bad one. */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/file.h"
#include "core/base/module.h"
#include "core/run/plugin.h"

static struct kiln_error error;
static char folder[] = "/tmp/kiln-plugin-XXXXXX";

static const char *in_folder(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void expect_contains(const char *part)
{
    if (!strstr(error.text, part))
        fail_msg("\"%s\" does not contain \"%s\"", error.text, part);
}

static void a_good_plugin_loads(void **unused)
{
    (void)unused;
    kiln_plugin *plugin;
    if (kiln_plugin_open("good", FAKE_PLUGINS, &plugin, &error))
        fail_msg("%s", error.text);
    const struct kiln_model *model = kiln_plugin_model(plugin);
    assert_string_equal(model->name, "good");
    assert_string_equal(model->reference, "nothing");
    assert_null(model->samplers);
    assert_string_equal(kiln_plugin_path(plugin), FAKE_PLUGINS "/good.so");
    kiln_plugin_close(&plugin);
    assert_null(plugin);
    kiln_plugin_close(&plugin);
}

/* Fields beyond the size that the plugin says read as NULL. */
static void an_older_plugin_loads(void **unused)
{
    (void)unused;
    kiln_plugin *plugin;
    if (kiln_plugin_open("old", FAKE_PLUGINS, &plugin, &error))
        fail_msg("%s", error.text);
    assert_null(kiln_plugin_model(plugin)->reference);
    assert_int_equal(kiln_plugin_model(plugin)->size, sizeof(struct kiln_model));
    kiln_plugin_close(&plugin);
}

static void bad_plugins_are_refused(void **unused)
{
    (void)unused;
    static const char *const rows[][2] = {
        {"tiny", "/tiny.so: its table has only 16 bytes"},
        {"abi2", "/abi2.so: built for version 2 of the plugin interface, this program has 1"},
        {"other", "/other.so: it calls itself good, not other"},
        {"no_symbol", "/no_symbol.so: no symbol kiln_model_entry"},
        {"no_table", "/no_table.so: kiln_model_entry gives no table"},
        {"no_create", "/no_create.so: its table lacks create or destroy"},
        {"bad_default", "plugin bad_default: [network] width: default: expected a whole number in "
                        "1..9, got \"77\""},
        {"undefined", "/undefined.so: undefined symbol: kiln_no_such_function"},
        {"", "\"\" is no plugin's name"},
        {"../good", "\"../good\" is no plugin's name"},
        {"a/b", "is no plugin's name"},
        {".", "is no plugin's name"},
        {"good.so", "is no plugin's name"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "is no plugin's name"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        kiln_plugin *plugin;
        assert_int_equal(kiln_plugin_open(rows[i][0], FAKE_PLUGINS, &plugin, &error), KILN_INPUT);
        assert_null(plugin);
        expect_contains(rows[i][1]);
    }
}

static void files_that_are_no_modules_are_refused(void **unused)
{
    (void)unused;
    char *good;
    size_t n;
    assert_int_equal(kiln_file_read(FAKE_PLUGINS "/good.so", 1 << 24, &good, &n, &error), KILN_OK);
    static const char text[] = "#!/bin/sh\necho hello, this is a text file of some length\n"
                               "and a second line that makes it longer than an ELF header\n";
    char *foreign = malloc(n);
    assert_non_null(foreign);
    memcpy(foreign, good, n);
    foreign[18] = 0x28; /* e_machine: 32-bit ARM */
    foreign[19] = 0;
    const struct {
        const char *name, *data;
        size_t bytes;
        const char *message;
    } rows[] = {
        {"text", text, sizeof text, "/text.so: not a shared module"},
        {"empty", "", 0, "/empty.so: not a shared module"},
        {"header", good, 40, "/header.so: not a shared module"},
        {"half", good, n / 2, "/half.so: a truncated module"},
        {"short", good, n - 1, "/short.so: a truncated module"},
        {"arm", foreign, n, "/arm.so: a module for another machine"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s.so", rows[i].name);
        FILE *file = fopen(in_folder(name), "wb");
        assert_non_null(file);
        assert_int_equal(fwrite(rows[i].data, 1, rows[i].bytes, file), rows[i].bytes);
        assert_int_equal(fclose(file), 0);
        kiln_plugin *plugin;
        assert_int_equal(kiln_plugin_open(rows[i].name, folder, &plugin, &error), KILN_INPUT);
        expect_contains(rows[i].message);
    }
    free(foreign);
    free(good);
    kiln_plugin *plugin;
    assert_int_equal(mkdir(in_folder("dir.so"), 0700), 0);
    assert_int_equal(kiln_plugin_open("dir", folder, &plugin, &error), KILN_INPUT);
    expect_contains("/dir.so: is a directory");
    assert_int_equal(mkfifo(in_folder("fifo.so"), 0600), 0);
    assert_int_equal(kiln_plugin_open("fifo", folder, &plugin, &error), KILN_INPUT);
    expect_contains("/fifo.so: not a regular file");
}

static void a_bare_name_is_never_searched(void **unused)
{
    (void)unused;
    assert_int_equal(chdir(FAKE_PLUGINS), 0);
    assert_null(kiln_module_open("good.so", "kiln_model_entry", &error));
    assert_string_equal(error.text, "good.so: a module's path needs a directory");
    kiln_plugin *plugin;
    assert_int_equal(kiln_plugin_open("good", NULL, &plugin, &error), KILN_INPUT);
    assert_non_null(kiln_module_open("./good.so", "kiln_model_entry", &error));
}

static void a_missing_plugin_names_every_path(void **unused)
{
    (void)unused;
    kiln_plugin *plugin;
    setenv("KILN_PLUGIN_PATH", "/nonexistent/one::/nonexistent/two", 1);
    assert_int_equal(kiln_plugin_open("nothing", folder, &plugin, &error), KILN_INPUT);
    unsetenv("KILN_PLUGIN_PATH");
    expect_contains("no plugin nothing; tried /tmp/kiln-plugin-");
    expect_contains("/nothing.so, /nonexistent/one/nothing.so, /nonexistent/two/nothing.so, ");
    expect_contains("/models/nothing/nothing.so, ");
    expect_contains("/kiln/models/nothing.so");
}

static void the_search_path_has_an_order(void **unused)
{
    (void)unused;
    kiln_plugin *plugin;
    setenv("KILN_PLUGIN_PATH", FAKE_PLUGINS, 1);
    assert_int_equal(kiln_plugin_open("good", NULL, &plugin, &error), KILN_OK);
    kiln_plugin_close(&plugin);
    /* a broken file that comes first counts: no other is loaded in its place */
    FILE *file = fopen(in_folder("good.so"), "w");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(kiln_plugin_open("good", folder, &plugin, &error), KILN_INPUT);
    expect_contains(folder);
    unsetenv("KILN_PLUGIN_PATH");
}

static void listing_survives_bad_plugins(void **unused)
{
    (void)unused;
    size_t n;
    struct kiln_plugin_entry *entries;
    int good = 0, aborts = 0, exits = 0;
    assert_int_equal(kiln_plugin_list(FAKE_PLUGINS, &n, &entries, &error), KILN_OK);
    for (size_t i = 0; i < n; i++) {
        kiln_plugin *plugin;
        enum kiln_status status = kiln_plugin_open_entry(&entries[i], &plugin, &error);
        if (i)
            assert_true(strcmp(entries[i - 1].name, entries[i].name) < 0);
        if (strcmp(entries[i].name, "good") == 0) {
            assert_int_equal(status, KILN_OK);
            good++;
        } else if (strcmp(entries[i].name, "aborts") == 0) {
            assert_int_equal(status, KILN_INPUT);
            expect_contains("/aborts.so: crashes when it is loaded (signal 6)");
            aborts++;
        } else if (strcmp(entries[i].name, "exits") == 0) {
            assert_int_equal(status, KILN_INPUT);
            expect_contains("/exits.so: ends the program when it is loaded");
            exits++;
        }
        kiln_plugin_close(&plugin);
    }
    assert_true(good == 1 && aborts == 1 && exits == 1);
    kiln_plugin_list_free(n, entries);
}

static int make_folder(void **unused)
{
    (void)unused;
    unsetenv("KILN_PLUGIN_PATH");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **unused)
{
    (void)unused;
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_plugin_loads),
        cmocka_unit_test(an_older_plugin_loads),
        cmocka_unit_test(bad_plugins_are_refused),
        cmocka_unit_test(files_that_are_no_modules_are_refused),
        cmocka_unit_test(a_missing_plugin_names_every_path),
        cmocka_unit_test(the_search_path_has_an_order),
        cmocka_unit_test(listing_survives_bad_plugins),
        cmocka_unit_test(a_bare_name_is_never_searched), /* leaves the directory */
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
