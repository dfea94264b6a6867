/* Random numbers: Philox on 16 counters at once (core/api/rng.h). */
#include "backends/cpu/simd.h"
#include "backends/cpu/simd_math.h"

#include "core/api/rng.h"

#include <string.h>

/* Counters that are generated together. */
#define BLOCKS 16

/* Output word w of counter first + j in words[w][j]. */
static void philox(const uint32_t seed[2], uint32_t first, const uint32_t rest[3],
                   uint32_t words[4][BLOCKS])
{
    uint32_t c0[BLOCKS], c1[BLOCKS], c2[BLOCKS], c3[BLOCKS], k0 = seed[0], k1 = seed[1];
    for (int j = 0; j < BLOCKS; j++) {
        c0[j] = first + (uint32_t)j;
        c1[j] = rest[0];
        c2[j] = rest[1];
        c3[j] = rest[2];
    }
    for (int round = 0; round < 10; round++) {
        for (int j = 0; j < BLOCKS; j++) {
            uint64_t p0 = (uint64_t)0xD2511F53u * c0[j], p1 = (uint64_t)0xCD9E8D57u * c2[j];
            uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1[j] ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3[j] ^ k1;
            c1[j] = (uint32_t)p1;
            c3[j] = (uint32_t)p0;
            c0[j] = n0;
            c2[j] = n2;
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    memcpy(words[0], c0, sizeof c0);
    memcpy(words[1], c1, sizeof c1);
    memcpy(words[2], c2, sizeof c2);
    memcpy(words[3], c3, sizeof c3);
}

/* Box-Muller on a pair of words, in place as floats. */
static void normal_pair(uint32_t *even, uint32_t *odd)
{
    for (int j = 0; j < BLOCKS; j++) {
        float radius = sqrtf(-2.0f * simd_log(kiln_uniform(even[j])));
        float angle = 6.28318530717958647692f * kiln_uniform(odd[j]);
        even[j] = cpu_bits(radius * simd_sin_quarters(angle, 1));
        odd[j] = cpu_bits(radius * simd_sin_quarters(angle, 0));
    }
}

static void finish(const struct kiln_rng *rng, uint32_t words[4][BLOCKS])
{
    for (int w = 0; w < 4; w++)
        for (int j = 0; j < BLOCKS; j++) {
            if (rng->kind == KILN_RNG_UNIFORM)
                words[w][j] = cpu_bits(kiln_uniform(words[w][j]));
            else if (rng->kind == KILN_RNG_INTEGER)
                words[w][j] = (uint32_t)(((uint64_t)words[w][j] * rng->bound) >> 32);
        }
    if (rng->kind == KILN_RNG_NORMAL) {
        normal_pair(words[0], words[1]);
        normal_pair(words[2], words[3]);
    }
}

void SIMD(cpu_simd_random)(const struct kiln_rng *rng, const uint32_t seed[2], uint32_t sample,
                           uint32_t step, int64_t first, int64_t n, void *out)
{
    const uint32_t rest[3] = {sample, step, rng->stream};
    uint32_t words[4][BLOCKS], element[4 * BLOCKS];
    for (int64_t at = 0; at < n; at += 4 * BLOCKS) {
        philox(seed, (uint32_t)((first + at) / 4), rest, words);
        finish(rng, words);
        for (int j = 0; j < BLOCKS; j++)
            for (int w = 0; w < 4; w++)
                element[4 * j + w] = words[w][j];
        int64_t count = n - at < 4 * BLOCKS ? n - at : 4 * BLOCKS;
        memcpy((char *)out + 4 * at, element, 4 * (size_t)count);
    }
}
