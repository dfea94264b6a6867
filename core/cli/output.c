/* Results on stdout, messages on stderr. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cli/command.h"
#include "core/cli/progress.h"

bool kiln_cli_colour(void)
{
    const char *terminal = getenv("TERM"), *none = getenv("NO_COLOR");
    return isatty(STDERR_FILENO) && terminal && *terminal && strcmp(terminal, "dumb") != 0 &&
           !(none && *none);
}

void kiln_cli_message(const char *format, ...)
{
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    kiln_progress_clear();
    fprintf(stderr, kiln_cli_colour() ? "\033[1mkiln:\033[0m %s\n" : "kiln: %s\n", text);
    fflush(stderr);
}

enum kiln_status kiln_cli_print(struct kiln_text *text, struct kiln_error *error)
{
    enum kiln_status status = KILN_OK;
    if (text->failed) {
        status = kiln_fail(error, KILN_MACHINE, "output: out of memory");
    } else {
        kiln_progress_clear();
        errno = 0;
        bool written =
            fwrite(text->data ? text->data : "", 1, text->length, stdout) == text->length &&
            fputc('\n', stdout) != EOF && fflush(stdout) == 0;
        if (!written && errno != EPIPE)
            status = kiln_fail(error, KILN_MACHINE, "stdout: %s", strerror(errno));
    }
    kiln_text_finish(text);
    return status;
}
