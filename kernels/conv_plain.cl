/*
 * The convolution triple in any layout, size, stride, dilation, padding and
 * number of groups:
 *
 *   y[n,o,p,q]  = sum over i, r, s of x[n,i,p sv + r dv - top,q sh + s dh - left] w[o,i,r,s]
 *
 * its gradient with respect to x (every x gathers from the outputs that read
 * it: no atomics) and that with respect to w. An item is one element of the
 * result, and sums go in a fixed order.
 *
 * shape: n c h w o kh kw oh ow, stride 2, dilation 2, top, left, groups, and
 * the layouts of x, weight and y (lib/layout.clh).
 */
#include "lib/items.clh"
#include "lib/layout.clh"

#define READ_SHAPE                                                                                 \
    const int channels = shape[1], height = shape[2], width = shape[3];                            \
    const int outputs = shape[4], kernel_h = shape[5], kernel_w = shape[6];                        \
    const int out_h = shape[7], out_w = shape[8];                                                  \
    const int stride_h = shape[9], stride_w = shape[10];                                           \
    const int dilation_h = shape[11], dilation_w = shape[12];                                      \
    const int top = shape[13], left = shape[14], groups = shape[15];                               \
    const int group_inputs = channels / groups, group_outputs = outputs / groups;                  \
    __global const int *x_layout = shape + 16, *w_layout = shape + 28, *y_layout = shape + 40;

__kernel void conv_plain(__global const float *x, long x_offset, __global const float *weight,
                         long w_offset, __global float *y, long y_offset,
                         __global const int *shape, long n, long chunk)
{
    READ_SHAPE
    x += x_offset;
    weight += w_offset;
    KILN_ITEMS(item)
    {
        const int q = (int)(item % out_w);
        const int p = (int)(item / out_w % out_h);
        const int o = (int)(item / out_w / out_h % outputs);
        const int image = (int)(item / out_w / out_h / outputs);
        const int first = o / group_outputs * group_inputs;
        float sum = 0.0f;
        for (int i = 0; i < group_inputs; i++)
            for (int r = 0; r < kernel_h; r++) {
                const int row = p * stride_h + r * dilation_h - top;
                if (row < 0 || row >= height)
                    continue;
                for (int s = 0; s < kernel_w; s++) {
                    const int column = q * stride_w + s * dilation_w - left;
                    if (column < 0 || column >= width)
                        continue;
                    sum = fma(x[kiln_offset(x_layout, image, first + i, row, column)],
                              weight[kiln_offset(w_layout, o, i, r, s)], sum);
                }
            }
        y[y_offset + kiln_offset(y_layout, image, o, p, q)] = sum;
    }
}

/* The output row that reads input row `row` through kernel row r, or -1. */
inline int kiln_reader(int row, int r, int stride, int dilation, int pad, int limit)
{
    const int at = row + pad - r * dilation;
    return at >= 0 && at % stride == 0 && at / stride < limit ? at / stride : -1;
}

__kernel void conv_input_grad_plain(__global float *x, long x_offset, __global const float *weight,
                                    long w_offset, __global const float *y, long y_offset,
                                    __global const int *shape, long n, long chunk)
{
    READ_SHAPE
    weight += w_offset;
    y += y_offset;
    KILN_ITEMS(item)
    {
        const int column = (int)(item % width);
        const int row = (int)(item / width % height);
        const int c = (int)(item / width / height % channels);
        const int image = (int)(item / width / height / channels);
        const int first = c / group_inputs * group_outputs;
        float sum = 0.0f;
        for (int o = 0; o < group_outputs; o++)
            for (int r = 0; r < kernel_h; r++) {
                const int p = kiln_reader(row, r, stride_h, dilation_h, top, out_h);
                if (p < 0)
                    continue;
                for (int s = 0; s < kernel_w; s++) {
                    const int q = kiln_reader(column, s, stride_w, dilation_w, left, out_w);
                    if (q < 0)
                        continue;
                    sum = fma(y[kiln_offset(y_layout, image, first + o, p, q)],
                              weight[kiln_offset(w_layout, first + o, c % group_inputs, r, s)],
                              sum);
                }
            }
        x[x_offset + kiln_offset(x_layout, image, c, row, column)] = sum;
    }
}

__kernel void conv_weight_grad_plain(__global const float *x, long x_offset,
                                     __global float *weight, long w_offset,
                                     __global const float *y, long y_offset,
                                     __global const int *shape, long n, long chunk)
{
    READ_SHAPE
    x += x_offset;
    y += y_offset;
    KILN_ITEMS(item)
    {
        const int s = (int)(item % kernel_w);
        const int r = (int)(item / kernel_w % kernel_h);
        const int i = (int)(item / kernel_w / kernel_h % group_inputs);
        const int o = (int)(item / kernel_w / kernel_h / group_inputs);
        const int c = o / group_outputs * group_inputs + i;
        float total = 0.0f;
        for (int image = 0; image < shape[0]; image++) {
            float sum = 0.0f;
            for (int p = 0; p < out_h; p++) {
                const int row = p * stride_h + r * dilation_h - top;
                if (row < 0 || row >= height)
                    continue;
                for (int q = 0; q < out_w; q++) {
                    const int column = q * stride_w + s * dilation_w - left;
                    if (column >= 0 && column < width)
                        sum = fma(x[kiln_offset(x_layout, image, c, row, column)],
                                  y[kiln_offset(y_layout, image, o, p, q)], sum);
                }
            }
            total += sum;
        }
        weight[w_offset + kiln_offset(w_layout, o, i, r, s)] = total;
    }
}
