/*
 * The synthetic data set "shapes": ten classes of little grey pictures, for
 * machines without data and for tests.
 */
#ifndef KILN_RUN_SHAPES_H
#define KILN_RUN_SHAPES_H

#include "core/api/types.h"

#define KILN_SHAPES_CLASSES 10

/* "disc", "ring", "square", ... */
const char *kiln_shapes_class_name(int class_index);

/*
 * Draws pictures first .. first + n - 1 of the seed's sequence, each a bright
 * antialiased shape of random class, place, size, turn and brightness on
 * black. Each depends on the seed and its own index only; the same bytes on
 * every machine.
 *
 * size      pixels of a side, 8..1024
 * pictures  [n, 1, size, size] u8
 * labels    [n] i32 in 0..9
 */
void kiln_shapes_draw(uint64_t seed, int64_t first, int64_t n, int size, uint8_t *pictures,
                      int32_t *labels);

#endif
