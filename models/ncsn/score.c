/* The score of a noisy sample, by any of the architectures. */
#include <math.h>
#include <stdlib.h>

#include "models/common/sampling.h"
#include "models/ncsn/ncsn.h"

enum { STREAM_DROPOUT = 4 };

/* The reference keeps the levels with the weights. */
static kiln_node sigmas_buffer(const struct ncsn *net, kiln_graph *g)
{
    const struct ladder *ladder = &net->ladder;
    int last = ladder->num_scales - 1;
    const struct kiln_state state = {
        .name = "sigmas",
        .shape = KILN_SHAPE(ladder->num_scales),
        .dtype = KILN_F32,
        .init = {KILN_INIT_GEOMETRIC, (float)ladder_sigma(ladder, 0),
                 (float)ladder_sigma(ladder, last)},
    };
    return kiln_state(g, &state);
}

kiln_node ncsn_sigmas(const struct ncsn *net, kiln_graph *g)
{
    int n = net->ladder.num_scales;
    if (net->arch == ARCH_REFINENET && !net->conditional)
        return sigmas_buffer(net, g);
    float *sigmas = malloc((size_t)n * sizeof *sigmas);
    if (!sigmas)
        return kiln_graph_no_memory(g);
    for (int i = 0; i < n; i++)
        sigmas[i] = (float)ladder_sigma(&net->ladder, i);
    kiln_node node = kiln_constant(g, KILN_F32, KILN_SHAPE(n), sigmas);
    free(sigmas);
    return node;
}

/*
 * Three hidden layers on the point at two scales, its own at this noise and
 * that of the data, and log sigma. Nothing depends on the data's units:
 * sigma_begin, by technique 1 the data's extent, is about four deviations.
 */
static kiln_node points_network(const struct ncsn *net, kiln_graph *g, kiln_node x, kiln_node sigma)
{
    double begin = net->ladder.sigma_begin;
    kiln_node size = kiln_sqrt(g, kiln_add_scalar(g, kiln_square(g, sigma), begin * begin));
    kiln_node inputs[] = {
        kiln_div(g, x, sampling_per_sample(g, size, x)),
        kiln_mul_scalar(g, x, 4 / begin),
        kiln_mul_scalar(g, sampling_per_sample(g, kiln_log(g, sigma), x), 0.25),
    };
    kiln_node h = kiln_concat(g, 3, inputs, 1);
    static const char *const layers[] = {"layers.0", "layers.1", "layers.2"};
    for (int i = 0; i < 3; i++)
        h = kiln_silu(g, kiln_linear(g, layers[i], h, net->ngf, true));
    return kiln_linear(g, "layers.3", h, 2, true);
}

kiln_node ncsn_score(const struct ncsn *net, kiln_graph *g, kiln_node x, kiln_node level,
                     kiln_node sigma, bool training)
{
    kiln_node out;
    if (net->arch == ARCH_EXACT)
        return mixture_score(net->mixture, g, x, sigma);
    if (net->arch == ARCH_MLP) {
        out = points_network(net, g, x, sigma);
    } else if (net->arch == ARCH_UNET) {
        /* the level as a time of 0 .. 1000 */
        kiln_node t =
            kiln_mul_scalar(g, kiln_cast(g, level, KILN_F32), 1000.0 / net->ladder.num_scales);
        kiln_node centred = kiln_add_scalar(g, kiln_mul_scalar(g, x, 2), -1);
        out = unet2d_build(&net->unet, g, "", centred, t, 0, training, STREAM_DROPOUT);
    } else {
        out = refinenet_build(net, g, x, level);
    }
    return net->divide_by_sigma ? kiln_div(g, out, sampling_per_sample(g, sigma, out)) : out;
}
