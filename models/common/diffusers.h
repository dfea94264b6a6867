/*
 * The files of diffusers: keys of UNet2DModel's config.json and of the
 * schedulers' scheduler_config.json beside the keys of [network] and
 * [scheduler].
 */
#ifndef MODELS_COMMON_DIFFUSERS_H
#define MODELS_COMMON_DIFFUSERS_H

#include "core/api/exchange.h"
#include "models/common/unet2d.h"

/* A pipeline's folder: model_index.json, unet/, scheduler/; or, when it is
 * read, the folder of a UNet2DModel alone. */
extern const struct kiln_exchange_file diffusers_pipeline[];
/* The same without model_index.json: there is no pipeline for classes. */
extern const struct kiln_exchange_file diffusers_parts[];

/* Names of attention weights before diffusers 0.15 beside those since. */
extern const struct kiln_exchange_alias diffusers_aliases[];

/* For struct kiln_exchange.value: block types that the config leaves open, and
 * the norms that the network has. */
bool diffusers_value(const struct unet2d *, const char *section, const char *key, char *text,
                     size_t size);

#endif
