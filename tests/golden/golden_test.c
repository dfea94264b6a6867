/*
 * Models against PyTorch: each golden file holds weights and what PyTorch made
 * of them: ten training steps (training.py) or whole sampling runs
 * (sampling.py).
 *
 *     golden_test DEVICE FILE...
 *
 * Per tensor, norm of the difference over the norm: gradients and losses
 * < 1e-5 (a model may say otherwise in its file's metadata "tolerance"),
 * states after ten steps < 1e-4. Samples: every value within 1e-3 of the
 * samples' range.
 */
#include <stdio.h>

#include "tests/golden/golden.h"

enum { SKIP = 77 };

int main(int argc, char **argv)
{
    if (argc < 3) {
        puts("golden_test DEVICE FILE...");
        return 1;
    }
    struct kiln_error error;
    struct kiln_device_options options = {.threads = 2};
    kiln_device *device;
    if (kiln_device_open(argv[1], &options, &device, &error)) {
        printf("%s\n", error.text);
        return SKIP;
    }
    for (int i = 2; i < argc; i++) {
        struct golden golden;
        golden_open(&golden, argv[i]);
        if (golden_text(&golden, "runs", NULL))
            check_sampling(&golden, device);
        else
            check_training(&golden, device);
        golden_close(&golden);
    }
    kiln_device_close(&device);
    printf("%d comparisons on %s, %d beyond their bound\n", n_checked, argv[1], n_failed);
    return n_failed || !n_checked;
}
