/* Names and sizes of the element types of safetensors files. */
#include "core/run/safetensors.h"

static const struct {
    const char *name;
    int bits;
} dtypes[KILN_TENSOR_DTYPE_COUNT] = {
#define KILN_TENSOR_DTYPE_ROW(name, bits) {#name, bits},
    KILN_TENSOR_DTYPES(KILN_TENSOR_DTYPE_ROW)
#undef KILN_TENSOR_DTYPE_ROW
};

const char *kiln_tensor_dtype_name(enum kiln_tensor_dtype dtype)
{
    return dtypes[dtype].name;
}

int64_t kiln_tensor_dtype_bytes(enum kiln_tensor_dtype dtype)
{
    return dtypes[dtype].bits / 8;
}
