/*
 * DDPM: what the plugin's files share.
 */
#ifndef MODELS_DDPM_DDPM_H
#define MODELS_DDPM_DDPM_H

#include "core/api/study.h"
#include "models/common/diffusion.h"
#include "models/common/unet2d.h"

struct ddpm {
    struct diffusion diffusion;
    struct unet2d unet;
};

/* The functions create and destroy of struct kiln_model. */
enum kiln_status ddpm_create(const kiln_config *, const struct kiln_data_info *, void **ddpm,
                             struct kiln_error *);
void ddpm_destroy(void *ddpm);
extern const struct kiln_model ddpm_model;

/* The same network with processes of few and of more steps. */
extern const struct kiln_study ddpm_study_noise_steps;

#endif
