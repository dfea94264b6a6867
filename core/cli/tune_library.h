/*
 * kiln tune: parameters of a backend's library (CLBlast's tiles), measured in
 * a process of their own, since a driver may not survive what it is asked to
 * compile, and a library does not forget what it was given.
 */
#ifndef KILN_CLI_TUNE_LIBRARY_H
#define KILN_CLI_TUNE_LIBRARY_H

#include "core/device/tune.h"

/* Opens the device and the choices kept for it. */
enum kiln_status kiln_tune_open(const char *device, kiln_device **, kiln_tuner **,
                                struct kiln_error *);

/* Measures in a child what is not known yet for the device. That it cannot be
 * measured is a warning, not a failure. */
enum kiln_status kiln_tune_library(const char *device, struct kiln_error *);

/* The child: this program with the hidden command and the device. */
#define KILN_TUNE_LIBRARY_COMMAND "--tune-library"
enum kiln_status kiln_tune_library_child(const char *device, struct kiln_error *);

#endif
