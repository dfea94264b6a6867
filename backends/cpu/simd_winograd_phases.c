/* Winograd's transforms for the phases of convolutions of stride 2: the kernels
 * of conv_winograd.c and conv_winograd_weight.c for 4x4, F(4x4,2x2), and for 5x5,
 * F(4x4,3x3). */
#include "backends/cpu/simd.h"
#include "backends/cpu/simd_transpose.h"
#include "backends/cpu/simd_winograd.h"

#define KERNEL 4
#include "backends/cpu/simd_winograd_phases.h"
#define KERNEL 5
#include "backends/cpu/simd_winograd_phases.h"

const struct cpu_simd_winograd *const SIMD(cpu_simd_winograd_phases)[2] = {&winograd_4,
                                                                           &winograd_5};
const struct cpu_simd_winograd_weight *const SIMD(cpu_simd_winograd_phases_weight)[2] = {
    &winograd_weight_4, &winograd_weight_5};
