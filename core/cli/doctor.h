/*
 * What kiln doctor finds out, apart from how it is shown.
 */
#ifndef KILN_CLI_DOCTOR_H
#define KILN_CLI_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>

enum kiln_finding_kind { KILN_FINDING_GOOD, KILN_FINDING_BAD, KILN_FINDING_INFO };

struct kiln_finding {
    const char *section; /* "OpenCL loader"; constant */
    enum kiln_finding_kind kind;
    char *name, *text;
};

/* Findings in the order they were made, and what to do about them. */
struct kiln_diagnosis {
    struct kiln_finding *findings;
    size_t n, capacity;
    char *advice[32];
    int n_advice;
    bool driver; /* some driver's library loads */
    bool opencl; /* an OpenCL device can be used */
    bool gpu;    /* one that is not the processor */
    bool failed; /* out of memory */
};

void kiln_diagnosis_find(struct kiln_diagnosis *, const char *section, enum kiln_finding_kind,
                         const char *name, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* The same advice is given once. */
void kiln_diagnosis_advise(struct kiln_diagnosis *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void kiln_diagnosis_finish(struct kiln_diagnosis *);

/* Each part of the examination; together they are kiln doctor. */
void kiln_doctor_devices(struct kiln_diagnosis *);
void kiln_doctor_loader(struct kiln_diagnosis *);
void kiln_doctor_drivers(struct kiln_diagnosis *);
void kiln_doctor_device_files(struct kiln_diagnosis *);
void kiln_doctor_folders(struct kiln_diagnosis *);
/* What to install for the hardware that is there. */
void kiln_doctor_packages(struct kiln_diagnosis *);

#endif
