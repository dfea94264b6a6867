/*
 * Random tensors [samples, per_sample] (core/api/rng.h). An item is four
 * consecutive elements of one sample: one Philox block.
 */
#include "lib/items.clh"
#include "lib/rng.clh"

enum { SEED_LOW, SEED_HIGH, STEP, FIRST_SAMPLE };

inline uint4 kiln_block(__global const int *key, uint stream, long sample, int group)
{
    const uint4 counter =
        (uint4)((uint)group, (uint)sample + (uint)key[FIRST_SAMPLE], (uint)key[STEP], stream);
    return kiln_philox(counter, (uint2)((uint)key[SEED_LOW], (uint)key[SEED_HIGH]));
}

#define RANDOM(name, type, vector, expression)                                                     \
    __kernel void name(__global const int *key, long key_offset, __global type *out,               \
                       long out_offset, int per_sample, int stream, uint bound, long n,            \
                       long chunk)                                                                 \
    {                                                                                              \
        const int groups = (per_sample + 3) / 4;                                                   \
        KILN_ITEMS(item)                                                                           \
        {                                                                                          \
            const long sample = item / groups;                                                     \
            const int group = (int)(item % groups);                                                \
            const uint4 words = kiln_block(key + key_offset, (uint)stream, sample, group);         \
            const vector v = expression;                                                           \
            __global type *to = out + out_offset + sample * per_sample + group * 4;                \
            const int left = per_sample - group * 4;                                               \
            to[0] = v.x;                                                                           \
            if (left > 1)                                                                          \
                to[1] = v.y;                                                                       \
            if (left > 2)                                                                          \
                to[2] = v.z;                                                                       \
            if (left > 3)                                                                          \
                to[3] = v.w;                                                                       \
        }                                                                                          \
    }

RANDOM(rng_uniform, float, float4, kiln_uniform(words))
RANDOM(rng_normal, float, float4, kiln_normal(words))
RANDOM(rng_integer, int, int4, convert_int4(mul_hi(words, (uint4)(bound))))
