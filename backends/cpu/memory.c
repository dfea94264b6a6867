/* Device memory is host memory, aligned and zeroed. */
#include "backends/cpu/cpu.h"

#include <stdlib.h>
#include <string.h>

#include "core/api/pages.h"

/* Of large pages. */
#define SMALL_ALIGNMENT 4096
#define LARGE_ALIGNMENT ((int64_t)2 << 20)

enum kiln_status cpu_memory_create(kiln_device_state *device, int64_t bytes, kiln_memory **memory,
                                   struct kiln_error *error)
{
    *memory = malloc(sizeof **memory);
    void *data = NULL;
    int64_t alignment = bytes >= LARGE_ALIGNMENT ? LARGE_ALIGNMENT : SMALL_ALIGNMENT;
    if (!*memory || bytes > INT64_MAX / 2 ||
        posix_memalign(&data, (size_t)alignment, (size_t)bytes)) {
        free(*memory);
        *memory = NULL;
        return kiln_fail(error, KILN_MACHINE, "cpu: no memory for %lld bytes", (long long)bytes);
    }
    kiln_advise_large_pages(data, (size_t)bytes);
    memset(data, 0, (size_t)bytes);
    (*memory)->data = data;
    (*memory)->bytes = bytes;
    device->bytes += bytes;
    device->peak_bytes = cpu_max(device->peak_bytes, device->bytes);
    return KILN_OK;
}

void cpu_memory_destroy(kiln_device_state *device, kiln_memory *memory)
{
    if (!memory)
        return;
    device->bytes -= memory->bytes;
    free(memory->data);
    free(memory);
}

enum kiln_status cpu_memory_write(kiln_device_state *device, kiln_memory *memory, int64_t offset,
                                  const void *source, int64_t bytes, struct kiln_error *error)
{
    (void)device;
    (void)error;
    memcpy(memory->data + offset, source, (size_t)bytes);
    return KILN_OK;
}

enum kiln_status cpu_memory_read(kiln_device_state *device, kiln_memory *memory, int64_t offset,
                                 void *target, int64_t bytes, struct kiln_error *error)
{
    (void)error;
    device->waits++;
    memcpy(target, memory->data + offset, (size_t)bytes);
    return KILN_OK;
}

bool cpu_reserve(kiln_device_state *device, int64_t bytes)
{
    bytes = (bytes + SMALL_ALIGNMENT - 1) / SMALL_ALIGNMENT * SMALL_ALIGNMENT;
    if (bytes <= device->thread_bytes)
        return true;
    void *data = NULL;
    if (bytes > INT64_MAX / 2 / device->threads ||
        posix_memalign(&data, SMALL_ALIGNMENT, (size_t)(bytes * device->threads)))
        return false;
    free(device->thread_memory);
    device->thread_memory = data;
    device->thread_bytes = bytes;
    return true;
}
