/* Timing candidates against each other. */
#include "core/device/measure.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "core/base/log.h"
#include "core/device/measure_setup.h"

/* Largest accepted norm of a difference over the norm of the result: f32 sums
 * of any order stay below 1e-6, Winograd's F(4,3) below 1e-5. */
#define AGREEMENT 1e-4

/* A sample lasts about this long: more than the clock and the wait at its end,
 * and short enough that on a busy machine some samples stay undisturbed. */
#define SAMPLE_SECONDS 2e-4
/* A candidate is sampled at most this long, but LEAST_ROUNDS times. */
#define CANDIDATE_SECONDS 0.1
/* Another than the first must be faster by more than measuring can err. */
#define MARGIN 0.95

enum { MOST_ROUNDS = 60, LEAST_ROUNDS = 4, MOST_REPETITIONS = 64 };

double kiln_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Seconds per execution, or -1 if it fails. */
static double sample(struct kiln_bench *bench, int i, int repetitions)
{
    const struct kiln_backend *backend = kiln_device_backend(bench->device);
    kiln_device_state *state = kiln_device_backend_state(bench->device);
    double start = kiln_seconds();
    for (int r = 0; r < repetitions; r++)
        if (backend->exec_run(state, bench->trials[i].exec, 0, 1, NULL))
            return -1;
    if (backend->finish(state, NULL))
        return -1;
    return (kiln_seconds() - start) / repetitions;
}

/* Norm of the difference over the norm; NaN agrees with NaN only. */
static double difference(const float *reference, const float *other, int64_t n)
{
    double norm = 0, error = 0;
    for (int64_t i = 0; i < n; i++) {
        if (isnan(reference[i]) || isnan(other[i])) {
            if (!isnan(reference[i]) || !isnan(other[i]))
                return INFINITY;
            continue;
        }
        double d = (double)other[i] - reference[i];
        norm += (double)reference[i] * reference[i];
        error += d * d;
    }
    return error == 0 ? 0 : sqrt(error / (norm > 0 ? norm : 1e-30));
}

/* Prepares trial i and checks its result. The first trial's result stays in the
 * first half of the host memory. */
static void check_trial(struct kiln_bench *bench, int i, const struct kiln_candidate *candidate,
                        const char *label, struct kiln_measured *measured)
{
    const struct kiln_backend *backend = kiln_device_backend(bench->device);
    struct kiln_trial *trial = &bench->trials[i];
    kiln_memory *regions[KILN_REGION_COUNT] = {[KILN_REGION_WORKSPACE] = bench->memory};
    struct kiln_error error = {""};
    measured->dropped = true;
    if (backend->exec_create(kiln_device_backend_state(bench->device), &trial->steps, regions,
                             &trial->exec, &error) ||
        sample(bench, i, 1) < 0) {
        kiln_log_line(KILN_LOG_WARNING, "%s: algorithm %s of %s fails and is not used: %s",
                      kiln_device_name(bench->device), candidate->name, label, error.text);
        return;
    }
    float *result = i ? bench->host + bench->host_elements : bench->host;
    int64_t n = kiln_bench_result(bench, i, result);
    if (i)
        measured->difference = difference(bench->host, result, n);
    measured->dropped = !(measured->difference <= AGREEMENT);
    if (measured->dropped)
        kiln_log_line(KILN_LOG_WARNING,
                      "%s: algorithm %s of %s is wrong by %.1e of its result and is not used",
                      kiln_device_name(bench->device), candidate->name, label,
                      measured->difference);
}

struct race {
    double best, second, third; /* the least samples */
    double total;               /* seconds of all */
    int repetitions;
    bool agreed, lost;
};

static void keep_least(struct race *race, double seconds)
{
    double *const least[] = {&race->best, &race->second, &race->third};
    for (int i = 0; i < 3; i++)
        if (!*least[i] || seconds < *least[i]) {
            double pushed = *least[i];
            *least[i] = seconds;
            seconds = pushed;
            if (!pushed)
                return;
        }
}

/* One sample of a trial that may still win. */
static void run_sample(struct kiln_bench *bench, int i, struct race *race, double fastest,
                       int round, struct kiln_measured *measured)
{
    if (!race->repetitions) { /* caches are warm since the check */
        double once = sample(bench, i, 1);
        double repetitions = once > 0 ? ceil(SAMPLE_SECONDS / once) : 1;
        race->repetitions = repetitions < MOST_REPETITIONS ? (int)repetitions : MOST_REPETITIONS;
    }
    double seconds = sample(bench, i, race->repetitions);
    if (seconds < 0) {
        measured->dropped = true;
        return;
    }
    keep_least(race, seconds);
    race->total += seconds * race->repetitions;
    measured->seconds = race->best;
    race->lost = fastest > 0 && race->best > 1.5 * fastest && round >= LEAST_ROUNDS;
    race->agreed = race->third > 0 && race->third <= 1.05 * race->best;
}

static int fastest_of(int n, const struct kiln_measured *measured)
{
    int fastest = -1;
    for (int i = 0; i < n; i++)
        if (!measured[i].dropped && measured[i].seconds > 0 &&
            (fastest < 0 || measured[i].seconds < measured[fastest].seconds))
            fastest = i;
    return fastest;
}

/* Candidates that may still win are sampled equally often: a quiet moment that
 * only one of them saw would decide otherwise. */
static int race(struct kiln_bench *bench, double deadline, struct kiln_measured *measured)
{
    struct race races[KILN_MAX_CANDIDATES] = {{0}};
    bool running = true;
    for (int round = 0; round < MOST_ROUNDS && running; round++) {
        running = false;
        for (int i = 0; i < bench->n; i++) {
            if (measured[i].dropped || races[i].lost)
                continue;
            int best = fastest_of(bench->n, measured);
            run_sample(bench, i, &races[i], best < 0 ? 0 : measured[best].seconds, round,
                       &measured[i]);
            running = running || (!races[i].agreed && races[i].total < CANDIDATE_SECONDS);
        }
        running = (running || round + 1 < LEAST_ROUNDS) && kiln_seconds() < deadline;
    }
    int fastest = fastest_of(bench->n, measured);
    bool first_will_do = fastest > 0 && !measured[0].dropped && measured[0].seconds > 0 &&
                         measured[fastest].seconds > MARGIN * measured[0].seconds;
    return first_will_do ? 0 : fastest;
}

int kiln_measure_step(kiln_device *device, const struct kiln_step *step, int n,
                      const struct kiln_candidate *candidates, double budget_seconds,
                      struct kiln_measured *measured, double *spent)
{
    double start = kiln_seconds();
    struct kiln_bench bench;
    int fastest = -1;
    const char *label =
        step->label && step->label[0] ? step->label : kiln_step_kind_name(step->kind);
    memset(measured, 0, (size_t)n * sizeof *measured);
    if (!kiln_bench_create(device, step, n, candidates, &bench, NULL)) {
        for (int i = 0; i < n && (i == 0 || !measured[0].dropped); i++)
            check_trial(&bench, i, &candidates[i], label, &measured[i]);
        if (!measured[0].dropped)
            fastest = race(&bench, start + budget_seconds, measured);
    }
    kiln_bench_finish(&bench);
    *spent = kiln_seconds() - start;
    return fastest;
}
