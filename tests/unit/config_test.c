/* Configurations: includes, overrides, schema, values, and one line for every
 * mistake. */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include <locale.h>
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
#include <jansson.h>

#include "core/base/json.h"
#include "core/run/config.h"
#include "core/run/ini.h"
#include "core/run/schema.h"

static const struct kiln_option toy_options[] = {
    {"network", "arch", KILN_OPTION_CHOICE, "mlp", 0, 0, "mlp|conv", "architecture"},
    {"network", "channels", KILN_OPTION_INTS, "32, 64", 1, 4096, NULL, "channels by level"},
    {"network", "beta", KILN_OPTION_FLOAT, "1", 0, 100, NULL, "weight of the KL term"},
    {"network", "bias", KILN_OPTION_BOOL, "yes", 0, 0, NULL, "add a bias"},
    {"train", "learning_rate", KILN_OPTION_FLOAT, "2e-4", 0, 1, NULL, "of the toy"},
    {"noise", "levels", KILN_OPTION_INT, "-3", -10, 10, NULL, "levels"},
    {0}};
static const struct kiln_model toy = {.name = "toy", .options = toy_options};

static struct kiln_error error;

static kiln_config *load(const char *text, int n, const struct kiln_config_override *overrides)
{
    kiln_config *config;
    struct kiln_config_source source = {.path = "dir/c.ini",
                                        .text = text,
                                        .text_bytes = text ? strlen(text) : 0,
                                        .n_overrides = n,
                                        .overrides = overrides,
                                        .model = &toy};
    enum kiln_status status = kiln_config_load(&source, &config, &error);
    assert_int_equal(status, config ? KILN_OK : KILN_INPUT);
    return config;
}

static void expect_error(const char *text, const char *message)
{
    kiln_config *config = load(text, 0, NULL);
    if (config)
        fail_msg("accepted: %s", text);
    assert_string_equal(error.text, message);
}

static void expect_override_error(const char *assignment, const char *message)
{
    struct kiln_config_override override = {"--set", assignment};
    kiln_config *config = load("", 1, &override);
    if (config)
        fail_msg("accepted: %s", assignment);
    assert_string_equal(error.text, message);
}

static void defaults_are_the_plugins_then_the_cores(void **unused)
{
    (void)unused;
    kiln_config *config = load("", 0, NULL);
    assert_non_null(config);
    double list[2];
    assert_int_equal(kiln_config_int(config, "train", "batch_size"), 128);
    assert_true(kiln_config_float(config, "train", "learning_rate") == 2e-4);
    assert_string_equal(kiln_config_string(config, "network", "arch"), "mlp");
    assert_string_equal(kiln_config_string(config, "model", "plugin"), "toy");
    assert_true(kiln_config_bool(config, "network", "bias"));
    assert_int_equal(kiln_config_int(config, "noise", "levels"), -3);
    assert_int_equal(kiln_config_list(config, "network", "channels", 2, list), 2);
    assert_true(list[0] == 32 && list[1] == 64);
    assert_int_equal(kiln_config_list(config, "network", "channels", 1, list), 2);
    assert_false(kiln_config_given(config, "train", "batch_size"));
    assert_string_equal(kiln_config_origin(config, "train", "batch_size"), "default");
    assert_string_equal(kiln_config_name(config), "c");
    /* undeclared keys */
    assert_int_equal(kiln_config_int(config, "train", "nothing"), 0);
    assert_string_equal(kiln_config_string(config, "no", "nothing"), "");
    assert_int_equal(kiln_config_list(config, "no", "nothing", 2, list), 0);
    assert_null(kiln_config_text(config, "no", "nothing"));
    kiln_config_destroy(&config);
    assert_null(config);
}

static void the_last_override_wins(void **unused)
{
    (void)unused;
    static const struct kiln_config_override overrides[] = {{"--set", "train.batch_size=7"},
                                                            {"--set", "network.channels=1,2 , 3"},
                                                            {"--batch", "train.batch_size=8"},
                                                            {"--set", "data.folder=a=b.c"}};
    kiln_config *config = load("[train]\nbatch_size = 5\nema_decay = .5\n", 4, overrides);
    assert_non_null(config);
    assert_int_equal(kiln_config_int(config, "train", "batch_size"), 8);
    assert_string_equal(kiln_config_origin(config, "train", "batch_size"), "--batch");
    assert_string_equal(kiln_config_origin(config, "train", "ema_decay"), "dir/c.ini:3");
    assert_true(kiln_config_given(config, "train", "ema_decay"));
    assert_true(kiln_config_float(config, "train", "ema_decay") == 0.5);
    assert_string_equal(kiln_config_string(config, "data", "folder"), "a=b.c");
    double list[3] = {0};
    assert_int_equal(kiln_config_list(config, "network", "channels", 3, list), 3);
    assert_true(list[2] == 3);
    assert_int_equal(kiln_config_fail(config, "train", "ema_decay", &error, "too %s", "small"),
                     KILN_INPUT);
    assert_string_equal(error.text, "dir/c.ini:3: [train] ema_decay: too small");
    kiln_config_destroy(&config);
}

static void mistakes_are_one_line(void **unused)
{
    (void)unused;
    static const char *const rows[][2] = {
        {"[train]\n\nbatch_sise = 3\n",
         "dir/c.ini:3: [train] batch_sise: unknown key (did you mean batch_size?)"},
        {"[trian]\nsteps = 3\n",
         "dir/c.ini:2: [trian] steps: unknown section (did you mean [train]?)"},
        {"[network]\nbatch_size = 3\n",
         "dir/c.ini:2: [network] batch_size: unknown key (did you mean [train] batch_size?)"},
        {"[train]\nxyzzy = 3\n", "dir/c.ini:2: [train] xyzzy: unknown key"},
        {"[zzzzzzzz]\nxyzzy = 3\n", "dir/c.ini:2: [zzzzzzzz] xyzzy: unknown section"},
        {"[train]\nbatch_size = 3\nbatch_size = 4\n",
         "dir/c.ini:3: [train] batch_size: duplicate key (the first is in line 2)"},
        {"batch_size = 3\n", "dir/c.ini:1: batch_size: a key before the first [section]"},
        {"include = x.ini\n", "dir/c.ini:1: include: only a file can include"},
        {"[train]\nbatch_size = many\n",
         "dir/c.ini:2: [train] batch_size: expected a whole number in 1..1048576, got \"many\""},
        {"[train]\nbatch_size = 1.5\n",
         "dir/c.ini:2: [train] batch_size: expected a whole number in 1..1048576, got \"1.5\""},
        {"[train]\nbatch_size =\n",
         "dir/c.ini:2: [train] batch_size: expected a whole number in 1..1048576, got \"\""},
        {"[train]\nbatch_size = 0x10\n",
         "dir/c.ini:2: [train] batch_size: expected a whole number in 1..1048576, got \"0x10\""},
        {"[train]\nbatch_size = 0\n",
         "dir/c.ini:2: [train] batch_size: expected a whole number in 1..1048576, got \"0\""},
        {"[train]\nbatch_size = 2147483648\n",
         "dir/c.ini:2: [train] batch_size: expected a whole number in 1..1048576, got "
         "\"2147483648\""},
        {"[run]\nseed = 99999999999999999999\n",
         "dir/c.ini:2: [run] seed: expected a whole number in 0..9007199254740991, got "
         "\"99999999999999999999\""},
        {"[network]\nbeta = 1e999\n",
         "dir/c.ini:2: [network] beta: expected a number in 0..100, got \"1e999\""},
        {"[network]\nbeta = nan\n",
         "dir/c.ini:2: [network] beta: expected a number in 0..100, got \"nan\""},
        {"[network]\nbeta = 0x1p3\n",
         "dir/c.ini:2: [network] beta: expected a number in 0..100, got \"0x1p3\""},
        {"[network]\nbeta = 0,5\n",
         "dir/c.ini:2: [network] beta: expected a number in 0..100, got \"0,5\""},
        {"[network]\nbeta = 1 2\n",
         "dir/c.ini:2: [network] beta: expected a number in 0..100, got \"1 2\""},
        {"[network]\nbeta = -0.1\n",
         "dir/c.ini:2: [network] beta: expected a number in 0..100, got \"-0.1\""},
        {"[network]\nbeta = .\n",
         "dir/c.ini:2: [network] beta: expected a number in 0..100, got \".\""},
        {"[network]\nbeta = 1e\n",
         "dir/c.ini:2: [network] beta: expected a number in 0..100, got \"1e\""},
        {"[train]\ngrad_clip = -1\n",
         "dir/c.ini:2: [train] grad_clip: expected a number >= 0, got \"-1\""},
        {"[network]\nbias = maybe\n",
         "dir/c.ini:2: [network] bias: expected true or false, got \"maybe\""},
        {"[network]\narch = ml\n",
         "dir/c.ini:2: [network] arch: expected one of mlp, conv, got \"ml\""},
        {"[network]\narch = mlp|conv\n",
         "dir/c.ini:2: [network] arch: expected one of mlp, conv, got \"mlp|conv\""},
        {"[network]\narch =\n", "dir/c.ini:2: [network] arch: expected one of mlp, conv, got \"\""},
        {"[network]\nchannels = 1,,2\n",
         "dir/c.ini:2: [network] channels: expected a comma-separated list, each a whole number in "
         "1..4096, got \"1,,2\""},
        {"[network]\nchannels = 1,\n",
         "dir/c.ini:2: [network] channels: expected a comma-separated list, each a whole number in "
         "1..4096, got \"1,\""},
        {"[network]\nchannels = 1, 0\n",
         "dir/c.ini:2: [network] channels: expected a comma-separated list, each a whole number in "
         "1..4096, got \"1, 0\""},
        {"[train]\nbetas = 0.9\n", "dir/c.ini:2: [train] betas: expected two numbers, got \"0.9\""},
        {"[train]\nsteps = 5\nepochs = 2\n",
         "dir/c.ini:2: [train] steps: epochs is given too (dir/c.ini:3); one of the two must go"},
        {"[train]\nepochs = 0\n", "default: [train] steps: steps and epochs are both 0"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_error(rows[i][0], rows[i][1]);
    expect_override_error("train", "--set: expected section.key=value, got \"train\"");
    expect_override_error("train=1.5", "--set: expected section.key=value, got \"train=1.5\"");
    expect_override_error(".x=1", "--set: expected section.key=value, got \".x=1\"");
    expect_override_error("train.a b=1", "--set: expected section.key=value, got \"train.a b=1\"");
    expect_override_error("train.step=1", "--set: [train] step: unknown key (did you mean steps?)");
    expect_override_error("data.folder=a ;b", "--set: [data] folder: a value has at most 198 bytes "
                                              "with its key, no comment and no blanks at its ends");
    expect_override_error("data.folder=a\nb", "--set: [data] folder: a value has at most 198 bytes "
                                              "with its key, no comment and no blanks at its ends");
}

static void too_many_keys_are_refused(void **unused)
{
    (void)unused;
    struct kiln_text text = {0};
    kiln_text_append(&text, "[train]\n");
    for (int i = 0; i < 5000; i++)
        kiln_text_append(&text, "k%d=\n", i);
    expect_error(text.data, "dir/c.ini:4098: more than 4096 keys");
    kiln_text_finish(&text);
}

/* The stronger of steps and epochs counts, whatever the weaker one says. */
static void the_stronger_length_counts(void **unused)
{
    (void)unused;
    struct kiln_config_override epochs = {"--set", "train.epochs=3"};
    kiln_config *config = load("[train]\nsteps = 5\n", 0, NULL);
    assert_non_null(config);
    assert_int_equal(kiln_config_int(config, "train", "steps"), 5);
    assert_int_equal(kiln_config_int(config, "train", "epochs"), 0);
    kiln_config_destroy(&config);
    config = load("[train]\nsteps = 5\n", 1, &epochs);
    assert_non_null(config);
    assert_int_equal(kiln_config_int(config, "train", "steps"), 0);
    assert_string_equal(kiln_config_text(config, "train", "steps"), "0");
    assert_int_equal(kiln_config_int(config, "train", "epochs"), 3);
    kiln_config_destroy(&config);
}

/* --- files ------------------------------------------------------------------------ */

static char folder[] = "/tmp/kiln-config-XXXXXX";

static const char *write_file(const char *name, const char *text)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    return path;
}

static kiln_config *load_file(const char *path)
{
    kiln_config *config;
    struct kiln_config_source source = {.path = path, .model = &toy};
    enum kiln_status status = kiln_config_load(&source, &config, &error);
    assert_int_equal(status, config ? KILN_OK : KILN_INPUT);
    return config;
}

static void expect_file_error(const char *path, const char *ending)
{
    assert_null(load_file(path));
    size_t n = strlen(error.text), e = strlen(ending);
    if (n < e || strcmp(error.text + n - e, ending) != 0)
        fail_msg("\"%s\" does not end with \"%s\"", error.text, ending);
}

static void files_include_files(void **unused)
{
    (void)unused;
    write_file("base.ini", "[train]\nbatch_size = 3\nema_decay = 0.25\n");
    char sub[64];
    snprintf(sub, sizeof sub, "%s/sub", folder);
    mkdir(sub, 0700);
    write_file("sub/middle.ini", "include = ../base.ini\n[train]\nbatch_size = 4\n");
    kiln_config *config =
        load_file(write_file("top.ini", "include = sub/middle.ini\n[network]\nbeta = 2\n"));
    assert_non_null(config);
    assert_int_equal(kiln_config_int(config, "train", "batch_size"), 4);
    assert_true(kiln_config_float(config, "train", "ema_decay") == 0.25);
    assert_non_null(strstr(kiln_config_origin(config, "train", "ema_decay"), "base.ini:3"));
    assert_string_equal(kiln_config_name(config), "top");
    kiln_config_destroy(&config);

    expect_file_error(write_file("self.ini", "include = self.ini\n"), "/self.ini includes itself");
    write_file("b.ini", "include = ./a.ini\n");
    expect_file_error(write_file("a.ini", "include = b.ini\n"), "./a.ini includes itself");
    expect_file_error(write_file("none.ini", "\ninclude = nowhere.ini\n"),
                      "nowhere.ini: cannot open: No such file or directory");
    assert_non_null(strstr(error.text, "none.ini:2: include: "));
    expect_file_error(write_file("empty.ini", "include =\n"),
                      ":1: include: expected a file's name");
    expect_file_error(write_file("twice.ini", "include = base.ini\ninclude = base.ini\n"),
                      "twice.ini:2: include: duplicate key");
    expect_file_error(
        write_file("late.ini", "[train]\ninclude = base.ini\n"),
        ":2: [train] include: unknown key (an include stands before the first [section])");
    write_file("wrong.ini", "[train]\nbatch_size = x\n");
    expect_file_error(write_file("outer.ini", "include = wrong.ini\n"), "got \"x\"");
    assert_non_null(strstr(error.text, "/wrong.ini:2: [train] batch_size"));
    for (int i = 0; i < 20; i++) {
        char name[32], text[64];
        snprintf(name, sizeof name, "deep%d.ini", i);
        snprintf(text, sizeof text, i < 19 ? "include = deep%d.ini\n" : "", i + 1);
        write_file(name, text);
    }
    snprintf(sub, sizeof sub, "%s/deep0.ini", folder);
    expect_file_error(sub, "deep16.ini:1: include: more than 16 files deep");
    snprintf(sub, sizeof sub, "%s/deep4.ini", folder);
    config = load_file(sub);
    assert_non_null(config);
    kiln_config_destroy(&config);
}

static void odd_files_are_refused(void **unused)
{
    (void)unused;
    assert_null(load_file(folder));
    char path[64];
    snprintf(path, sizeof path, "%s/fifo", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_null(load_file(path));
    snprintf(path, sizeof path, "%s/large.ini", folder);
    write_file("large.ini", "");
    assert_int_equal(truncate(path, (off_t)1 << 30), 0);
    assert_null(load_file(path));
    assert_null(load_file("/nonexistent/c.ini"));
    kiln_config *config = load_file(write_file("nothing.ini", ""));
    assert_non_null(config); /* all defaults */
    kiln_config_destroy(&config);
    struct kiln_config_source source = {.path = path};
    write_file("large.ini", "");
    assert_int_equal(kiln_config_load(&source, &config, &error), KILN_INPUT);
    assert_non_null(strstr(error.text, "large.ini: [model] plugin: not given"));
}

/* --- writing ------------------------------------------------------------------------ */

static void written_text_reads_back(void **unused)
{
    (void)unused;
    for (int help = 0; help < 2; help++) {
        struct kiln_config_override override = {"--set", "train.steps=17"};
        kiln_config *config =
            load("[network]\nchannels = 3,5\nbeta = 1e-3\n[data]\nfolder = x y\n", 1, &override);
        assert_non_null(config);
        struct kiln_text text = {0}, again = {0}, json = {0};
        kiln_config_write(config, help, &text);
        assert_non_null(strstr(text.data, "[network]\n"));
        assert_true(!strstr(text.data, "# ") == !help);
        kiln_config *copy = load(text.data, 0, NULL);
        if (!copy)
            fail_msg("%s", error.text);
        kiln_config_write(copy, help, &again);
        assert_string_equal(text.data, again.data);
        assert_int_equal(kiln_config_int(copy, "train", "steps"), 17);

        struct kiln_json writer = kiln_json_start(&json);
        kiln_config_json(copy, &writer, NULL);
        json_error_t why;
        json_t *object = json_loads(json.data, JSON_REJECT_DUPLICATES, &why);
        if (!object)
            fail_msg("%s: %s", why.text, json.data);
        json_t *network = json_object_get(object, "network");
        assert_true(json_real_value(json_object_get(network, "beta")) == 1e-3);
        assert_true(json_is_true(json_object_get(network, "bias")));
        assert_int_equal(
            json_integer_value(json_array_get(json_object_get(network, "channels"), 1)), 5);
        assert_int_equal(
            json_integer_value(json_object_get(json_object_get(object, "train"), "steps")), 17);
        assert_string_equal(
            json_string_value(json_object_get(json_object_get(object, "model"), "plugin")), "toy");
        json_decref(object);
        kiln_text_finish(&text);
        kiln_text_finish(&again);
        kiln_text_finish(&json);
        kiln_config_destroy(&config);
        kiln_config_destroy(&copy);
    }
}

static void numbers_ignore_the_locale(void **unused)
{
    (void)unused;
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "C.UTF-8"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!setlocale(LC_ALL, names[i]))
            continue;
        kiln_config *config = load("[network]\nbeta = 1.5\n", 0, NULL);
        assert_non_null(config);
        assert_true(kiln_config_float(config, "network", "beta") == 1.5);
        kiln_config_destroy(&config);
    }
    setlocale(LC_ALL, "C");
}

/* --- the schema ----------------------------------------------------------------------- */

static void core_options_are_sound(void **unused)
{
    (void)unused;
    struct kiln_schema schema;
    assert_int_equal(kiln_schema_init(&schema, NULL, &error), KILN_OK);
    for (size_t i = 0; i < schema.n; i++) {
        const struct kiln_option *option = schema.options[i];
        struct kiln_option_value value;
        assert_true(kiln_ini_name_valid(option->section) && kiln_ini_name_valid(option->key));
        assert_true(kiln_ini_value_valid(option->key, option->value));
        assert_non_null(option->help);
        if (kiln_option_parse(option, option->value, &value, &error))
            fail_msg("[%s] %s: %s", option->section, option->key, error.text);
        free(value.list);
        assert_int_equal(kiln_schema_find(&schema, option->section, option->key), i);
        /* sections are whole */
        for (size_t k = 0; k + 1 < i; k++)
            if (strcmp(schema.options[k]->section, option->section) == 0)
                assert_string_equal(schema.options[i - 1]->section, option->section);
    }
    kiln_schema_finish(&schema);
}

static void wrong_tables_are_refused(void **unused)
{
    (void)unused;
    static const struct {
        struct kiln_option options[3];
        const char *message;
    } rows[] = {
        {{{"a b", "k", KILN_OPTION_INT, "1", 0, 0, NULL, "h"}, {0}},
         "plugin p: [a b] k: not a name of an option"},
        {{{"a", NULL, KILN_OPTION_INT, "1", 0, 0, NULL, "h"}, {0}},
         "plugin p: [a] (null): not a name of an option"},
        {{{"a", "k", (enum kiln_option_type)77, "1", 0, 0, NULL, "h"}, {0}},
         "plugin p: [a] k: unknown type"},
        {{{"a", "k", KILN_OPTION_INT, NULL, 0, 0, NULL, "h"}, {0}},
         "plugin p: [a] k: no default or no help"},
        {{{"a", "k", KILN_OPTION_INT, "1", 2, 1, NULL, "h"}, {0}}, "plugin p: [a] k: empty range"},
        {{{"a", "k", KILN_OPTION_CHOICE, "1", 0, 0, NULL, "h"}, {0}},
         "plugin p: [a] k: no choices"},
        {{{"a", "k", KILN_OPTION_INT, "0", 1, 2, NULL, "h"}, {0}},
         "plugin p: [a] k: default: expected a whole number in 1..2, got \"0\""},
        {{{"a", "k", KILN_OPTION_STRING, "a ;b", 0, 0, NULL, "h"}, {0}},
         "plugin p: [a] k: default cannot stand in a config"},
        {{{"train", "batch_size", KILN_OPTION_FLOAT, "1", 0, 0, NULL, "h"}, {0}},
         "plugin p: [train] batch_size: another type than the core's"},
        {{{"model", "plugin", KILN_OPTION_STRING, "p", 0, 0, NULL, "h"}, {0}},
         "plugin p: [model] plugin: belongs to the core"},
        {{{"a", "k", KILN_OPTION_INT, "1", 0, 0, NULL, "h"},
          {"a", "k", KILN_OPTION_INT, "1", 0, 0, NULL, "h"},
          {0}},
         "plugin p: [a] k: declared twice"},
        {{{"train", "steps", KILN_OPTION_INT, "1", 0, 0, NULL, "h"},
          {"train", "steps", KILN_OPTION_INT, "1", 0, 0, NULL, "h"},
          {0}},
         "plugin p: [train] steps: declared twice"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct kiln_model model = {.name = "p", .options = rows[i].options};
        struct kiln_schema schema;
        assert_int_equal(kiln_schema_init(&schema, &model, &error), KILN_INPUT);
        assert_string_equal(error.text, rows[i].message);
    }
}

static int make_folder(void **unused)
{
    (void)unused;
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
        cmocka_unit_test(defaults_are_the_plugins_then_the_cores),
        cmocka_unit_test(the_last_override_wins),
        cmocka_unit_test(mistakes_are_one_line),
        cmocka_unit_test(too_many_keys_are_refused),
        cmocka_unit_test(the_stronger_length_counts),
        cmocka_unit_test(files_include_files),
        cmocka_unit_test(odd_files_are_refused),
        cmocka_unit_test(written_text_reads_back),
        cmocka_unit_test(numbers_ignore_the_locale),
        cmocka_unit_test(core_options_are_sound),
        cmocka_unit_test(wrong_tables_are_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
