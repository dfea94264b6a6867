/* Rows of attention scores. */
#include "backends/cpu/simd.h"
#include "backends/cpu/simd_lanes.h"
#include "backends/cpu/simd_math.h"

static float largest_of(const float *x, int64_t n)
{
    float m = -INFINITY;
    int64_t i = 0;
    if (n >= LANES) {
        lanes best = lanes_at(x);
        for (i = LANES; i + LANES <= n; i += LANES) {
            lanes next = lanes_at(x + i);
            lanes_i keep = best >= next;
            best = (lanes)((keep & (lanes_i)best) | (~keep & (lanes_i)next));
        }
        for (int j = 0; j < LANES; j++)
            m = m >= best[j] ? m : best[j];
    }
    for (; i < n; i++)
        m = m >= x[i] ? m : x[i];
    return m;
}

static float sum_of(const float *x, int64_t n)
{
    lanes sum = {0};
    int64_t i = 0;
    float total = 0;
    for (; i + LANES <= n; i += LANES)
        sum += lanes_at(x + i);
    for (int j = 0; j < LANES; j++)
        total += sum[j];
    for (; i < n; i++)
        total += x[i];
    return total;
}

static float dot_of(const float *x, const float *y, int64_t y_step, int64_t n)
{
    float total = 0;
    for (int64_t i = 0; i < n; i++)
        total += x[i] * y[i * y_step];
    return total;
}

static void softmax(struct cpu_attention_rows *r)
{
    for (int64_t i = 0; i < r->rows; i++) {
        float *s = r->scores + i * r->columns;
        float m = r->scale * (r->scale >= 0.0f ? largest_of(s, r->columns) : -INFINITY);
        if (r->scale < 0.0f)
            for (int64_t j = 0; j < r->columns; j++)
                m = m >= r->scale * s[j] ? m : r->scale * s[j];
        m = m >= r->largest[i] ? m : r->largest[i];
        for (int64_t j = 0; j < r->columns; j++)
            s[j] = simd_exp(r->scale * s[j] - m);
        float shrink = simd_exp(r->largest[i] - m);
        r->largest[i] = m;
        r->sum[i] = r->sum[i] * shrink + sum_of(s, r->columns);
        float *out = r->out + i * r->width;
        for (int64_t c = 0; c < r->width && shrink != 1.0f; c++)
            out[c] *= shrink;
    }
}

static void finish(struct cpu_attention_rows *r)
{
    for (int64_t i = 0; i < r->rows; i++) {
        float inverse = 1.0f / r->sum[i], *out = r->out + i * r->width;
        for (int64_t c = 0; c < r->width; c++)
            out[c] *= inverse;
        r->log_sum_exp[i] = r->largest[i] + simd_log(r->sum[i]);
    }
}

/* scores become weights, d_weights the gradient of the scores. */
static void gradient(struct cpu_attention_rows *r)
{
    for (int64_t i = 0; i < r->rows; i++) {
        float *s = r->scores + i * r->columns, *d = r->d_weights + i * r->columns;
        float mean =
            dot_of(r->out + i * r->width, r->d_out + i * r->d_out_row, r->d_out_column, r->width);
        float log_sum_exp = r->log_sum_exp[i];
        for (int64_t j = 0; j < r->columns; j++) {
            float weight = simd_exp(r->scale * s[j] - log_sum_exp);
            s[j] = weight;
            d[j] = r->scale * weight * (d[j] - mean);
        }
    }
}

const struct cpu_simd_attention SIMD(cpu_simd_attention) = {softmax, finish, gradient};
