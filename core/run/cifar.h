/*
 * CIFAR-10, binary version: records of one label byte and 3 x 32 x 32 bytes.
 *
 * Format: cs.toronto.edu/~kriz/cifar.html.
 */
#ifndef KILN_RUN_CIFAR_H
#define KILN_RUN_CIFAR_H

#include "core/run/image.h"

/*
 * Reads data_batch_1.bin .. data_batch_5.bin (train) or test_batch.bin of the
 * folder or of its subfolder cifar-10-batches-bin. A file that is missing, not
 * a whole number of records, or holds a label above 9 is KILN_INPUT.
 * pictures [n, 3, 32, 32] and labels [n] (malloc'd) belong to the caller.
 */
enum kiln_status kiln_cifar10_read(const char *folder, bool train, struct kiln_pictures *,
                                   int32_t **labels, struct kiln_error *);

#endif
