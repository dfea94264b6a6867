/* Vector fields in the plane. */
#include "models/ncsn/study_field.h"

#include <math.h>

void field_grid(double low, double high, float *points)
{
    for (int i = 0; i < FIELD_POINTS; i++) {
        points[2 * i] = (float)(low + (high - low) * (i % FIELD_SIDE + 0.5) / FIELD_SIDE);
        points[2 * i + 1] = (float)(low + (high - low) * (i / FIELD_SIDE + 0.5) / FIELD_SIDE);
    }
}

void field_arrows(double low, double high, const float *points, const float *vectors, double usual,
                  float *arrows)
{
    double spacing = (high - low) / FIELD_SIDE;
    for (int i = 0; i < FIELD_POINTS; i++) {
        double length = hypot(vectors[2 * i], vectors[2 * i + 1]);
        double factor = spacing / (length + usual);
        for (int axis = 0; axis < 2; axis++) {
            arrows[4 * i + axis] = points[2 * i + axis];
            arrows[4 * i + 2 + axis] = (float)(vectors[2 * i + axis] * factor);
        }
    }
}
