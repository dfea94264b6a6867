/* The tables of fields. A new field of results has its row here. */
#include "core/bench/suite_fields.h"

#include "core/bench/suite.h"

#define ROW(name, object, type, member, optional)                                                  \
    {                                                                                              \
        name, KILN_FIELD_##type, offsetof(struct object, member),                                  \
            sizeof(((struct object *)NULL)->member), optional                                      \
    }
#define FIELD(object, type, member)       ROW(#member, object, type, member, false)
#define NAMED(object, type, member, name) ROW(name, object, type, member, false)
/* Files of earlier versions lack it. */
#define LATER(object, type, member) ROW(#member, object, type, member, true)

/* clang-format off */
const struct kiln_field kiln_suite_fields[] = {
    FIELD(kiln_suite, INT, format),
    NAMED(kiln_suite, INT, version, "suite"),
    FIELD(kiln_suite, TEXT, kiln),
    FIELD(kiln_suite, TEXT, started),
    FIELD(kiln_suite, BOOL, quick),
    FIELD(kiln_suite, BOOL, tuned),
    LATER(kiln_suite, BOOL, round_products),
    {0},
};

const struct kiln_field kiln_host_fields[] = {
    NAMED(kiln_suite, TEXT, host, "processor"),
    FIELD(kiln_suite, TEXT, system),
    FIELD(kiln_suite, TEXT, governor),
    NAMED(kiln_suite, INT, host_cores, "cores"),
    NAMED(kiln_suite, INT, host_clock_mhz, "clock_mhz"),
    NAMED(kiln_suite, LONG, host_memory_bytes, "memory_bytes"),
    {0},
};

const struct kiln_field kiln_device_fields[] = {
    FIELD(kiln_suite_device, TEXT, name),
    FIELD(kiln_suite_device, TEXT, device),
    FIELD(kiln_suite_device, TEXT, type),
    FIELD(kiln_suite_device, TEXT, vendor),
    FIELD(kiln_suite_device, TEXT, platform),
    FIELD(kiln_suite_device, TEXT, driver),
    FIELD(kiln_suite_device, TEXT, version),
    FIELD(kiln_suite_device, TEXT, libraries),
    FIELD(kiln_suite_device, INT, threads),
    FIELD(kiln_suite_device, INT, compute_units),
    FIELD(kiln_suite_device, INT, clock_mhz),
    FIELD(kiln_suite_device, LONG, memory_bytes),
    FIELD(kiln_suite_device, NUMBER, peak_flops),
    FIELD(kiln_suite_device, NUMBER, launch_seconds),
    FIELD(kiln_suite_device, NUMBER, wait_seconds),
    FIELD(kiln_suite_device, TEXT, failure),
    {0},
};

const struct kiln_field kiln_op_fields[] = {
    FIELD(kiln_suite_op, TEXT, device),
    FIELD(kiln_suite_op, TEXT, name),
    FIELD(kiln_suite_op, TEXT, family),
    FIELD(kiln_suite_op, TEXT, algorithm),
    FIELD(kiln_suite_op, TEXT, layout),
    FIELD(kiln_suite_op, NUMBER, flops),
    FIELD(kiln_suite_op, NUMBER, bytes),
    FIELD(kiln_suite_op, LEVEL, error),
    FIELD(kiln_suite_op, TIMES, times),
    FIELD(kiln_suite_op, TEXT, failure),
    {0},
};

const struct kiln_field kiln_model_fields[] = {
    FIELD(kiln_suite_model, TEXT, device),
    FIELD(kiln_suite_model, TEXT, name),
    FIELD(kiln_suite_model, TEXT, config),
    FIELD(kiln_suite_model, LONG, parameters),
    FIELD(kiln_suite_model, LONG, batch),
    FIELD(kiln_suite_model, LONG, images_per_step),
    FIELD(kiln_suite_model, TIMES, step),
    FIELD(kiln_suite_model, TIMES, sample),
    FIELD(kiln_suite_model, LONG, n_samples),
    FIELD(kiln_suite_model, LONG, gate_steps),
    FIELD(kiln_suite_model, NUMBER, loss),
    FIELD(kiln_suite_model, NUMBER, reference),
    FIELD(kiln_suite_model, NUMBER, tolerance),
    FIELD(kiln_suite_model, BOOL, gate_passed),
    FIELD(kiln_suite_model, NUMBER, cold_seconds),
    FIELD(kiln_suite_model, NUMBER, warm_seconds),
    FIELD(kiln_suite_model, LONG, device_bytes),
    FIELD(kiln_suite_model, LONG, memory_bytes),
    FIELD(kiln_suite_model, TEXT, failure),
    FIELD(kiln_suite_model, TEXT, start_failure),
    {0},
};
/* clang-format on */
