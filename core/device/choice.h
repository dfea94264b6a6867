/*
 * Which device a specification means.
 */
#ifndef KILN_DEVICE_CHOICE_H
#define KILN_DEVICE_CHOICE_H

#include "core/device/device.h"

/*
 * Index of the entry that spec means (device.h: kiln_device_open), among n
 * entries in the order of kiln_device_list. KILN_INPUT with the list of names
 * if none or several match.
 */
enum kiln_status kiln_device_choose(const char *spec, int n, const struct kiln_device_entry *,
                                    int *chosen, struct kiln_error *);

/* True if a is to be preferred as the default: GPU before accelerator before
 * CPU, memory of its own before shared, then units times clock. */
bool kiln_device_better(const struct kiln_caps *a, const struct kiln_caps *b);

#endif
