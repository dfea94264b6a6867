/*
 * A session runs graphs on one device: it holds the model's states and the
 * resident data in device memory and compiles graphs into executables that
 * share them.
 *
 *     kiln_session_create -> kiln_session_group... -> kiln_session_prepare
 *         -> kiln_session_state_set / kiln_session_initialise
 *         -> kiln_executable_create for each graph -> write, run, read
 *
 * All calls of a session come from one thread.
 */
#ifndef KILN_DEVICE_SESSION_H
#define KILN_DEVICE_SESSION_H

#include "core/device/device.h"
#include "core/plan/plan.h"

typedef struct kiln_session kiln_session;
typedef struct kiln_executable kiln_executable;

struct kiln_session_options {
    bool fuse;           /* default of compile options */
    bool tune;           /* time candidates and layouts; false: first choices */
    double tune_seconds; /* budget of one session */
    bool stats;          /* keep profiles (profile.h); slower */
    bool no_winograd;    /* leave Winograd's algorithms out of the choice */
    bool half;           /* kiln_plan_options.half */
    /* For tests. */
    bool poison;       /* memory that holds no live value is NaN (all bits set) */
    bool no_reuse;     /* no two values of a plan share memory */
    int candidate;     /* without tune: take the candidate of this number, or the last */
    bool force_layout; /* feature maps are stored in layout */
    enum kiln_layout layout;
};

struct kiln_compile_options {
    bool use_ema, keep, unfused;
};

/* A tensor of the data set that stays on the device. */
struct kiln_resident {
    const char *name;
    enum kiln_dtype dtype;
    struct kiln_shape shape;
    const void *data; /* dense */
};

enum kiln_status kiln_session_create(kiln_device *, const struct kiln_session_options *,
                                     kiln_session **, struct kiln_error *);
void kiln_session_destroy(kiln_session **);
/* As kiln_states_group. Before prepare. */
enum kiln_status kiln_session_group(kiln_session *, const char *prefix, struct kiln_update,
                                    struct kiln_error *);
/*
 * Collects the states of all graphs that the session will run, chooses the
 * feature layout (the graphs[0] decides, timed if tuning is on) and the
 * storage layouts, allocates state and data memory and uploads the data.
 * Memory that does not fit is KILN_MACHINE and says need and limit.
 */
enum kiln_status kiln_session_prepare(kiln_session *, int n_graphs, kiln_graph *const *graphs,
                                      int n_resident, const struct kiln_resident *,
                                      struct kiln_error *);

const kiln_states *kiln_session_states(const kiln_session *);
kiln_device *kiln_session_device(const kiln_session *);
/* First values of all states by (seed, name), the same on every device; the
 * EMA starts equal, moments zero. */
enum kiln_status kiln_session_initialise(kiln_session *, uint64_t seed, struct kiln_error *);
/* Dense row-major host arrays of the state's shape, f32 or i32. A part that is
 * not kept: get and set fail with KILN_INPUT. get waits for the device. */
enum kiln_status kiln_session_state_get(kiln_session *, int state, enum kiln_state_part, void *out,
                                        struct kiln_error *);
enum kiln_status kiln_session_state_set(kiln_session *, int state, enum kiln_state_part,
                                        const void *in, struct kiln_error *);

/* One line: what was chosen and by which libraries, for the hash of choices. */
const char *kiln_session_choices(const kiln_session *);

enum kiln_status kiln_executable_create(kiln_session *, const kiln_graph *,
                                        const struct kiln_compile_options *, kiln_executable **,
                                        struct kiln_error *);
void kiln_executable_destroy(kiln_executable **);
const struct kiln_plan *kiln_executable_plan(const kiln_executable *);
/* Copies dense values to an input; enqueued, source reusable at return. An
 * input the plan dropped as dead is accepted silently; other unknown names and
 * sizes are KILN_INPUT. */
enum kiln_status kiln_executable_write(kiln_executable *, const char *input, const void *data,
                                       int64_t bytes, struct kiln_error *);
/* Enqueues one execution; without the plan's prepared steps where what they
 * stored in an earlier one still holds. */
enum kiln_status kiln_executable_run(kiln_executable *, struct kiln_error *);
/* Waits and copies an output to dense row-major host memory. */
enum kiln_status kiln_executable_read(kiln_executable *, const char *output, void *data,
                                      int64_t bytes, struct kiln_error *);
/* Comparisons. Enqueues some steps of an execution: first .. first + count - 1. */
enum kiln_status kiln_executable_run_steps(kiln_executable *, int first, int count,
                                           struct kiln_error *);
/* With compile option keep: the value of a materialised node, dense, in the
 * dtype of its place. */
enum kiln_status kiln_executable_read_value(kiln_executable *, int value, void *data, int64_t bytes,
                                            struct kiln_error *);

/* Puts another value in its place. */
enum kiln_status kiln_executable_write_value(kiln_executable *, int value, const void *data,
                                             int64_t bytes, struct kiln_error *);

#endif
