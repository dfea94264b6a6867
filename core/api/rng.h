/*
 * Counter-based random numbers: Philox 4x32-10 (Salmon et al. 2011), the same
 * bits on every backend. kernels/lib/rng.clh is the OpenCL twin of this file.
 *
 * An element of an rng node belongs to sample s (the index along axis 0 plus
 * the execution's first sample) and has the row-major index e within it.
 * Counter: { e / 4, s, step, stream }; key: { seed low, seed high }; the
 * element takes output word e % 4.
 *
 * uniform  (word >> 8) * 2^-24 + 2^-25, in (0, 1)
 * normal   Box-Muller on the word pairs (0, 1) and (2, 3):
 *          r = sqrt(-2 log u_even), even word: r cos(2 pi u_odd), odd: r sin
 * integer  floor(word * bound / 2^32), in 0 .. bound - 1
 */
#ifndef KILN_RNG_H
#define KILN_RNG_H

#include <stdint.h>

/* Words of the i32 tensor that keys every rng node of a graph. */
enum kiln_rng_key {
    KILN_RNG_SEED_LOW,
    KILN_RNG_SEED_HIGH,
    KILN_RNG_STEP,
    KILN_RNG_FIRST_SAMPLE,
    KILN_RNG_KEY_WORDS
};

static inline void kiln_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0;
        uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        uint32_t n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/* A float in (0, 1) from one word; exact in f32. */
static inline float kiln_uniform(uint32_t word)
{
    return (float)(word >> 8) * 0x1p-24f + 0x1p-25f;
}

#endif
