/*
 * Part of kiln check: small networks of every model plugin on a device.
 */
#ifndef KILN_CLI_CHECK_MODELS_H
#define KILN_CLI_CHECK_MODELS_H

#include "core/device/device.h"

struct kiln_model_check {
    char name[64]; /* of the plugin */
    bool checked;  /* false: the plugin has nothing to check */
    bool passed;
    double share;      /* worst error over its bound, of losses, metrics and gradient norms */
    char failure[400]; /* "" = passed */
};

/*
 * Executes each training phase of the model's check config once on the device,
 * as a run would (fused), and compares its report (losses, metrics, global
 * gradient norm) with the oracle's. Failures of any kind are in the result.
 */
void kiln_check_model(const char *plugin, const char *plugin_dir, kiln_device *,
                      struct kiln_model_check *result);

#endif
