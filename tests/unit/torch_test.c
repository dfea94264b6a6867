/* Reading torch.save files: what torch wrote, and what nobody should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/file.h"
#include "core/run/torch_file.h"

#define GOLDEN KILN_SOURCE_DIR "/tests/golden/"

/* Converts a file and reads one tensor back as f32. */
static int64_t convert(const char *path, const char *dictionary, const char *name, float *out)
{
    char target[] = "/tmp/kiln-torch-XXXXXX";
    struct kiln_error error = {""};
    kiln_torch_file *file;
    if (kiln_torch_open(path, dictionary, &file, &error))
        fail_msg("%s", error.text);
    close(mkstemp(target));
    assert_int_equal(kiln_torch_convert(file, target, &error), KILN_OK);
    kiln_torch_close(&file);
    kiln_safetensors *weights;
    assert_int_equal(kiln_safetensors_open(target, &weights, &error), KILN_OK);
    const struct kiln_tensor *tensor = kiln_safetensors_find(weights, name);
    assert_non_null(tensor);
    int64_t count = tensor->count;
    assert_true(count <= 64);
    assert_int_equal(kiln_safetensors_read_f32(weights, tensor, 0, count, out, &error), KILN_OK);
    kiln_safetensors_close(&weights);
    unlink(target);
    return count;
}

static void reads_what_torch_wrote(void **unused)
{
    (void)unused;
    float values[64];
    assert_int_equal(convert(GOLDEN "torch-plain.pth", NULL, "fc.weight", values), 12);
    for (int i = 0; i < 12; i++)
        assert_true(values[i] == i);
    assert_int_equal(convert(GOLDEN "torch-plain.pth", NULL, "n", values), 1);
    assert_true(values[0] == 5);
    assert_int_equal(convert(GOLDEN "torch-plain.pth", NULL, "half", values), 2);
    assert_true(values[0] == 0.5f && values[1] == -2);
}

static void follows_strides_and_offsets(void **unused)
{
    (void)unused;
    float values[64];
    assert_int_equal(convert(GOLDEN "torch-strided.pth", NULL, "a", values), 24);
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 4; j++)
            assert_true(values[i * 4 + j] == 6 * j + i);
    assert_int_equal(convert(GOLDEN "torch-strided.pth", NULL, "b", values), 6);
    assert_true(values[0] == 8 && values[5] == 16);
    assert_int_equal(convert(GOLDEN "torch-strided.pth", NULL, "c", values), 6);
}

static void takes_the_average_of_a_list(void **unused)
{
    (void)unused;
    float values[64];
    assert_int_equal(convert(GOLDEN "torch-list.pth", NULL, "fc.weight", values), 12);
    assert_true(values[0] == 7);
    assert_int_equal(convert(GOLDEN "torch-list.pth", "0", "fc.weight", values), 12);
    assert_true(values[1] == 1);
    struct kiln_error error;
    kiln_torch_file *file;
    assert_int_equal(kiln_torch_open(GOLDEN "torch-list.pth", "9", &file, &error), KILN_INPUT);
    assert_null(file);
}

static void executes_nothing(void **unused)
{
    (void)unused;
    struct kiln_error error;
    kiln_torch_file *file;
    unlink("/tmp/kiln-import-was-executed");
    assert_int_equal(kiln_torch_open(GOLDEN "torch-evil.pth", NULL, &file, &error), KILN_INPUT);
    assert_non_null(strstr(error.text, "system' is not allowed"));
    assert_false(kiln_file_exists("/tmp/kiln-import-was-executed"));
}

/* Every truncation and every flipped byte is refused or read, never a crash. */
static void survives_damage(void **unused)
{
    (void)unused;
    char *bytes, path[] = "/tmp/kiln-torch-XXXXXX";
    size_t size;
    struct kiln_error error;
    int n_read = 0, n_refused = 0;
    assert_int_equal(kiln_file_read(GOLDEN "torch-strided.pth", 1 << 20, &bytes, &size, &error),
                     KILN_OK);
    close(mkstemp(path));
    for (size_t i = 0; i < 2 * size; i += 3) {
        FILE *out = fopen(path, "wb");
        size_t keep = i < size ? i : size;
        if (i >= size)
            bytes[i - size] ^= 0x5a;
        fwrite(bytes, 1, keep, out);
        fclose(out);
        if (i >= size)
            bytes[i - size] ^= 0x5a;
        kiln_torch_file *file;
        enum kiln_status status = kiln_torch_open(path, NULL, &file, &error);
        assert_true(status == KILN_OK || status == KILN_INPUT);
        n_read += status == KILN_OK;
        n_refused += status == KILN_INPUT;
        kiln_torch_close(&file);
    }
    assert_true(n_refused > n_read / 4);
    unlink(path);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_torch_wrote),
        cmocka_unit_test(follows_strides_and_offsets),
        cmocka_unit_test(takes_the_average_of_a_list),
        cmocka_unit_test(executes_nothing),
        cmocka_unit_test(survives_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
