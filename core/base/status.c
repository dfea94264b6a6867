/* One-line error messages. */
#include "core/api/status.h"

#include <stdarg.h>
#include <stdio.h>

enum kiln_status kiln_fail(struct kiln_error *error, enum kiln_status status, const char *format,
                           ...)
{
    if (!error)
        return status;
    char text[sizeof error->text];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    /* through a copy, because the old message may be one of the arguments */
    size_t i = 0;
    for (; text[i]; i++) {
        unsigned char c = (unsigned char)text[i];
        error->text[i] = c < 0x20 || c == 0x7f ? '?' : text[i];
    }
    error->text[i] = '\0';
    return status;
}
