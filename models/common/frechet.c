/* The Frechet distance of normal distributions. */
#include "models/common/frechet.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void mean_and_covariance(int64_t n, const float *x, int d, double *mean, double *covariance)
{
    memset(mean, 0, (size_t)d * sizeof *mean);
    memset(covariance, 0, (size_t)d * (size_t)d * sizeof *covariance);
    for (int64_t i = 0; i < n; i++)
        for (int j = 0; j < d; j++)
            mean[j] += x[i * d + j] / (double)n;
    for (int64_t i = 0; i < n; i++)
        for (int j = 0; j < d; j++)
            for (int k = 0; k <= j; k++)
                covariance[j * d + k] +=
                    (x[i * d + j] - mean[j]) * (x[i * d + k] - mean[k]) / (double)(n - 1);
    for (int j = 0; j < d; j++)
        for (int k = 0; k < j; k++)
            covariance[k * d + j] = covariance[j * d + k];
}

/* Rotates rows and columns p, q of the symmetric a so that a[p][q] is 0, and
 * the columns of vectors with them. */
static void rotate(int d, double *a, double *vectors, int p, int q)
{
    double theta = (a[q * d + q] - a[p * d + p]) / (2 * a[p * d + q]);
    double t = (theta < 0 ? -1 : 1) / (fabs(theta) + sqrt(theta * theta + 1));
    double c = 1 / sqrt(t * t + 1), s = t * c;
    for (int k = 0; k < d; k++) {
        double x = a[k * d + p], y = a[k * d + q];
        a[k * d + p] = c * x - s * y;
        a[k * d + q] = s * x + c * y;
    }
    for (int k = 0; k < d; k++) {
        double x = a[p * d + k], y = a[q * d + k];
        a[p * d + k] = c * x - s * y;
        a[q * d + k] = s * x + c * y;
        x = vectors[k * d + p], y = vectors[k * d + q];
        vectors[k * d + p] = c * x - s * y;
        vectors[k * d + q] = s * x + c * y;
    }
}

/* Jacobi's method: a becomes diagonal, its eigenvalues; the columns of vectors
 * are the eigenvectors. */
static void eigen(int d, double *a, double *vectors)
{
    for (int i = 0; i < d * d; i++)
        vectors[i] = i % (d + 1) == 0;
    for (int sweep = 0; sweep < 60; sweep++) {
        double off = 0, size = 0;
        for (int p = 0; p < d; p++)
            for (int q = 0; q < d; q++)
                *(p == q ? &size : &off) += a[p * d + q] * a[p * d + q];
        if (off <= 1e-26 * size)
            return;
        for (int p = 0; p < d; p++)
            for (int q = p + 1; q < d; q++)
                if (a[p * d + q] != 0)
                    rotate(d, a, vectors, p, q);
    }
}

static void multiply(int d, const double *a, const double *b, double *out)
{
    for (int i = 0; i < d; i++)
        for (int j = 0; j < d; j++) {
            double sum = 0;
            for (int k = 0; k < d; k++)
                sum += a[i * d + k] * b[k * d + j];
            out[i * d + j] = sum;
        }
}

/* out = the symmetric root of a, which is overwritten. */
static void square_root(int d, double *a, double *vectors, double *out)
{
    eigen(d, a, vectors);
    for (int i = 0; i < d; i++)
        for (int j = 0; j < d; j++) {
            double sum = 0;
            for (int k = 0; k < d; k++)
                sum += vectors[i * d + k] * sqrt(fmax(a[k * d + k], 0)) * vectors[j * d + k];
            out[i * d + j] = sum;
        }
}

double frechet_distance(int64_t n_a, const float *a, int64_t n_b, const float *b, int d)
{
    size_t square = (size_t)d * (size_t)d;
    double *memory = calloc(5 * square + 2 * (size_t)d, sizeof *memory), distance = 0;
    if (!memory)
        return -1;
    double *c_a = memory, *c_b = c_a + square, *root = c_b + square, *product = root + square,
           *vectors = product + square, *m_a = vectors + square, *m_b = m_a + d;
    mean_and_covariance(n_a, a, d, m_a, c_a);
    mean_and_covariance(n_b, b, d, m_b, c_b);
    for (int i = 0; i < d; i++)
        distance += (m_a[i] - m_b[i]) * (m_a[i] - m_b[i]) + c_a[i * d + i] + c_b[i * d + i];
    square_root(d, c_a, vectors, root);
    multiply(d, root, c_b, product);
    multiply(d, product, root, c_a);
    eigen(d, c_a, vectors);
    for (int i = 0; i < d; i++)
        distance -= 2 * sqrt(fmax(c_a[i * d + i], 0));
    free(memory);
    return fmax(distance, 0);
}
