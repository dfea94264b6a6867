/* Checking steps before a backend sees them. */
#include "core/device/validate.h"

/* Faults are constants; NULL is none. */

static const char *place_fault(const struct kiln_place *place, int64_t low, int64_t high, bool loop,
                               const struct kiln_steps *steps)
{
    if ((unsigned)place->region >= KILN_REGION_COUNT || (unsigned)place->dtype >= KILN_DTYPE_COUNT)
        return "an operand has no region or dtype";
    int64_t size = (int64_t)kiln_dtype_bytes(place->dtype);
    if (place->offset % (loop ? size : KILN_PLACE_ALIGNMENT))
        return "an operand is misaligned";
    if (place->offset < 0 || place->offset > INT64_MAX / 2 || place->offset + low * size < 0 ||
        place->offset + high * size > steps->region_bytes[place->region])
        return "an operand reaches outside its region";
    return NULL;
}

static bool overlap(const struct kiln_operand *a, const struct kiln_operand *b)
{
    if (a->place->region != b->place->region)
        return false;
    int64_t a_size = (int64_t)kiln_dtype_bytes(a->place->dtype),
            b_size = (int64_t)kiln_dtype_bytes(b->place->dtype);
    return a->place->offset + a->low * a_size < b->place->offset + b->high * b_size &&
           b->place->offset + b->low * b_size < a->place->offset + a->high * a_size;
}

/* Only loops and updates may write what they read. */
static const char *alias_fault(int n, const struct kiln_operand *operands)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            if (i != j && operands[i].written && overlap(&operands[i], &operands[j]))
                return "an output overlaps another operand";
    return NULL;
}

static bool has_dtype(enum kiln_dtype dtype, int n, const struct kiln_place *const *places)
{
    for (int i = 0; i < n; i++)
        if (places[i]->dtype != dtype)
            return false;
    return true;
}

#define ALL_F32(...)                                                                               \
    has_dtype(KILN_F32,                                                                            \
              (int)(sizeof((const struct kiln_place *[]){__VA_ARGS__}) / sizeof(void *)),          \
              (const struct kiln_place *[]){__VA_ARGS__})

/* Strides of a matrix: batch >= 0; rows or columns contiguous. */
static const char *matrix_fault(const int64_t stride[3], int64_t rows, int64_t columns)
{
    if (stride[0] < 0 || stride[1] < 0 || stride[2] < 0)
        return "a matrix has a negative stride";
    if (stride[1] != 1 && stride[2] != 1 && rows > 1 && columns > 1)
        return "a matrix has neither contiguous rows nor columns";
    return NULL;
}

static const char *matmul_fault(const struct kiln_step_matmul *m)
{
    if (!ALL_F32(&m->a, &m->b, &m->c))
        return "a matrix is not f32";
    if (m->c_stride[2] != 1 && m->n > 1)
        return "the product's columns are not contiguous";
    const char *fault = matrix_fault(m->a_stride, m->m, m->k);
    if (!fault)
        fault = matrix_fault(m->b_stride, m->k, m->n);
    return fault ? fault : matrix_fault(m->c_stride, m->m, m->n);
}

/* True if a window of size taps fits out times along an axis. */
static bool axis_fits(int64_t in, int64_t out, int64_t taps, int64_t stride, int64_t dilation,
                      int64_t before, int64_t after)
{
    if (stride < 1 || dilation < 1 || before < 0 || after < 0 || taps < 1)
        return false;
    int64_t room = in + before + after - dilation * (taps - 1) - 1;
    return room >= 0 && room / stride + 1 == out;
}

static const char *conv_fault(const struct kiln_step_conv *conv)
{
    const struct kiln_conv *g = &conv->conv;
    struct kiln_shape x = KILN_SHAPE(conv->n, conv->c, conv->h, conv->w);
    struct kiln_shape weight = KILN_SHAPE(conv->o, conv->c / g->groups, conv->kh, conv->kw);
    struct kiln_shape y = KILN_SHAPE(conv->n, conv->o, conv->oh, conv->ow);
    if (!ALL_F32(&conv->x, &conv->weight, &conv->y))
        return "a convolution's operand is not f32";
    if (!axis_fits(conv->h, conv->oh, conv->kh, g->stride[0], g->dilation[0], g->pad[0],
                   g->pad[1]) ||
        !axis_fits(conv->w, conv->ow, conv->kw, g->stride[1], g->dilation[1], g->pad[2], g->pad[3]))
        return "a convolution's sizes do not agree";
    if (!kiln_layout_fits(conv->x_layout, &x) || !kiln_layout_fits(conv->weight_layout, &weight) ||
        !kiln_layout_fits(conv->y_layout, &y))
        return "a layout does not fit its shape";
    return NULL;
}

static const char *window_fault(enum kiln_step_kind kind, const struct kiln_step_window *step)
{
    const struct kiln_window *w = &step->window;
    if (step->x.dtype != KILN_F32 || step->index.dtype != KILN_I32 ||
        (kind != KILN_STEP_WINDOW_ARGMAX && step->y.dtype != KILN_F32))
        return "a window's operand has the wrong dtype";
    for (int i = 0; i < 4; i++)
        if (w->pad[i] >= w->size[i / 2])
            return "a window may lie in the padding alone";
    if (!axis_fits(step->h, step->oh, w->size[0], w->stride[0], 1, w->pad[0], w->pad[1]) ||
        !axis_fits(step->w, step->ow, w->size[1], w->stride[1], 1, w->pad[2], w->pad[3]))
        return "a window's sizes do not agree";
    return step->h > INT32_MAX / step->w ? "a window's plane is too large for its index" : NULL;
}

static bool sparse_is_sound(const struct kiln_sparse *matrix)
{
    if (!matrix->row || matrix->row[0] != 0)
        return false;
    for (int64_t r = 0; r < matrix->n_rows; r++) {
        if (matrix->row[r + 1] < matrix->row[r])
            return false;
        for (int32_t j = matrix->row[r]; j < matrix->row[r + 1]; j++)
            if (matrix->column[j] < 0 || matrix->column[j] >= matrix->n_columns ||
                (j > matrix->row[r] && matrix->column[j] <= matrix->column[j - 1]))
                return false;
    }
    return true;
}

static const char *resample_fault(const struct kiln_step_resample *step)
{
    if (!ALL_F32(&step->x, &step->y))
        return "a resampling's operand is not f32";
    return sparse_is_sound(&step->vertical) && sparse_is_sound(&step->horizontal)
               ? NULL
               : "a resampling matrix is unsound";
}

static const char *rows_fault(enum kiln_step_kind kind, const struct kiln_step_rows *step)
{
    if (step->index.dtype != KILN_I32 || step->table.dtype != step->out.dtype)
        return "the dtypes of table, index and rows do not agree";
    if (kind == KILN_STEP_SCATTER_ADD_ROWS && step->out.dtype != KILN_F32)
        return "rows to be added are not f32";
    return step->rows > INT32_MAX ? "a table has more rows than an index can name" : NULL;
}

static const char *attention_fault(enum kiln_step_kind kind, const struct kiln_step_attention *a)
{
    bool gradient = kind == KILN_STEP_ATTENTION_GRAD;
    if (!ALL_F32(&a->q, &a->k, &a->v, &a->out, &a->log_sum_exp) ||
        (gradient && !ALL_F32(&a->d_out, &a->d_q, &a->d_k, &a->d_v)))
        return "an attention's operand is not f32";
    const char *fault = matrix_fault(a->q_stride, a->n_q, a->width);
    if (!fault)
        fault = matrix_fault(a->k_stride, a->n_k, a->width);
    if (!fault)
        fault = matrix_fault(a->v_stride, a->n_k, a->v_width);
    return fault || !gradient ? fault : matrix_fault(a->d_out_stride, a->n_q, a->v_width);
}

static const char *rng_fault(const struct kiln_step_rng *step)
{
    bool integer = step->rng.kind == KILN_RNG_INTEGER;
    if (step->key.dtype != KILN_I32 || step->out.dtype != (integer ? KILN_I32 : KILN_F32))
        return "a random tensor has the wrong dtype";
    return integer && step->rng.bound < 1 ? "a random integer has no bound" : NULL;
}

static const char *kind_fault(const struct kiln_step *step, int n,
                              const struct kiln_operand *operands)
{
    const char *fault = NULL;
    switch (step->kind) {
    case KILN_STEP_LOOP:
        return kiln_loop_fault(&step->as.loop);
    case KILN_STEP_UPDATE:
        for (int i = 0; i < n && !fault; i++)
            if (operands[i].place->dtype != KILN_F32)
                fault = "an update's operand is not f32";
        return fault;
    case KILN_STEP_MATMUL:
        fault = matmul_fault(&step->as.matmul);
        break;
    case KILN_STEP_CONV:
    case KILN_STEP_CONV_INPUT_GRAD:
    case KILN_STEP_CONV_WEIGHT_GRAD:
        fault = conv_fault(&step->as.conv);
        break;
    case KILN_STEP_WINDOW_ARGMAX:
    case KILN_STEP_WINDOW_GATHER:
    case KILN_STEP_WINDOW_SCATTER:
        fault = window_fault(step->kind, &step->as.window);
        break;
    case KILN_STEP_RESAMPLE:
        fault = resample_fault(&step->as.resample);
        break;
    case KILN_STEP_GATHER_ROWS:
    case KILN_STEP_SCATTER_ADD_ROWS:
        fault = rows_fault(step->kind, &step->as.rows);
        break;
    case KILN_STEP_RNG:
        fault = rng_fault(&step->as.rng);
        break;
    case KILN_STEP_ATTENTION:
    case KILN_STEP_ATTENTION_GRAD:
        fault = attention_fault(step->kind, &step->as.attention);
        break;
    case KILN_STEP_KIND_COUNT:
        return "no such kind";
    }
    return fault ? fault : alias_fault(n, operands);
}

static const char *step_fault(const struct kiln_step *step, const struct kiln_steps *steps)
{
    if ((unsigned)step->kind >= KILN_STEP_KIND_COUNT || !step->label)
        return "no such kind, or no label";
    struct kiln_operand operands[KILN_MAX_OPERANDS];
    int n = kiln_step_operands(step, operands);
    if (n < 0)
        return "a size is out of range";
    const char *fault = NULL;
    for (int i = 0; i < n && !fault; i++)
        fault = place_fault(operands[i].place, operands[i].low, operands[i].high,
                            step->kind == KILN_STEP_LOOP, steps);
    if (!fault && step->scratch_bytes < 0)
        fault = "its scratch has a negative size";
    if (!fault && step->scratch_bytes) {
        struct kiln_place scratch = step->scratch;
        scratch.dtype = KILN_U8;
        fault = place_fault(&scratch, 0, step->scratch_bytes, false, steps);
    }
    return fault ? fault : kind_fault(step, n, operands);
}

enum kiln_status kiln_steps_validate(const struct kiln_steps *steps, struct kiln_error *error)
{
    for (int i = 0; i < steps->n; i++) {
        const struct kiln_step *step = &steps->steps[i];
        const char *fault = step_fault(step, steps);
        if (fault)
            return kiln_fail(
                error, KILN_INPUT, "plan: step %d (%s %s): %s", i,
                (unsigned)step->kind < KILN_STEP_KIND_COUNT ? kiln_step_kind_name(step->kind) : "?",
                step->label ? step->label : "?", fault);
    }
    return KILN_OK;
}
