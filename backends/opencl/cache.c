/*
 * Program binaries on disk. A file holds magic, format version, payload
 * length, XXH3 of the payload, payload; its name is the hash of everything
 * the binary depends on. Whatever is wrong with a file, the program is built
 * from source again.
 */
#include "backends/opencl/opencl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#define MAGIC "KILNCLBP"

/* 1: first version */
enum { FORMAT_VERSION = 1, MAX_PAYLOAD = 64 << 20 };

struct header {
    char magic[8]; /* without a terminator */
    uint64_t version, length, hash;
};

/* The file of a text built with options on this device and driver. */
static bool cache_path(kiln_device_state *device, const char *text, const char *options,
                       const char *extension, char path[4096])
{
    if (!device->cache_dir)
        return false;
    const struct kiln_caps *caps = &device->caps;
    XXH3_state_t *state = XXH3_createState();
    if (!state)
        return false;
    XXH3_128bits_reset(state);
    char format[32];
    snprintf(format, sizeof format, "%d", FORMAT_VERSION);
    const char *parts[] = {format,       text,         options,       caps->name,
                           caps->vendor, caps->driver, caps->version, caps->platform};
    /* with the terminators, so that no two lists of parts run together */
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        XXH3_128bits_update(state, parts[i], strlen(parts[i]) + 1);
    XXH128_hash_t hash = XXH3_128bits_digest(state);
    XXH3_freeState(state);
    return snprintf(path, 4096, "%s/%016llx%016llx.%s", device->cache_dir,
                    (unsigned long long)hash.high64, (unsigned long long)hash.low64,
                    extension) < 4096;
}

/* The whole file if it is sound; the payload follows its header. */
static char *read_checked(const char *path, size_t *bytes)
{
    size_t size;
    char *data = cl_file_read(path, MAX_PAYLOAD + sizeof(struct header), &size);
    if (!data)
        return NULL;
    struct header header = {0};
    if (size > sizeof header)
        memcpy(&header, data, sizeof header);
    if (memcmp(header.magic, MAGIC, sizeof header.magic) == 0 && header.version == FORMAT_VERSION &&
        header.length == size - sizeof header &&
        XXH3_64bits(data + sizeof header, header.length) == header.hash) {
        *bytes = header.length;
        return data;
    }
    free(data);
    return NULL;
}

cl_program cl_cache_load(kiln_device_state *device, const char *text, const char *options)
{
    char path[4096];
    if (!device->keep_binaries || !cache_path(device, text, options, "clbin", path))
        return NULL;
    size_t bytes;
    char *data = read_checked(path, &bytes);
    if (!data)
        return NULL;
    cl_int status = CL_SUCCESS, code = CL_SUCCESS;
    const unsigned char *binary = (unsigned char *)data + sizeof(struct header);
    cl_program program =
        clCreateProgramWithBinary(device->context, 1, &device->id, &bytes, &binary, &status, &code);
    free(data);
    if (!program)
        return NULL;
    if (code != CL_SUCCESS || status != CL_SUCCESS ||
        clBuildProgram(program, 1, &device->id, options, NULL, NULL) != CL_SUCCESS) {
        clReleaseProgram(program);
        return NULL;
    }
    return program;
}

/* A cache that cannot be written is no failure. */
void cl_cache_store(kiln_device_state *device, const char *text, const char *options,
                    cl_program program)
{
    char path[4096];
    if (!device->keep_binaries || !cache_path(device, text, options, "clbin", path))
        return;
    size_t bytes = 0;
    if (clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof bytes, &bytes, NULL) !=
            CL_SUCCESS ||
        bytes == 0 || bytes > MAX_PAYLOAD)
        return;
    unsigned char *data = malloc(sizeof(struct header) + bytes);
    if (!data)
        return;
    unsigned char *binaries[1] = {data + sizeof(struct header)};
    if (clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof binaries, binaries, NULL) ==
        CL_SUCCESS) {
        struct header header = {.magic = MAGIC,
                                .version = FORMAT_VERSION,
                                .length = bytes,
                                .hash = XXH3_64bits(binaries[0], bytes)};
        memcpy(data, &header, sizeof header);
        cl_file_write(path, data, sizeof header + bytes);
    }
    free(data);
}

int cl_cache_verdict(kiln_device_state *device, const char *what)
{
    char path[4096];
    size_t bytes = 0;
    char *data =
        cache_path(device, what, "", "verdict", path) ? cl_file_read(path, 16, &bytes) : NULL;
    int verdict = !data ? 0 : strcmp(data, "good\n") == 0 ? 1 : strcmp(data, "bad\n") == 0 ? -1 : 0;
    free(data);
    return verdict;
}

void cl_cache_set_verdict(kiln_device_state *device, const char *what, int verdict)
{
    char path[4096];
    const char *text = verdict > 0 ? "good\n" : "bad\n";
    if (cache_path(device, what, "", "verdict", path))
        cl_file_write(path, text, strlen(text));
}
