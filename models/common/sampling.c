/* What the samplers of all plugins share. */
#include "models/common/sampling.h"

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
