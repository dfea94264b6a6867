/*
 * Arithmetic alone: chains of c = c a + b in registers, to measure what the
 * device can do at most and to notice when something else uses it.
 *
 * A work-item does rounds x CHAINS multiply-adds of VECTOR elements; the
 * chains converge (|a| < 1), and their sum is stored so that none is left out.
 */
#ifndef VECTOR
#define VECTOR 4
#endif

#define CHAINS 12

#if VECTOR == 16
typedef float16 vector;
#define TOTAL(v) ((v).s0 + (v).sf)
#define MULTIPLY_ADD(a, b, c) fma(a, b, c)
#elif VECTOR == 4
typedef float4 vector;
#define TOTAL(v) ((v).x + (v).y + (v).z + (v).w)
#define MULTIPLY_ADD(a, b, c) mad(a, b, c)
#endif

__kernel void arithmetic(__global float *out, float factor, int rounds)
{
    const int item = (int)get_global_id(0);
    const vector a = (vector)(factor), b = (vector)(0.5f * factor);
    vector c0 = a + (float)item, c1 = c0 + 1.0f, c2 = c0 + 2.0f, c3 = c0 + 3.0f;
    vector c4 = c0 + 4.0f, c5 = c0 + 5.0f, c6 = c0 + 6.0f, c7 = c0 + 7.0f;
    vector c8 = c0 + 8.0f, c9 = c0 + 9.0f, c10 = c0 + 10.0f, c11 = c0 + 11.0f;
    for (int i = 0; i < rounds; i++) {
        c0 = MULTIPLY_ADD(c0, a, b);
        c1 = MULTIPLY_ADD(c1, a, b);
        c2 = MULTIPLY_ADD(c2, a, b);
        c3 = MULTIPLY_ADD(c3, a, b);
        c4 = MULTIPLY_ADD(c4, a, b);
        c5 = MULTIPLY_ADD(c5, a, b);
        c6 = MULTIPLY_ADD(c6, a, b);
        c7 = MULTIPLY_ADD(c7, a, b);
        c8 = MULTIPLY_ADD(c8, a, b);
        c9 = MULTIPLY_ADD(c9, a, b);
        c10 = MULTIPLY_ADD(c10, a, b);
        c11 = MULTIPLY_ADD(c11, a, b);
    }
    const vector sum = c0 + c1 + c2 + c3 + c4 + c5 + c6 + c7 + c8 + c9 + c10 + c11;
    out[item] = TOTAL(sum);
}
