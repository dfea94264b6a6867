/* A backend module with nothing in it, right or wrong by its -D flags. */
#include "core/api/backend.h"

#ifndef FAKE_ABI
#define FAKE_ABI KILN_BACKEND_ABI
#endif
#ifndef FAKE_SIZE
#define FAKE_SIZE sizeof(struct kiln_backend)
#endif
#ifndef FAKE_NAME
#define FAKE_NAME "opencl"
#endif

const struct kiln_backend *kiln_backend_entry(void);

const struct kiln_backend *kiln_backend_entry(void)
{
#ifdef FAKE_NONE
    return 0;
#else
    static const struct kiln_backend backend = {
        .abi = FAKE_ABI, .size = FAKE_SIZE, .name = FAKE_NAME};
    return &backend;
#endif
}
