/* A small classifier for its features. */
#include "models/ddpm/study_features.h"

kiln_node feature_build(const struct feature_net *net, kiln_graph *g, kiln_node x)
{
    const struct kiln_conv halve = kiln_conv_params(2, 1, 1);
    (void)net;
    kiln_graph_label(g, "features");
    x = kiln_relu(g, kiln_conv2d(g, "conv1", x, 16, 3, halve, true));
    x = kiln_relu(g, kiln_conv2d(g, "conv2", x, 32, 3, halve, true));
    x = kiln_relu(g, kiln_conv2d(g, "conv3", x, 32, 3, halve, true));
    x = kiln_silu(g, kiln_linear(g, "features", kiln_flatten(g, x), FEATURES, true));
    kiln_graph_label(g, "");
    return x;
}

static void loss(void *user, kiln_graph *g, int phase, const struct kiln_batch *batch,
                 struct kiln_loss *out)
{
    const struct feature_net *net = user;
    const uint32_t classes = 1u << 1;
    (void)phase;
    kiln_node logits =
        kiln_linear(g, "classes", feature_build(net, g, batch->x), net->n_classes, true);
    kiln_node right = kiln_one_hot(g, batch->label, net->n_classes);
    kiln_node of_label = kiln_mul(g, right, kiln_log_softmax(g, logits, 1));
    out->loss = kiln_neg(g, kiln_mean_all(g, kiln_reduce_sum(g, of_label, classes)));
    kiln_node hit = kiln_less_equal(g, kiln_reduce_max(g, logits, classes),
                                    kiln_reduce_sum(g, kiln_mul(g, right, logits), classes));
    out->n_metrics = 1;
    out->metrics[0] = (struct kiln_metric){"accuracy", kiln_mean_all(g, hit)};
}

static int phases(void *user, struct kiln_phase out[KILN_MAX_PHASES])
{
    (void)user;
    out[0] = (struct kiln_phase){.name = "classify", .group = "", .repeats = 1};
    return 1;
}

const struct kiln_model feature_model = {
    .abi = KILN_MODEL_ABI,
    .size = sizeof feature_model,
    .name = "ddpm",
    .phases = phases,
    .loss = loss,
};
