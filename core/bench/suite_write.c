/* Results as JSON. */
#include <math.h>

#include "core/base/json.h"
#include "core/bench/suite_fields.h"
#include "core/bench/suite_file.h"

static void write_or_null(struct kiln_json *json, const char *key, double value)
{
    kiln_json_number(json, key, value != 0 ? value : NAN); /* NaN is written as null */
}

static void write_long_or_null(struct kiln_json *json, const char *key, int64_t value)
{
    if (value)
        kiln_json_int(json, key, value);
    else
        kiln_json_number(json, key, NAN);
}

static void write_times(struct kiln_json *json, const char *key,
                        const struct kiln_suite_times *times)
{
    if (!times->n) {
        kiln_json_string(json, key, NULL);
        return;
    }
    kiln_json_object(json, key);
    kiln_json_number(json, "median", times->median);
    kiln_json_number(json, "p10", times->p10);
    kiln_json_number(json, "p90", times->p90);
    kiln_json_int(json, "samples", times->n);
    kiln_json_int(json, "dropped", times->dropped);
    kiln_json_bool(json, "disturbed", times->disturbed);
    kiln_json_end(json);
}

static void write_field(struct kiln_json *json, const struct kiln_field *field, const void *object)
{
    const char *at = (const char *)object + field->offset;
    switch (field->type) {
    case KILN_FIELD_TEXT:
        kiln_json_string(json, field->name, *at ? at : NULL);
        break;
    case KILN_FIELD_INT:
        write_long_or_null(json, field->name, *(const int *)(const void *)at);
        break;
    case KILN_FIELD_LONG:
        write_long_or_null(json, field->name, *(const int64_t *)(const void *)at);
        break;
    case KILN_FIELD_NUMBER:
        write_or_null(json, field->name, *(const double *)(const void *)at);
        break;
    case KILN_FIELD_LEVEL:
        kiln_json_number(json, field->name, *(const double *)(const void *)at);
        break;
    case KILN_FIELD_BOOL:
        kiln_json_bool(json, field->name, *(const bool *)at);
        break;
    case KILN_FIELD_TIMES:
        write_times(json, field->name, (const struct kiln_suite_times *)(const void *)at);
        break;
    }
}

static void write_fields(struct kiln_json *json, const struct kiln_field *fields,
                         const void *object)
{
    for (int i = 0; fields[i].name; i++)
        write_field(json, &fields[i], object);
}

static void write_device(struct kiln_json *json, const struct kiln_suite_device *device)
{
    kiln_json_object(json, NULL);
    write_fields(json, kiln_device_fields, device);
    kiln_json_array(json, "bandwidths");
    for (int i = 0; i < device->n_bandwidths; i++) {
        kiln_json_object(json, NULL);
        kiln_json_number(json, "bytes", device->bandwidths[i].bytes);
        kiln_json_number(json, "bytes_per_second", device->bandwidths[i].bytes_per_second);
        kiln_json_end(json);
    }
    kiln_json_end(json);
    kiln_json_end(json);
}

/* Besides its fields: rates, which readers of the file want and this program
 * computes again. */
static void write_op(struct kiln_json *json, const struct kiln_suite *suite,
                     const struct kiln_suite_op *op)
{
    const struct kiln_suite_device *device = kiln_suite_find_device(suite, op->device);
    double seconds = op->times.median, limit = device ? kiln_suite_limit(device, op) : 0;
    kiln_json_object(json, NULL);
    write_fields(json, kiln_op_fields, op);
    write_or_null(json, "gflops", seconds > 0 ? 1e-9 * op->flops / seconds : 0);
    write_or_null(json, "gbytes_per_second", seconds > 0 ? 1e-9 * op->bytes / seconds : 0);
    write_or_null(json, "percent_of_peak", seconds > 0 ? 100 * limit / seconds : 0);
    kiln_json_end(json);
}

static void write_model(struct kiln_json *json, const struct kiln_suite_model *model)
{
    double seconds = model->step.median, drawing = model->sample.median;
    kiln_json_object(json, NULL);
    write_fields(json, kiln_model_fields, model);
    write_or_null(json, "steps_per_second", seconds > 0 ? 1 / seconds : 0);
    write_or_null(json, "images_per_second",
                  seconds > 0 ? (double)model->images_per_step / seconds : 0);
    write_or_null(json, "samples_per_second", drawing > 0 ? (double)model->n_samples / drawing : 0);
    kiln_json_end(json);
}

void kiln_suite_write(const struct kiln_suite *suite, struct kiln_text *text)
{
    struct kiln_json json = kiln_json_start(text);
    kiln_json_object(&json, NULL);
    kiln_json_string(&json, "kind", "kiln bench");
    write_fields(&json, kiln_suite_fields, suite);
    kiln_json_object(&json, "host");
    write_fields(&json, kiln_host_fields, suite);
    kiln_json_end(&json);
    kiln_json_array(&json, "devices");
    for (size_t i = 0; i < suite->n_devices; i++)
        write_device(&json, &suite->devices[i]);
    kiln_json_end(&json);
    kiln_json_array(&json, "ops");
    for (size_t i = 0; i < suite->n_ops; i++)
        write_op(&json, suite, &suite->ops[i]);
    kiln_json_end(&json);
    kiln_json_array(&json, "models");
    for (size_t i = 0; i < suite->n_models; i++)
        write_model(&json, &suite->models[i]);
    kiln_json_end(&json);
    kiln_json_end(&json);
    kiln_text_append(text, "\n");
}
