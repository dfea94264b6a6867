/* What the samplers of all plugins share. */
#include "models/common/sampling.h"

#include <math.h>

/* Far from the streams of any model. */
enum { STREAM_KNOWN = 0x8000 };

const char *const sampling_prior_names[] = {"prior", NULL};

const char *sampling_name(const struct kiln_sample_request *request, const char *const *names)
{
    return *request->sampler ? request->sampler : names[0];
}

/* x's shape with first in front and 1 elsewhere */
static struct kiln_shape broadcast_shape(kiln_graph *g, kiln_node x, int64_t first)
{
    struct kiln_shape shape = kiln_shape(g, x);
    for (int i = 1; i < shape.n; i++)
        shape.d[i] = 1;
    shape.d[0] = first;
    return shape;
}

kiln_node sampling_word(kiln_graph *g, kiln_node row, int index, kiln_node x)
{
    return kiln_reshape(g, kiln_narrow(g, row, 0, index, 1), broadcast_shape(g, x, 1));
}

kiln_node sampling_per_sample(kiln_graph *g, kiln_node values, kiln_node x)
{
    return kiln_reshape(g, values, broadcast_shape(g, x, kiln_shape(g, x).d[0]));
}

/* Weights [1, columns, 1] of the first (or last) sample of a row: on the circle,
 * or straight. */
static kiln_node row_weights(kiln_graph *g, int columns, bool first, bool straight)
{
    enum { MAX_COLUMNS = 64 };
    const double quarter_turn = 1.57079632679489661923;
    float weights[MAX_COLUMNS];
    if (columns > MAX_COLUMNS) {
        kiln_graph_fail(g, "rows of %d: more than %d", columns, MAX_COLUMNS);
        return 0;
    }
    for (int i = 0; i < columns; i++) {
        double part = (double)(first ? columns - 1 - i : i) / (columns - 1);
        weights[i] = (float)(straight ? part : sin(quarter_turn * part));
    }
    return kiln_constant(g, KILN_F32, KILN_SHAPE(1, columns, 1), weights);
}

/* values [batch, ...] of the row's ends, mixed along it. */
static kiln_node mixed_along_rows(kiln_graph *g, const struct kiln_sample_request *request,
                                  kiln_node values, bool straight)
{
    struct kiln_shape shape = kiln_shape(g, values);
    int64_t columns = request->columns, rows = request->batch / columns,
            elements = kiln_shape_count(&shape) / request->batch;
    values = kiln_reshape(g, values, KILN_SHAPE(rows, columns, elements));
    kiln_node first = kiln_narrow(g, values, 1, 0, 1),
              last = kiln_narrow(g, values, 1, columns - 1, 1);
    kiln_node mixed =
        kiln_add(g, kiln_mul(g, first, row_weights(g, request->columns, true, straight)),
                 kiln_mul(g, last, row_weights(g, request->columns, false, straight)));
    return kiln_reshape(g, mixed, shape);
}

kiln_node sampling_noise(kiln_graph *g, const struct kiln_sample_request *request, kiln_node x,
                         uint32_t stream)
{
    struct kiln_rng rng = {.kind = KILN_RNG_NORMAL, .stream = stream};
    kiln_node z = kiln_random(g, kiln_shape(g, x), rng);
    return request->columns < 2 ? z : mixed_along_rows(g, request, z, false);
}

kiln_node sampling_between(kiln_graph *g, const struct kiln_sample_request *request,
                           kiln_node values)
{
    return mixed_along_rows(g, request, values, true);
}

kiln_node sampling_noised(kiln_graph *g, const struct kiln_sample_request *request,
                          kiln_node pictures, kiln_node signal, kiln_node noise)
{
    kiln_graph_label(g, "inpaint");
    kiln_node z = sampling_noise(g, request, pictures, STREAM_KNOWN);
    kiln_node noised = kiln_add(g, kiln_mul(g, signal, pictures), kiln_mul(g, noise, z));
    kiln_graph_label(g, "");
    return noised;
}

void sampling_prior_plan(int64_t latent_size, const struct kiln_sample_request *request,
                         struct kiln_sample_plan *plan)
{
    *plan = (struct kiln_sample_plan){
        .noise = KILN_SHAPE(request->batch, latent_size),
        .n_carried = 1,
    };
    plan->carried[0] = plan->noise;
}

void sampling_prior_start(void *model, kiln_graph *g, const struct kiln_sample_request *request,
                          kiln_node noise, kiln_node *carried)
{
    (void)model, (void)g, (void)request;
    carried[0] = noise;
}
