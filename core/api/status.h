/*
 * Status codes and the one-line error message that every fallible function of
 * Kiln reports through.
 *
 * Thread rule: a struct kiln_error belongs to one thread at a time.
 */
#ifndef KILN_STATUS_H
#define KILN_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define KILN_API               __attribute__((visibility("default")))
#define KILN_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define KILN_API
#define KILN_PRINTF(fmt, args)
#endif

/* The values are the program's exit statuses. */
enum kiln_status {
    KILN_OK = 0,
    KILN_MACHINE = 1,      /* device, memory, disk: the machine failed */
    KILN_INPUT = 2,        /* usage, config, data, checkpoint, plugin */
    KILN_INTERRUPTED = 130 /* SIGINT or SIGTERM, state saved */
};

/* A message of one line without the leading "kiln: "; "" when there is none. */
struct kiln_error {
    char text[1024];
};

/*
 * Writes the formatted message into error (NULL is accepted) and returns
 * status, so that a failure is one statement: return kiln_fail(...). Control
 * characters in the formatted text are replaced by '?'. Never overwrites the
 * meaning of status: status must not be KILN_OK.
 */
KILN_API enum kiln_status kiln_fail(struct kiln_error *error, enum kiln_status status,
                                    const char *format, ...) KILN_PRINTF(3, 4);

#ifdef __cplusplus
}
#endif
#endif
