/* Ticks at round numbers. */
#include "core/report/axis.h"

#include <math.h>
#include <stdio.h>

/* The least of 1, 2, 5, 10, ... that is not below. */
static double round_step(double step)
{
    double power = pow(10, floor(log10(step))), rest = step / power;
    return power * (rest <= 1.0001 ? 1 : rest <= 2.0001 ? 2 : rest <= 5.0001 ? 5 : 10);
}

static void add_tick(struct kiln_axis *axis, double value)
{
    double slack = 1e-9 * (axis->high - axis->low);
    if (axis->n_ticks < KILN_AXIS_MAX_TICKS && value >= axis->low - slack &&
        value <= axis->high + slack)
        axis->ticks[axis->n_ticks++] = value;
}

static void linear_ticks(struct kiln_axis *axis, bool widen, int wanted)
{
    double step = round_step((axis->high - axis->low) / wanted);
    double first = floor(axis->low / step + 1e-9), last = ceil(axis->high / step - 1e-9);
    if (widen) {
        axis->low = first * step;
        axis->high = last * step;
    }
    for (double k = first; k <= last && last - first < 1000; k++)
        add_tick(axis, fabs(k) < 0.5 ? 0 : k * step);
}

static void log_ticks(struct kiln_axis *axis, bool widen, int wanted)
{
    static const double digits[] = {1, 2, 5};
    double first = floor(log10(axis->low) + 1e-9), last = ceil(log10(axis->high) - 1e-9);
    double decades = log10(axis->high / axis->low);
    int every = decades > wanted ? (int)ceil(decades / wanted) : 1;
    bool fine = decades < 3;
    double low = pow(10, first), high = pow(10, last);
    for (double p = first; p <= last; p++) /* the tightest of the digits that will be ticks */
        for (int d = 0; fine && d < 3; d++) {
            double value = digits[d] * pow(10, p);
            low = value <= axis->low * (1 + 1e-9) && value > low ? value : low;
            high = value >= axis->high * (1 - 1e-9) && value < high ? value : high;
        }
    if (widen) {
        axis->low = low;
        axis->high = high;
    }
    for (double p = first; p <= last; p += every)
        for (int d = 0; d < (fine ? 3 : 1); d++)
            add_tick(axis, digits[d] * pow(10, p));
}

static struct kiln_axis make(double low, double high, bool logarithmic, bool widen, int wanted)
{
    struct kiln_axis axis = {.logarithmic = logarithmic, .low = low, .high = high};
    if (!isfinite(high - low) || low > high ||
        (logarithmic && (low <= 0 || !isfinite(high / low)))) {
        axis.low = logarithmic ? 0.1 : 0;
        axis.high = 1;
    }
    if (axis.high - axis.low <= 1e-9 * fabs(axis.high)) { /* one value */
        double size = axis.low == 0 ? 1 : fabs(axis.low);
        axis.low = logarithmic ? axis.low / 2 : axis.low - 0.1 * size;
        axis.high = logarithmic ? axis.high * 2 : axis.high + 0.1 * size;
    }
    if (logarithmic)
        log_ticks(&axis, widen, wanted);
    else
        linear_ticks(&axis, widen, wanted);
    return axis;
}

struct kiln_axis kiln_axis_make(double low, double high, bool logarithmic, int wanted)
{
    return make(low, high, logarithmic, true, wanted);
}

struct kiln_axis kiln_axis_exact(double low, double high, bool logarithmic, int wanted)
{
    return make(low, high, logarithmic, false, wanted);
}

double kiln_axis_at(const struct kiln_axis *axis, double value)
{
    if (value < axis->low)
        value = axis->low;
    if (value > axis->high)
        value = axis->high;
    double share = axis->logarithmic ? log(value / axis->low) / log(axis->high / axis->low)
                                     : (value - axis->low) / (axis->high - axis->low);
    return axis->start + share * (axis->stop - axis->start);
}

char *kiln_axis_label(double value, char *text, size_t size)
{
    double positive = fabs(value);
    if (positive >= 1e9 || (positive > 1e-30 && positive < 0.01)) {
        int power = (int)floor(log10(positive) + 1e-9);
        snprintf(text, size, "%.4ge%d", value / pow(10, power), power);
    } else if (positive >= 1e6) {
        snprintf(text, size, "%gM", value / 1e6);
    } else if (positive >= 1e4) {
        snprintf(text, size, "%gk", value / 1e3);
    } else {
        snprintf(text, size, "%.6g", positive > 1e-30 ? value : 0);
    }
    return text;
}
