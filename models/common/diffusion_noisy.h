/*
 * Evaluating the network on noised pictures: for the loss and the figures.
 */
#ifndef MODELS_COMMON_DIFFUSION_NOISY_H
#define MODELS_COMMON_DIFFUSION_NOISY_H

#include "models/common/diffusion.h"

/* Of x_t = signal x + noise epsilon; all [n, c, h, w] but weight. */
struct diffusion_noisy {
    kiln_node x, epsilon;          /* x in the network's range */
    kiln_node out, target;         /* the network's output and what it should be */
    kiln_node epsilon_out, x0_out; /* the output as noise and as picture */
    kiln_node weight;              /* of the loss, [n, 1, 1, 1] */
};

/* t i32 [n]; epsilon is drawn from the random stream. */
struct diffusion_noisy diffusion_noisy(const struct diffusion *, kiln_graph *,
                                       const struct kiln_batch *, kiln_node label, kiln_node t,
                                       uint32_t stream);
/* i32 [n], uniform over first .. first + count - 1. */
kiln_node diffusion_random_timesteps(kiln_graph *, int64_t n, int first, int count,
                                     uint32_t stream);

#endif
