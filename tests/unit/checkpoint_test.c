/* Checkpoints without a device: what is refused, and how it is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/run/checkpoint.h"

static char folder[] = "/tmp/kiln-checkpoint-XXXXXX";
static char path[64];

#define DATA                                                                                       \
    "{\"points\": false, \"channels\": 1, \"height\": 2, \"width\": 2, \"n_classes\": 0, "         \
    "\"n_train\": 5, \"n_test\": 0}"

/* Metadata of a good checkpoint, one key of which is replaced (value NULL:
 * left out). */
static void write_file(const char *key, const char *value, int64_t columns)
{
    static const char *const good[][2] = {{"kiln_format", "1"},
                                          {"step", "7"},
                                          {"seed", "18446744073709551615"},
                                          {"data", DATA},
                                          {"config", "[model]\n"}};
    const float zeros[64] = {0};
    kiln_safetensors_writer *writer;
    assert_int_equal(kiln_safetensors_writer_create(path, &writer, NULL), KILN_OK);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        const char *text = key && !strcmp(key, good[i][0]) ? value : good[i][1];
        if (text)
            kiln_safetensors_writer_metadata(writer, good[i][0], text);
    }
    const struct kiln_shape weight = KILN_SHAPE(2, columns), bias = KILN_SHAPE(2);
    kiln_safetensors_writer_declare(writer, "fc.weight", KILN_F32, &weight);
    kiln_safetensors_writer_declare(writer, "fc.bias", KILN_F32, &bias);
    kiln_safetensors_writer_declare(writer, "ema.fc.bias", KILN_F32, &bias);
    kiln_safetensors_writer_begin(writer);
    kiln_safetensors_writer_data(writer, zeros, (2 * columns + 4) * (int64_t)sizeof(float));
    assert_int_equal(kiln_safetensors_writer_commit(&writer, NULL), KILN_OK);
}

static void run_state_is_read(void **unused)
{
    (void)unused;
    kiln_checkpoint *checkpoint;
    write_file(NULL, NULL, 4);
    assert_int_equal(kiln_checkpoint_open(path, &checkpoint, NULL), KILN_OK);
    const struct kiln_run_state *run = kiln_checkpoint_run(checkpoint);
    assert_int_equal(run->step, 7);
    assert_true(run->seed == UINT64_MAX);
    assert_int_equal(run->info.channels, 1);
    assert_int_equal(run->info.n_train, 5);
    assert_false(kiln_checkpoint_foreign(checkpoint));
    assert_string_equal(kiln_checkpoint_config(checkpoint), "[model]\n");
    char hash[33], again[33];
    assert_int_equal(kiln_checkpoint_hash(checkpoint, hash, NULL), KILN_OK);
    assert_int_equal(strlen(hash), 32);
    kiln_checkpoint_close(&checkpoint);

    /* a run's directory stands for its checkpoint */
    assert_int_equal(kiln_checkpoint_open(folder, &checkpoint, NULL), KILN_OK);
    assert_int_equal(kiln_checkpoint_hash(checkpoint, again, NULL), KILN_OK);
    assert_string_equal(hash, again);
    kiln_checkpoint_close(&checkpoint);

    write_file("kiln_format", NULL, 4);
    assert_int_equal(kiln_checkpoint_open(path, &checkpoint, NULL), KILN_OK);
    assert_true(kiln_checkpoint_foreign(checkpoint));
    assert_null(kiln_checkpoint_config(checkpoint));
    kiln_checkpoint_close(&checkpoint);
}

static void bad_metadata_is_refused(void **unused)
{
    (void)unused;
    static const char *const bad[][2] = {
        {"kiln_format", "2"},
        {"kiln_format", ""},
        {"kiln_format", "1x"},
        {"step", NULL},
        {"step", "-1"},
        {"step", "18446744073709551615"},
        {"step", "99999999999999999999999999"},
        {"seed", "18446744073709551616"},
        {"seed", " 1"},
        {"data", NULL},
        {"data", ""},
        {"data", "[1]"},
        {"data", "{\"channels\": 1, \"channels\": 1}"},
        {"data", "{\"channels\": 1.5}"},
        {"data", "{\"channels\": 1, \"height\": 1000000, \"width\": 2, \"n_classes\": 0, "
                 "\"n_train\": 5, \"n_test\": 0}"},
        {"config", NULL},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        kiln_checkpoint *checkpoint;
        struct kiln_error error;
        write_file(bad[i][0], bad[i][1], 4);
        if (kiln_checkpoint_open(path, &checkpoint, &error) != KILN_INPUT)
            fail_msg("%s = %s was accepted", bad[i][0], bad[i][1]);
        assert_null(checkpoint);
        assert_non_null(strstr(error.text, path));
    }
}

static void a_directory_without_checkpoint(void **unused)
{
    (void)unused;
    kiln_checkpoint *checkpoint;
    struct kiln_error error;
    unlink(path);
    assert_int_equal(kiln_checkpoint_open(folder, &checkpoint, &error), KILN_INPUT);
    assert_non_null(strstr(error.text, "checkpoint.safetensors"));
    assert_int_equal(kiln_checkpoint_open(path, &checkpoint, &error), KILN_INPUT);
}

/* --- fit ----------------------------------------------------------------------- */

static kiln_states *states_of(int64_t columns, const char *bias)
{
    kiln_graph *graph = kiln_graph_create();
    const struct kiln_init zero = {KILN_INIT_CONSTANT, 0, 0};
    const struct kiln_state internal = {.name = "sampler.0", .shape = KILN_SHAPE(3)};
    kiln_parameter(graph, "fc.weight", KILN_SHAPE(2, columns), zero);
    kiln_parameter(graph, bias, KILN_SHAPE(2), zero);
    kiln_state(graph, &internal);
    kiln_states *states = kiln_states_create();
    assert_int_equal(kiln_states_collect(states, graph, NULL), KILN_OK);
    kiln_graph_destroy(&graph);
    return states;
}

static void differences_are_listed(void **unused)
{
    (void)unused;
    kiln_checkpoint *checkpoint;
    struct kiln_error error;
    write_file(NULL, NULL, 4);
    assert_int_equal(kiln_checkpoint_open(path, &checkpoint, NULL), KILN_OK);
    kiln_states *states = states_of(4, "fc.bias");
    assert_int_equal(kiln_checkpoint_check(checkpoint, states, &error), KILN_OK);
    kiln_states_destroy(&states);

    states = states_of(5, "fc.offset");
    assert_int_equal(kiln_checkpoint_check(checkpoint, states, &error), KILN_INPUT);
    assert_non_null(strstr(error.text, "3 differences"));
    assert_non_null(strstr(error.text, "fc.weight is [2, 4], expected [2, 5]"));
    assert_non_null(strstr(error.text, "fc.offset [2] is missing"));
    assert_non_null(strstr(error.text, "fc.bias is not the model's"));
    assert_null(strstr(error.text, "ema."));
    kiln_states_destroy(&states);
    kiln_checkpoint_close(&checkpoint);
}

/* Names of the parts that an optimiser keeps, as torch.optim has them. */
static void parts_are_named_as_in_torch(void **unused)
{
    (void)unused;
    static const struct {
        enum kiln_optimizer_kind kind;
        const char *slots[3];
    } cases[] = {
        {KILN_OPTIMIZER_ADAM, {"optim.fc.weight.exp_avg", "optim.fc.weight.exp_avg_sq"}},
        {KILN_OPTIMIZER_ADAMW, {"optim.fc.weight.exp_avg", "optim.fc.weight.exp_avg_sq"}},
        {KILN_OPTIMIZER_RMSPROP, {"optim.fc.weight.square_avg"}},
        {KILN_OPTIMIZER_SGD, {"optim.fc.weight.momentum_buffer"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kiln_states *states = states_of(4, "fc.bias");
        const struct kiln_update update = {.kind = cases[i].kind, .ema = true};
        kiln_states_group(states, "", update);
        assert_int_equal(kiln_states_freeze(states, NULL), KILN_OK);
        int weight = kiln_states_find(states, "fc.weight"), found = 0;
        char name[64];
        assert_true(kiln_checkpoint_name(states, weight, KILN_STATE_VALUE, name, sizeof name));
        assert_string_equal(name, "fc.weight");
        assert_true(kiln_checkpoint_name(states, weight, KILN_STATE_EMA, name, sizeof name));
        assert_string_equal(name, "ema.fc.weight");
        for (int part = KILN_STATE_MOMENT1; part <= KILN_STATE_MOMENT2; part++)
            if (kiln_checkpoint_name(states, weight, (enum kiln_state_part)part, name,
                                     sizeof name)) {
                assert_non_null(cases[i].slots[found]);
                assert_string_equal(name, cases[i].slots[found++]);
            }
        assert_null(cases[i].slots[found]);
        int internal = kiln_states_find(states, "sampler.0");
        assert_false(kiln_checkpoint_name(states, internal, KILN_STATE_VALUE, name, sizeof name));
        kiln_states_destroy(&states);
    }
}

static int make_folder(void **unused)
{
    (void)unused;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/checkpoint.safetensors", folder);
    return 0;
}

static int remove_folder(void **unused)
{
    (void)unused;
    unlink(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_state_is_read),
        cmocka_unit_test(bad_metadata_is_refused),
        cmocka_unit_test(a_directory_without_checkpoint),
        cmocka_unit_test(differences_are_listed),
        cmocka_unit_test(parts_are_named_as_in_torch),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
