/* Encoder and decoder of residual blocks. */
#include "models/common/unet_blocks.h"
#include "models/vae/vae.h"

static struct unet_builder builder_of(const struct vae *vae, kiln_graph *g)
{
    return (struct unet_builder){
        .g = g, .act_fn = "silu", .groups = vae->norm_num_groups, .eps = 1e-6};
}

static kiln_node residuals(const struct vae *vae, struct unet_builder *b, const char *root,
                           kiln_node x, int64_t width)
{
    for (int i = 0; i < vae->layers_per_block; i++)
        x = unet_residual(b, unet_numbered(root, "resnets", i).text, x, width, 1, UNET_KEEP);
    return x;
}

kiln_node vae_resnet_features(const struct vae *vae, kiln_graph *g, kiln_node x)
{
    struct unet_builder b = builder_of(vae, g);
    x = unet_conv(&b, "encoder.", "conv_in", x, vae->widths[0], 3);
    for (int i = 0; i < vae->n_stages; i++) {
        struct unet_name root = unet_numbered("encoder.", "down_blocks", i);
        x = residuals(vae, &b, root.text, x, vae->widths[i]);
        x = unet_shrink(&b, root.text, "downsamplers.0.conv", x, vae->widths[i], 1);
    }
    x = residuals(vae, &b, "encoder.mid_block.", x, vae->widths[vae->n_stages - 1]);
    x = unet_norm(&b, "encoder.", "conv_norm_out", x, b.groups);
    return kiln_flatten(g, unet_activate(&b, x));
}

kiln_node vae_resnet_decode(const struct vae *vae, kiln_graph *g, kiln_node z)
{
    struct unet_builder b = builder_of(vae, g);
    int last = vae->n_stages - 1;
    int64_t n = kiln_shape(g, z).d[0], deepest = vae->widths[last];
    int64_t height = vae->height >> vae->n_stages, width = vae->width >> vae->n_stages;
    kiln_node x = kiln_linear(g, "fc3", z, deepest * height * width, true);
    x = kiln_reshape(g, x, KILN_SHAPE(n, deepest, height, width));
    x = residuals(vae, &b, "decoder.mid_block.", x, deepest);
    for (int i = 0; i <= last; i++) {
        struct unet_name root = unet_numbered("decoder.", "up_blocks", i);
        int64_t out = vae->widths[last - i];
        x = residuals(vae, &b, root.text, x, out);
        x = unet_grow(&b, root.text, "upsamplers.0.conv", x, out);
    }
    x = unet_activate(&b, unet_norm(&b, "decoder.", "conv_norm_out", x, b.groups));
    return unet_conv(&b, "decoder.", "conv_out", x, vae->channels, 3);
}
