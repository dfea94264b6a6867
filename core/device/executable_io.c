/* Inputs, outputs and values of an executable, in logical order. */
#include <stdlib.h>
#include <string.h>

#include "core/device/session_state.h"

enum kiln_status kiln_executable_write(kiln_executable *e, const char *input, const void *data,
                                       int64_t bytes, struct kiln_error *error)
{
    const struct kiln_input_name *name = NULL;
    for (int i = 0; i < e->n_names && !name; i++)
        if (strcmp(e->names[i].name, input) == 0)
            name = &e->names[i];
    if (!name)
        return kiln_fail(error, KILN_INPUT, "input %s: the graph has no such input", input);
    if (name->bytes != bytes)
        return kiln_fail(error, KILN_INPUT, "input %s: %lld bytes given, %lld expected", input,
                         (long long)bytes, (long long)name->bytes);
    for (int i = 0; i < e->session->n_data; i++)
        if (strcmp(e->session->data[i].name, input) == 0)
            return kiln_fail(error, KILN_INPUT, "input %s: it is resident data and is not written",
                             input);
    for (int i = 0; i < e->plan->n_inputs; i++) {
        const struct kiln_plan_binding *binding = &e->plan->inputs[i];
        if (strcmp(binding->name, input) != 0)
            continue;
        return e->session->backend->write(e->session->state, e->regions[KILN_REGION_IO],
                                          binding->place.offset, data, bytes, error);
    }
    return KILN_OK;
}

/* The stored elements that a view reaches. */
struct span {
    int64_t offset, bytes; /* in the region */
    struct kiln_view view; /* within the span */
    char *data;            /* malloc'd */
};

static enum kiln_status find_span(const kiln_executable *e, const struct kiln_place *place,
                                  const struct kiln_view *view, struct span *span,
                                  struct kiln_error *error)
{
    int64_t low = view->offset, high = view->offset, size = (int64_t)kiln_dtype_bytes(place->dtype);
    for (int axis = 0; axis < view->n; axis++)
        for (int i = 0; i < view->n_digits[axis]; i++) {
            const struct kiln_digit *digit = &view->digits[axis][i];
            *(digit->stride < 0 ? &low : &high) += (digit->extent - 1) * digit->stride;
        }
    *span = (struct span){place->offset + low * size, (high - low + 1) * size, *view, NULL};
    span->view.offset -= low;
    if (!e->regions[place->region] || span->offset < 0 ||
        span->bytes > e->plan->steps.region_bytes[place->region] - span->offset)
        return kiln_fail(error, KILN_INPUT, "plan: a value lies outside its region");
    return KILN_OK;
}

static enum kiln_status copy_span(kiln_executable *e, const struct kiln_place *place,
                                  const struct span *span, char *out, struct kiln_error *error)
{
    return e->session->backend->read(e->session->state, e->regions[place->region], span->offset,
                                     out, span->bytes, error);
}

/* Reads the span of a view. */
static enum kiln_status read_span(kiln_executable *e, const struct kiln_place *place,
                                  const struct kiln_view *view, struct span *span,
                                  struct kiln_error *error)
{
    enum kiln_status status = find_span(e, place, view, span, error);
    if (status)
        return status;
    span->data = malloc((size_t)span->bytes);
    if (!span->data)
        return kiln_fail(error, KILN_MACHINE, "out of memory for a copy of %lld bytes",
                         (long long)span->bytes);
    return copy_span(e, place, span, span->data, error);
}

static bool is_dense(const struct kiln_view *view)
{
    int64_t stride = 1;
    for (int axis = view->n - 1; axis >= 0; axis--)
        for (int i = view->n_digits[axis] - 1; i >= 0; i--) {
            const struct kiln_digit *digit = &view->digits[axis][i];
            if (digit->extent > 1 && digit->stride != stride)
                return false;
            stride *= digit->extent;
        }
    return true;
}

/* Copies the elements of a view to a dense host array. */
static enum kiln_status read_view(kiln_executable *e, const struct kiln_place *place,
                                  const struct kiln_view *view, const struct kiln_shape *shape,
                                  char *data, struct kiln_error *error)
{
    struct span span;
    enum kiln_status status = KILN_OK;
    if (is_dense(view)) {
        status = find_span(e, place, view, &span, error);
        return status ? status : copy_span(e, place, &span, data, error);
    }
    status = read_span(e, place, view, &span, error);
    if (!status)
        kiln_view_unpack(&span.view, kiln_shape_count(shape), kiln_dtype_bytes(place->dtype),
                         span.data, data);
    free(span.data);
    return status;
}

enum kiln_status kiln_executable_read(kiln_executable *e, const char *output, void *data,
                                      int64_t bytes, struct kiln_error *error)
{
    for (int i = 0; i < e->plan->n_outputs; i++) {
        const struct kiln_plan_binding *binding = &e->plan->outputs[i];
        if (strcmp(binding->name, output) != 0)
            continue;
        int64_t size =
            kiln_shape_count(&binding->shape) * (int64_t)kiln_dtype_bytes(binding->place.dtype);
        if (size != bytes)
            return kiln_fail(error, KILN_INPUT, "output %s: %lld bytes asked for, it has %lld",
                             output, (long long)bytes, (long long)size);
        return read_view(e, &binding->place, &binding->view, &binding->shape, data, error);
    }
    return kiln_fail(error, KILN_INPUT, "output %s: the graph has no such output", output);
}

static enum kiln_status find_value(const kiln_executable *e, int value, int64_t bytes,
                                   const struct kiln_plan_value **found, struct kiln_error *error)
{
    if (value < 0 || value >= e->plan->n_values)
        return kiln_fail(error, KILN_INPUT, "value %d: the plan has %d values", value,
                         e->plan->n_values);
    *found = &e->plan->values[value];
    int64_t size =
        kiln_shape_count(&(*found)->shape) * (int64_t)kiln_dtype_bytes((*found)->place.dtype);
    if (size != bytes)
        return kiln_fail(error, KILN_INPUT, "value %d: %lld bytes given, it has %lld", value,
                         (long long)bytes, (long long)size);
    return KILN_OK;
}

enum kiln_status kiln_executable_read_value(kiln_executable *e, int value, void *data,
                                            int64_t bytes, struct kiln_error *error)
{
    const struct kiln_plan_value *v = NULL;
    enum kiln_status status = find_value(e, value, bytes, &v, error);
    return status ? status : read_view(e, &v->place, &v->view, &v->shape, data, error);
}

enum kiln_status kiln_executable_write_value(kiln_executable *e, int value, const void *data,
                                             int64_t bytes, struct kiln_error *error)
{
    const struct kiln_plan_value *v = NULL;
    struct span span;
    enum kiln_status status = find_value(e, value, bytes, &v, error);
    if (status)
        return status;
    status = read_span(e, &v->place, &v->view, &span, error);
    if (!status) {
        kiln_view_pack(&span.view, kiln_shape_count(&v->shape), kiln_dtype_bytes(v->place.dtype),
                       data, span.data);
        status = e->session->backend->write(e->session->state, e->regions[v->place.region],
                                            span.offset, span.data, span.bytes, error);
    }
    free(span.data);
    return status;
}
