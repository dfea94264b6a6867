/* The one receiver of messages. */
#include "core/base/log.h"

#include <stdarg.h>
#include <stdio.h>

/* State of the process and not of a run: what is shown is the program's choice. */
static kiln_log_fn *receiver;
static void *receiver_user;

void kiln_log_receiver(kiln_log_fn *function, void *user)
{
    receiver = function;
    receiver_user = user;
}

void kiln_log_line(enum kiln_log_level level, const char *format, ...)
{
    if (!receiver)
        return;
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            *c = '?';
    receiver(receiver_user, level, line);
}
