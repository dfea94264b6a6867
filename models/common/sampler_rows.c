/* Heads of rows, shared by the families of samplers. */
#include "models/common/sampler_fill.h"

#include <math.h>
#include <stddef.h>

float *sampler_row_at(const struct sampler_filler *f, int i)
{
    return f->table->rows + (size_t)i * f->table->row_words;
}

void sampler_set(const struct sampler_filler *f, int i, int k, int source, double value)
{
    sampler_row_at(f, i)[sampler_row_index(f->table, k, source)] = (float)value;
}

/* Row head in the variance-preserving form: x = a x0 + s e. */
void sampler_head_vp(const struct sampler_filler *f, int i, double t, double a, double s)
{
    float *row = sampler_row_at(f, i);
    row[ROW_T] = (float)t;
    row[ROW_IN_SCALE] = 1;
    row[ROW_SIGNAL] = (float)a;
    row[ROW_NOISE] = (float)s;
    switch (f->options->prediction) {
    case PREDICT_EPSILON:
        row[ROW_X0_X] = (float)(1 / a);
        row[ROW_X0_OUT] = (float)(-s / a);
        row[ROW_E_OUT] = 1;
        break;
    case PREDICT_SAMPLE:
        row[ROW_X0_OUT] = 1;
        row[ROW_E_X] = (float)(1 / s);
        row[ROW_E_OUT] = (float)(-a / s);
        break;
    case PREDICT_V:
        row[ROW_X0_X] = (float)a;
        row[ROW_X0_OUT] = (float)-s;
        row[ROW_E_X] = (float)s;
        row[ROW_E_OUT] = (float)a;
        break;
    }
}

/* Row head in the variance-exploding form: x = x0 + sigma e. */
void sampler_head_ve(const struct sampler_filler *f, int i, double t, double sigma)
{
    float *row = sampler_row_at(f, i);
    double norm = sigma * sigma + 1;
    row[ROW_T] = (float)t;
    row[ROW_IN_SCALE] = (float)(1 / sqrt(norm));
    row[ROW_SIGNAL] = 1;
    row[ROW_NOISE] = (float)sigma;
    switch (f->options->prediction) {
    case PREDICT_EPSILON:
        row[ROW_X0_X] = 1;
        row[ROW_X0_OUT] = (float)-sigma;
        break;
    case PREDICT_SAMPLE:
        row[ROW_X0_OUT] = 1;
        break;
    case PREDICT_V:
        row[ROW_X0_X] = (float)(1 / norm);
        row[ROW_X0_OUT] = (float)(-sigma / sqrt(norm));
        break;
    }
}

double sampler_alpha_bar(const struct sampler_filler *f, double t, double beyond)
{
    return t >= 0 ? f->schedule->alphas_cumprod[(int)t] : beyond;
}

/* sampler_alpha_bar beyond the last timestep */
double sampler_final_alpha_bar(const struct sampler_filler *f)
{
    enum alpha_to_one choice = f->options->alpha_to_one;
    if (choice == ALPHA_TO_ONE_DEFAULT)
        choice = f->options->kind == SAMPLER_PNDM ? ALPHA_TO_ONE_NO : ALPHA_TO_ONE_YES;
    return choice == ALPHA_TO_ONE_YES ? 1 : f->schedule->alphas_cumprod[0];
}
