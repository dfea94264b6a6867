/* Reading the data of safetensors files, converted to f32 or i32. */
#include <string.h>

#include "core/base/file.h"
#include "core/run/safetensors_file.h"

/* Elements are converted through a buffer of this size on the stack. */
enum { CHUNK_BYTES = 32768 };

static uint64_t load_le(const unsigned char *bytes, int n)
{
    uint64_t value = 0;
    for (int i = n - 1; i >= 0; i--)
        value = value << 8 | bytes[i];
    return value;
}

static float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static double double_of_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* IEEE 754 half: every value, with subnormals, infinities and NaN payloads. */
static float float_of_half(uint16_t half)
{
    uint32_t sign = (uint32_t)(half >> 15) << 31;
    uint32_t exponent = half >> 10 & 31, fraction = half & 1023;
    if (exponent == 31)
        return float_of_bits(sign | 0x7F800000u | fraction << 13);
    if (exponent)
        return float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
    float magnitude = (float)fraction * 0x1p-24f;
    return sign ? -magnitude : magnitude;
}

/* An integer element; *fits tells whether the value is an i64 too. */
static int64_t load_integer(enum kiln_tensor_dtype dtype, const unsigned char *bytes, bool *fits)
{
    uint64_t u = load_le(bytes, (int)kiln_tensor_dtype_bytes(dtype));
    *fits = true;
    switch (dtype) {
    case KILN_TENSOR_I8:
        return (int64_t)(u ^ 0x80) - 0x80;
    case KILN_TENSOR_I16:
        return (int64_t)(u ^ 0x8000) - 0x8000;
    case KILN_TENSOR_I32:
        return (int64_t)(u ^ 0x80000000u) - (int64_t)0x80000000u;
    case KILN_TENSOR_U64:
        *fits = u <= INT64_MAX;
        return *fits ? (int64_t)u : 0;
    case KILN_TENSOR_I64:
        return u <= INT64_MAX ? (int64_t)u : -(int64_t)~u - 1;
    default:
        return (int64_t)u;
    }
}

static bool is_integer(enum kiln_tensor_dtype dtype)
{
    switch (dtype) {
    case KILN_TENSOR_BOOL:
    case KILN_TENSOR_U8:
    case KILN_TENSOR_I8:
    case KILN_TENSOR_I16:
    case KILN_TENSOR_U16:
    case KILN_TENSOR_I32:
    case KILN_TENSOR_U32:
    case KILN_TENSOR_I64:
    case KILN_TENSOR_U64:
        return true;
    default:
        return false;
    }
}

static bool is_real(enum kiln_tensor_dtype dtype)
{
    return is_integer(dtype) || dtype == KILN_TENSOR_F16 || dtype == KILN_TENSOR_BF16 ||
           dtype == KILN_TENSOR_F32 || dtype == KILN_TENSOR_F64;
}

static float load_float(enum kiln_tensor_dtype dtype, const unsigned char *bytes)
{
    bool fits;
    int64_t integer;
    switch (dtype) {
    case KILN_TENSOR_F32:
        return float_of_bits((uint32_t)load_le(bytes, 4));
    case KILN_TENSOR_F16:
        return float_of_half((uint16_t)load_le(bytes, 2));
    case KILN_TENSOR_BF16:
        return float_of_bits((uint32_t)load_le(bytes, 2) << 16);
    case KILN_TENSOR_F64:
        return (float)double_of_bits(load_le(bytes, 8));
    default:
        integer = load_integer(dtype, bytes, &fits);
        return fits ? (float)integer : (float)load_le(bytes, 8);
    }
}

/* Reads the next elements, *n of at most count, into chunk. */
static enum kiln_status read_chunk(const kiln_safetensors *file, const struct kiln_tensor *tensor,
                                   int64_t first, int64_t count, unsigned char *chunk, int64_t *n,
                                   struct kiln_error *error)
{
    int64_t size = kiln_tensor_dtype_bytes(tensor->dtype);
    *n = count < CHUNK_BYTES / size ? count : CHUNK_BYTES / size;
    return kiln_file_read_at(file->fd, file->path, chunk, (size_t)(*n * size),
                             tensor->offset + first * size, error);
}

static enum kiln_status check_range(const kiln_safetensors *file, const struct kiln_tensor *tensor,
                                    int64_t first, int64_t count, struct kiln_error *error)
{
    if (first >= 0 && count >= 0 && first <= tensor->count && count <= tensor->count - first)
        return KILN_OK;
    return kiln_fail(error, KILN_INPUT,
                     "%s: tensor %.100s: has %lld elements, %lld from %lld asked", file->path,
                     tensor->name, (long long)tensor->count, (long long)count, (long long)first);
}

enum kiln_status kiln_safetensors_read_f32(const kiln_safetensors *file,
                                           const struct kiln_tensor *tensor, int64_t first,
                                           int64_t count, float *out, struct kiln_error *error)
{
    enum kiln_status status = check_range(file, tensor, first, count, error);
    if (status)
        return status;
    if (!is_real(tensor->dtype))
        return kiln_fail(error, KILN_INPUT, "%s: tensor %.100s: dtype %s cannot be read as f32",
                         file->path, tensor->name, kiln_tensor_dtype_name(tensor->dtype));
    int64_t size = kiln_tensor_dtype_bytes(tensor->dtype);
    unsigned char chunk[CHUNK_BYTES];
    while (count > 0) {
        int64_t n;
        status = read_chunk(file, tensor, first, count, chunk, &n, error);
        if (status)
            return status;
        for (int64_t i = 0; i < n; i++)
            *out++ = load_float(tensor->dtype, chunk + i * size);
        first += n;
        count -= n;
    }
    return KILN_OK;
}

enum kiln_status kiln_safetensors_read_i32(const kiln_safetensors *file,
                                           const struct kiln_tensor *tensor, int64_t first,
                                           int64_t count, int32_t *out, struct kiln_error *error)
{
    enum kiln_status status = check_range(file, tensor, first, count, error);
    if (status)
        return status;
    if (!is_integer(tensor->dtype))
        return kiln_fail(error, KILN_INPUT, "%s: tensor %.100s: dtype %s, expected integers",
                         file->path, tensor->name, kiln_tensor_dtype_name(tensor->dtype));
    int64_t size = kiln_tensor_dtype_bytes(tensor->dtype);
    unsigned char chunk[CHUNK_BYTES];
    while (count > 0) {
        int64_t n;
        status = read_chunk(file, tensor, first, count, chunk, &n, error);
        if (status)
            return status;
        for (int64_t i = 0; i < n; i++) {
            bool fits;
            int64_t value = load_integer(tensor->dtype, chunk + i * size, &fits);
            if (!fits || value < INT32_MIN || value > INT32_MAX)
                return kiln_fail(error, KILN_INPUT, "%s: tensor %.100s: element %lld is beyond i32",
                                 file->path, tensor->name, (long long)(first + i));
            *out++ = (int32_t)value;
        }
        first += n;
        count -= n;
    }
    return KILN_OK;
}

enum kiln_status kiln_safetensors_read_raw(const kiln_safetensors *file,
                                           const struct kiln_tensor *tensor, void *out,
                                           struct kiln_error *error)
{
    return kiln_file_read_at(file->fd, file->path, out, (size_t)tensor->bytes, tensor->offset,
                             error);
}
