/*
 * Fuzz target: the safetensors reader.
 *
 * The first byte 0: the rest is a file. Else: two bytes of length (little-
 * endian), so much header, and data; the target writes the file's prefix, so
 * that changed lengths do not end every attempt. What is accepted obeys the
 * format's rules and can be read.
 */
#define _XOPEN_SOURCE 700 /* mkstemp */
#include <string.h>

#include "core/run/safetensors.h"
#include "fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_READ = 1 << 16 };

static void check_tensor(const kiln_safetensors *file, const struct kiln_tensor *tensor)
{
    static float real[MAX_READ];
    static int32_t whole[MAX_READ];
    static uint8_t raw[MAX_READ];
    struct kiln_error error;
    require(kiln_safetensors_find(file, tensor->name) == tensor);
    require(tensor->rank >= 0 && tensor->rank <= KILN_TENSOR_MAX_RANK);
    require(strlen(tensor->name) <= KILN_TENSOR_MAX_NAME);
    int64_t count = 1;
    for (int i = 0; i < tensor->rank; i++)
        count *= tensor->shape[i];
    require(count == tensor->count);
    require(tensor->bytes == count * kiln_tensor_dtype_bytes(tensor->dtype));
    int64_t n = count < MAX_READ ? count : MAX_READ;
    kiln_safetensors_read_f32(file, tensor, count - n, n, real, &error);
    kiln_safetensors_read_i32(file, tensor, 0, n, whole, &error);
    require(kiln_safetensors_read_f32(file, tensor, 1, count, real, &error) == KILN_INPUT);
    if (tensor->bytes <= MAX_READ)
        require(kiln_safetensors_read_raw(file, tensor, raw, &error) == KILN_OK);
}

static void check_file(const kiln_safetensors *file, int64_t bytes)
{
    int n = kiln_safetensors_count(file);
    int64_t end = n ? kiln_safetensors_at(file, 0)->offset : bytes;
    for (int i = 0; i < n; i++) {
        const struct kiln_tensor *tensor = kiln_safetensors_at(file, i);
        require(tensor->offset == end);
        end += tensor->bytes;
        if (i < 16)
            check_tensor(file, tensor);
    }
    require(end == bytes);
    const char *key, *value;
    for (int i = 0; kiln_safetensors_metadata_at(file, i, &key, &value); i++)
        require(kiln_safetensors_metadata(file, key) == value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t made[1 << 20];
    if (size < 3 || size > sizeof made - 8)
        return 0;
    size_t bytes = size - 1, header = (size_t)data[1] | (size_t)data[2] << 8;
    if (data[0] == 0) {
        memcpy(made, data + 1, bytes);
    } else {
        for (int i = 0; i < 8; i++)
            made[i] = (uint8_t)((uint64_t)header >> 8 * i);
        memcpy(made + 8, data + 3, size - 3);
        bytes = 8 + size - 3;
    }
    kiln_safetensors *file;
    struct kiln_error error = {""};
    enum kiln_status status = kiln_safetensors_open(fuzz_file(made, bytes), &file, &error);
    require(status == (file ? KILN_OK : KILN_INPUT));
    require(file || error.text[0]);
    if (file)
        check_file(file, (int64_t)bytes);
    kiln_safetensors_close(&file);
    return 0;
}
