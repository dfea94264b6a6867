/* The prior of the latent code: N(0, 1), or a mixture of normals that is
 * trained with the networks. */
#include "models/common/sampling.h"
#include "models/vae/vae.h"

static const double smallest = 1e-12; /* in place of -log(1) */

struct components {
    kiln_node means, log_variances; /* [k, latent] */
    kiln_node log_weights;          /* [1, k] */
};

static struct components components_of(const struct vae *vae, kiln_graph *g)
{
    int64_t k = vae->prior_components;
    struct kiln_shape shape = KILN_SHAPE(k, vae->latent);
    kiln_node logits = kiln_parameter(g, "prior.logits", KILN_SHAPE(k), (struct kiln_init){0});
    return (struct components){
        .means =
            kiln_parameter(g, "prior.means", shape, (struct kiln_init){KILN_INIT_NORMAL, 0, 1}),
        .log_variances = kiln_parameter(g, "prior.log_variances", shape, (struct kiln_init){0}),
        .log_weights = kiln_log_softmax(g, kiln_reshape(g, logits, KILN_SHAPE(1, k)), 1),
    };
}

/* (exp(log_variance) - 1 - log_variance + mean^2) / 2, summed over the latent. */
static kiln_node normal_divergence(kiln_graph *g, kiln_node mean, kiln_node log_variance)
{
    kiln_node terms = kiln_sub(g, kiln_expm1(g, log_variance), log_variance);
    terms = kiln_add(g, terms, kiln_square(g, mean));
    return kiln_mul_scalar(g, kiln_sum_per_sample(g, terms), 0.5);
}

/* log p(z) + latent / 2 log(2 pi) [n] */
static kiln_node mixture_log_density(const struct vae *vae, kiln_graph *g, kiln_node z)
{
    struct components c = components_of(vae, g);
    int64_t n = kiln_shape(g, z).d[0], k = vae->prior_components, latent = vae->latent;
    struct kiln_shape all = KILN_SHAPE(1, k, latent);
    kiln_node log_variances = kiln_reshape(g, c.log_variances, all);
    kiln_node off =
        kiln_sub(g, kiln_reshape(g, z, KILN_SHAPE(n, 1, latent)), kiln_reshape(g, c.means, all));
    kiln_node terms = kiln_mul(g, kiln_square(g, off), kiln_exp(g, kiln_neg(g, log_variances)));
    terms = kiln_reduce_sum(g, kiln_add(g, terms, log_variances), 1u << 2);
    kiln_node each = kiln_add(g, c.log_weights,
                              kiln_mul_scalar(g, kiln_reshape(g, terms, KILN_SHAPE(n, k)), -0.5));
    kiln_node most = kiln_stop_gradient(g, kiln_reduce_max(g, each, 1u << 1));
    kiln_node sum = kiln_reduce_sum(g, kiln_exp(g, kiln_sub(g, each, most)), 1u << 1);
    return kiln_reshape(g, kiln_add(g, kiln_log(g, sum), most), KILN_SHAPE(n));
}

kiln_node vae_divergence(const struct vae *vae, kiln_graph *g, kiln_node mean,
                         kiln_node log_variance, kiln_node z)
{
    if (vae->prior == VAE_NORMAL)
        return normal_divergence(g, mean, log_variance);
    kiln_node entropy =
        kiln_mul_scalar(g, kiln_sum_per_sample(g, kiln_add_scalar(g, log_variance, 1)), 0.5);
    return kiln_neg(g, kiln_add(g, entropy, mixture_log_density(vae, g, z)));
}

/* Shares [n, k] of a sample's components: one of them 1, drawn with its weight.
 * Along a row of an interpolation they go from the first's to the last's. */
static kiln_node draw_components(const struct vae *vae, kiln_graph *g, kiln_node log_weights,
                                 const struct kiln_sample_request *request)
{
    int64_t k = vae->prior_components;
    struct kiln_shape shape = KILN_SHAPE(request->batch, k);
    kiln_node u = kiln_random(
        g, shape, (struct kiln_rng){.kind = KILN_RNG_UNIFORM, .stream = VAE_STREAM_COMPONENT});
    /* the largest of log weight + Gumbel noise (Maddison et al. 2014) */
    kiln_node exponential = kiln_max(g, kiln_neg(g, kiln_log(g, u)), kiln_scalar(g, smallest));
    kiln_node score = kiln_sub(g, log_weights, kiln_log(g, exponential));
    kiln_node first = kiln_equal(g, score, kiln_reduce_max(g, score, 1u << 1));
    kiln_node chosen = kiln_select(g, first, kiln_full(g, shape, 1), kiln_full(g, shape, 0));
    return request->columns < 2 ? chosen : sampling_between(g, request, chosen);
}

kiln_node vae_draw_prior(const struct vae *vae, kiln_graph *g, kiln_node noise,
                         const struct kiln_sample_request *request)
{
    if (vae->prior == VAE_NORMAL)
        return noise;
    kiln_graph_label(g, "prior");
    struct components c = components_of(vae, g);
    kiln_node share = draw_components(vae, g, c.log_weights, request);
    kiln_node deviations = kiln_exp(g, kiln_mul_scalar(g, c.log_variances, 0.5));
    kiln_node z = kiln_add(g, kiln_matmul(g, share, c.means, false, false),
                           kiln_mul(g, kiln_matmul(g, share, deviations, false, false), noise));
    kiln_graph_label(g, "");
    return z;
}
