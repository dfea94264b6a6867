/*
 * Class-conditional diffusion with classifier-free guidance (Ho & Salimans
 * 2022). The label n_classes is the null label: no condition.
 */
#ifndef MODELS_CDIFF_CDIFF_H
#define MODELS_CDIFF_CDIFF_H

#include "models/common/diffusion.h"
#include "models/common/unet2d.h"

enum condition { CONDITION_EMBEDDING, CONDITION_CONCAT };

struct cdiff {
    struct diffusion diffusion;
    struct unet2d unet;
    bool context_unet;
    int64_t n_feat;           /* context_unet's features */
    enum condition condition; /* how the U-Net gets the label */
    double label_dropout;
};

/*
 * ContextUnet of TeaPearce/Conditional_Diffusion_MNIST with its quirks (one-hot
 * labels enter negated, residual sums are divided by 1.414) and state_dict
 * names. x [n, c, 28, 28] in 0..1 plus noise, t [n] timesteps, label [n] i32.
 */
kiln_node context_unet_build(const struct cdiff *, kiln_graph *, kiln_node x, kiln_node t,
                             kiln_node label, bool training);

#endif
