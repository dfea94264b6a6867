/*
 * CLBlast's parameters on a device that its tables do not know: the tiles of
 * its two product kernels, and the size from which the larger one serves.
 *
 * As text: lists "Xgemm 0 1 32 ..., XgemmDirect 2 8 ..., GemmRoutine 896" in
 * this order, each of which may be missing, the values in the order of the names
 * below.
 */
#include "backends/opencl/opencl.h"

#ifdef KILN_CLBLAST
#include "backends/opencl/clblast.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_VALUES = 16, MAX_SETS = 4096, HUGE_SIDE = 100000 };

enum { INDIRECT, DIRECT, ROUTINE, KERNELS };
struct kernel {
    const char *name;
    int n;
    const char *names[MAX_VALUES];
};
static const struct kernel kernels[KERNELS] = {
    [INDIRECT] = {"Xgemm",
                  16,
                  {"GEMMK", "KREG", "KWG", "KWI", "MDIMA", "MDIMC", "MWG", "NDIMB", "NDIMC", "NWG",
                   "SA", "SB", "STRM", "STRN", "VWM", "VWN"}},
    [DIRECT] = {"XgemmDirect",
                10,
                {"KWID", "MDIMAD", "MDIMCD", "NDIMBD", "NDIMCD", "PADA", "PADB", "VWMD", "VWND",
                 "WGD"}},
    [ROUTINE] = {"GemmRoutine", 1, {"XGEMM_MIN_INDIRECT_SIZE"}},
};

struct set {
    size_t values[MAX_VALUES];
};

/* Programs of the old parameters are built again when they are called next. */
static bool override(const kiln_device_state *device, int kernel, const struct set *set)
{
    const char *names[MAX_VALUES];
    memcpy(names, kernels[kernel].names, sizeof names);
    return CLBlastOverrideParameters(device->id, kernels[kernel].name, CLBlastPrecisionSingle,
                                     (size_t)kernels[kernel].n, names,
                                     set->values) == CLBlastSuccess;
}

static bool set_threshold(const kiln_device_state *device, size_t side)
{
    return override(device, ROUTINE, &(struct set){{side}});
}

/* --- sets that CLBlast's kernels are written for (its src/tuning/kernels) ---------------- */

struct sets {
    struct set *sets; /* malloc'd, MAX_SETS */
    int n;
};

static bool fits(const kiln_device_state *device, size_t group, size_t local_floats)
{
    return (int64_t)group <= device->caps.work_group_size &&
           (int64_t)local_floats * 4 <= device->caps.local_memory_bytes;
}

static void add(struct sets *sets, const struct set *set)
{
    if (sets->n < MAX_SETS)
        sets->sets[sets->n++] = *set;
}

/* Tiles of m x n floats by groups of dm x dn items, vectors of vm and vn. */
static void add_indirect(const kiln_device_state *device, struct sets *sets, size_t m, size_t n,
                         size_t dm, size_t dn, size_t vm, size_t vn)
{
    enum { K = 32, FEWEST = 8, MOST = 64 /* floats of an item */ };
    size_t floats = m / dm * (n / dn);
    if (m % (dm * vm) || n % (dn * vn) || floats < FEWEST || floats > MOST || vm > 4 || vn > 4)
        return;
    for (size_t local = 0; local < 2; local++) /* both operands through local memory, or none */
        if (fits(device, dm * dn, local * K * (m + n)))
            add(sets,
                &(struct set){{0, 1, K, 2, dm, dm, m, dn, dn, n, local, local, 0, 0, vm, vn}});
}

static void add_direct(const kiln_device_state *device, struct sets *sets, size_t side, size_t dm,
                       size_t dn, size_t vm, size_t vn)
{
    if (side % (dm * vm) || side % (dn * vn) || side % dm || side % dn)
        return;
    if (fits(device, dm * dn, 2 * side * (side + 1)))
        add(sets, &(struct set){{2, dm, dm, dn, dn, 1, 1, vm, vn, side}});
}

static void list(const kiln_device_state *device, int kernel, struct sets *sets)
{
    static const size_t sides[2][3] = {{32, 64, 128}, {8, 16, 32}}, groups[] = {8, 16, 32},
                        vectors[] = {1, 2, 4, 8};
    for (int i = 0; i < 3 * 3 * 3 * 3 * 4 * 4; i++) {
        size_t m = sides[kernel][i % 3], n = sides[kernel][i / 3 % 3], dm = groups[i / 9 % 3],
               dn = groups[i / 27 % 3], vm = vectors[i / 81 % 4], vn = vectors[i / 324];
        if (kernel == INDIRECT)
            add_indirect(device, sets, m, n, dm, dn, vm, vn);
        else if (m == n)
            add_direct(device, sets, m, dm, dn, vm, vn);
    }
    /* mixed, so that a budget that ends early has seen every kind */
    uint32_t random = 12345;
    for (int i = sets->n - 1; i > 0; i--) {
        random = random * 1664525u + 1013904223u;
        int j = (int)((random >> 8) % (uint32_t)(i + 1));
        struct set other = sets->sets[i];
        sets->sets[i] = sets->sets[j];
        sets->sets[j] = other;
    }
}

/* --- measuring ------------------------------------------------------------------------------ */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Seconds of a product, the least of some; negative if it fails or is wrong. */
static double seconds_of(kiln_device_state *device, struct cl_blast_product *product)
{
    enum { ROUNDS = 3, LEAST_US = 2000, MOST = 64 };
    if (!cl_blast_product_is_right(device, product))
        return -1;
    double best = -1;
    int calls = 1;
    for (int round = 0; round < ROUNDS; round++) {
        double start = now();
        for (int i = 0; i < calls; i++)
            if (cl_blast_multiply(device, &product->step, &product->at))
                return -1;
        if (clFinish(device->queue) != CL_SUCCESS)
            return -1;
        double took = (now() - start) / calls;
        best = best < 0 || took < best ? took : best;
        if (round == 0)
            calls = took * MOST < LEAST_US * 1e-6 ? MOST : (int)(LEAST_US * 1e-6 / took) + 1;
    }
    return best;
}

/* The fastest set within the time, of those that take less than *before; at
 * return *before is its time. False if there is none. */
static bool search(kiln_device_state *device, int kernel, struct cl_blast_product *product,
                   double deadline, double *before, struct set *best)
{
    struct sets sets = {.sets = malloc(MAX_SETS * sizeof *sets.sets)};
    bool found = false;
    if (sets.sets)
        list(device, kernel, &sets);
    for (int i = 0; i < sets.n && now() < deadline; i++) {
        double took = override(device, kernel, &sets.sets[i]) ? seconds_of(device, product) : -1;
        if (took < 0 || took >= *before)
            continue;
        *before = took;
        *best = sets.sets[i];
        found = true;
    }
    free(sets.sets);
    return found && override(device, kernel, best);
}

/* The side of a cube from which the larger kernel is faster. */
static size_t find_threshold(kiln_device_state *device)
{
    static const int64_t sides[] = {64, 128, 256, 512, 1024, 2048};
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        struct cl_blast_product product;
        double seconds[2] = {-1, -1};
        bool made = cl_blast_product_create(device, 1, sides[i], false, false, &product);
        for (int kernel = 0; kernel < 2 && made; kernel++)
            if (set_threshold(device, kernel == INDIRECT ? 1 : HUGE_SIDE))
                seconds[kernel] = seconds_of(device, &product);
        cl_blast_product_destroy(device, &product);
        if (seconds[INDIRECT] > 0 && seconds[INDIRECT] < seconds[DIRECT])
            return (size_t)sides[i];
    }
    return HUGE_SIDE;
}

static void append(char *text, size_t size, int kernel, const struct set *set)
{
    size_t used = strlen(text);
    used +=
        (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "", kernels[kernel].name);
    for (int i = 0; i < kernels[kernel].n && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, " %zu", set->values[i]);
}

/* Finds a kernel's set; false if none is faster than the library's own. */
static bool tune(kiln_device_state *device, int kernel, double deadline, struct set *best)
{
    static const int64_t sides[2] = {[INDIRECT] = 1024, [DIRECT] = 250};
    const double worthwhile = 0.95;
    struct cl_blast_product product;
    double own = -1, least;
    if (cl_blast_product_create(device, 1, sides[kernel], false, false, &product))
        own = seconds_of(device, &product);
    least = own * worthwhile;
    bool found = own > 0 && set_threshold(device, kernel == INDIRECT ? 1 : HUGE_SIDE) &&
                 search(device, kernel, &product, deadline, &least, best);
    cl_blast_product_destroy(device, &product);
    return found;
}

enum kiln_status cl_blast_measure(kiln_device_state *device, double seconds, char *text,
                                  size_t size, struct kiln_error *error)
{
    struct set best[KERNELS];
    bool found[2];
    *text = '\0';
    if (!cl_blast_usable(device)) /* one that was not to be tried may be tried later */
        return device->cpu_like || device->blast < 0
                   ? KILN_OK
                   : kiln_fail(error, KILN_MACHINE, "opencl: CLBlast is turned off");
    double start = now();
    found[DIRECT] = tune(device, DIRECT, start + 0.25 * seconds, &best[DIRECT]);
    found[INDIRECT] = tune(device, INDIRECT, start + seconds, &best[INDIRECT]);
    if (found[INDIRECT] && found[DIRECT])
        best[ROUTINE] = (struct set){{find_threshold(device)}};
    for (int kernel = 0; kernel < KERNELS; kernel++)
        if (kernel == ROUTINE ? found[INDIRECT] && found[DIRECT] : found[kernel])
            append(text, size, kernel, &best[kernel]);
    return KILN_OK;
}

/* --- use ----------------------------------------------------------------------------------- */

/* Reads " 0 1 32": n values below HUGE_SIDE + 1; returns the end, or NULL. */
static const char *read_values(const char *text, int n, struct set *set)
{
    for (int i = 0; i < n && text; i++) {
        char *end = NULL;
        if (text[0] != ' ' || text[1] < '0' || text[1] > '9')
            return NULL;
        unsigned long value = strtoul(text + 1, &end, 10);
        if (value > HUGE_SIDE)
            return NULL;
        set->values[i] = value;
        text = end;
    }
    return text;
}

bool cl_blast_use(kiln_device_state *device, const char *text)
{
    struct set sets[KERNELS];
    bool given[KERNELS] = {0};
    const char *at = text;
    if (device->lost || strlen(text) >= sizeof device->blast_parameters)
        return false;
    if (strcmp(text, device->blast_parameters) == 0) /* else its programs would be built again */
        return true;
    for (int i = 0; i < KERNELS && at; i++) {
        const char *separator = at > text ? ", " : "";
        size_t head = strlen(separator), length = strlen(kernels[i].name);
        given[i] = !strncmp(at, separator, head) && !strncmp(at + head, kernels[i].name, length) &&
                   at[head + length] == ' ';
        if (given[i])
            at = read_values(at + head + length, kernels[i].n, &sets[i]);
    }
    if (!at || *at)
        return false;
    for (int i = 0; i < KERNELS; i++)
        if (given[i] && !override(device, i, &sets[i]))
            return false;
    snprintf(device->blast_parameters, sizeof device->blast_parameters, "%s", text);
    device->blast = 0; /* to be checked with them */
    return true;
}

#else

enum kiln_status cl_blast_measure(kiln_device_state *device, double seconds, char *text,
                                  size_t size, struct kiln_error *error)
{
    (void)device, (void)seconds, (void)size;
    *text = '\0';
    return kiln_fail(error, KILN_MACHINE, "opencl: CLBlast is not built in");
}

bool cl_blast_use(kiln_device_state *device, const char *text)
{
    (void)device;
    return !*text;
}

#endif
