/* A progress bar on a terminal, lines elsewhere. */
#include "core/cli/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { MAX_LINE = 512, MAX_TEXT = 256 };

static const double draw_seconds = 0.1; /* between two drawings of a bar */
static const double line_seconds = 5.0; /* between two plain lines */
static const double rate_seconds = 8.0; /* over which the rate is smoothed */

struct kiln_progress {
    struct kiln_progress_options options;
    char title[32], unit[32], text[MAX_TEXT];
    bool terminal;
    int64_t done, measured_done; /* now; when the rate was last measured */
    double drawn, measured;      /* times */
    double steps_per_second;     /* 0 = unknown */
};

static bool bar_is_drawn; /* the cursor stands on the line of a bar */

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int terminal_columns(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col)
        return size.ws_col;
    return 80;
}

/* --- formatting --------------------------------------------------------------------- */

/* "950", "12.3k", "4.56M" */
static void format_rate(double rate, char *text, size_t size)
{
    static const char *const scales[] = {"", "k", "M", "G"};
    int i = 0;
    while (rate >= 999.5 && i < 3) {
        rate /= 1000;
        i++;
    }
    snprintf(text, size, "%.3g%s", rate, scales[i]);
}

/* "0:07", "12:34", "5:06:07", "9d 05h" */
static void format_time(double seconds, char *text, size_t size)
{
    long long s = seconds < 1e12 ? (long long)(seconds + 0.5) : 1000000000000;
    if (s < 3600)
        snprintf(text, size, "%lld:%02lld", s / 60, s % 60);
    else if (s < 86400)
        snprintf(text, size, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text, size, "%lldd %02lldh", s / 86400, s / 3600 % 24);
}

/* " 512 images/s, 0:31 left, loss 3" */
static void format_figures(const struct kiln_progress_state *state, char *text, size_t size)
{
    char figure[32];
    size_t used = 0;
    text[0] = '\0';
    if (state->rate > 0) {
        format_rate(state->rate, figure, sizeof figure);
        used += (size_t)snprintf(text, size, "  %s %s/s", figure, state->unit);
    }
    if (state->seconds >= 0 && used < size) {
        format_time(state->seconds, figure, sizeof figure);
        used += (size_t)snprintf(text + used, size - used, "  %s left", figure);
    }
    if (*state->text && used < size)
        snprintf(text + used, size - used, "  %s", state->text);
}

void kiln_progress_format(const struct kiln_progress_state *state, int columns, char *line,
                          size_t size)
{
    enum { BAR = 20 };
    char count[64], figures[MAX_TEXT + 128], bar[BAR + 4] = "";
    double share = state->total > 0 ? (double)state->done / (double)state->total : 0;
    if (share > 1)
        share = 1;
    if (state->total > 0)
        snprintf(count, sizeof count, "%lld/%lld %3d%%", (long long)state->done,
                 (long long)state->total, (int)(100 * share));
    else
        snprintf(count, sizeof count, "%lld", (long long)state->done);
    format_figures(state, figures, sizeof figures);
    if (columns >= 60 && state->total > 0) {
        int full = (int)(BAR * share);
        memset(bar + 1, ' ', BAR);
        memset(bar + 1, '=', (size_t)full);
        if (full < BAR)
            bar[1 + full] = '>';
        bar[0] = '[';
        bar[BAR + 1] = ']';
        bar[BAR + 2] = ' ';
    }
    snprintf(line, size, "%s %s%s%s", state->title, bar, count, figures);
    /* the last column stays free: some terminals break the line there */
    if (columns > 0 && (size_t)columns <= size && strlen(line) >= (size_t)columns)
        line[columns - 1] = '\0';
}

/* --- drawing ------------------------------------------------------------------------ */

static void draw(kiln_progress *progress)
{
    char line[MAX_LINE];
    struct kiln_progress_state state = {.title = progress->title,
                                        .unit = progress->unit,
                                        .text = progress->text,
                                        .done = progress->done,
                                        .total = progress->options.total,
                                        .rate =
                                            progress->steps_per_second * progress->options.per_step,
                                        .seconds = -1};
    if (progress->steps_per_second > 0 && state.total > state.done)
        state.seconds = (double)(state.total - state.done) / progress->steps_per_second;
    kiln_progress_format(&state, progress->terminal ? terminal_columns() : 0, line, sizeof line);
    if (progress->terminal) {
        fprintf(stderr, "\r\033[K%s", line);
        bar_is_drawn = true;
    } else {
        fprintf(stderr, "%s\n", line);
    }
    fflush(stderr);
}

void kiln_progress_clear(void)
{
    if (!bar_is_drawn)
        return;
    fputs("\r\033[K", stderr);
    bar_is_drawn = false;
}

static void copy(char *target, size_t size, const char *text)
{
    snprintf(target, size, "%s", text ? text : "");
    for (char *c = target; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
}

kiln_progress *kiln_progress_create(const struct kiln_progress_options *options)
{
    kiln_progress *progress = calloc(1, sizeof *progress);
    if (!progress)
        return NULL;
    const char *terminal = getenv("TERM");
    progress->options = *options;
    copy(progress->title, sizeof progress->title, options->title);
    copy(progress->unit, sizeof progress->unit, options->unit);
    progress->terminal =
        isatty(STDERR_FILENO) && terminal && *terminal && strcmp(terminal, "dumb") != 0;
    progress->done = progress->measured_done = options->done;
    progress->drawn = progress->measured = now();
    return progress;
}

/* Weighs the rate since the last measurement by the time that it covers. */
static void measure(kiln_progress *progress, double time)
{
    double seconds = time - progress->measured;
    if (seconds <= 0 || progress->done <= progress->measured_done)
        return;
    double rate = (double)(progress->done - progress->measured_done) / seconds;
    double weight = seconds / (seconds + rate_seconds);
    progress->steps_per_second +=
        progress->steps_per_second > 0 ? weight * (rate - progress->steps_per_second) : rate;
    progress->measured = time;
    progress->measured_done = progress->done;
}

void kiln_progress_update(kiln_progress *progress, int64_t done, const char *text)
{
    if (!progress || progress->options.quiet)
        return;
    double time = now();
    progress->done = done;
    if (text)
        copy(progress->text, sizeof progress->text, text);
    if (time - progress->drawn < (progress->terminal ? draw_seconds : line_seconds))
        return;
    measure(progress, time);
    progress->drawn = time;
    draw(progress);
}

void kiln_progress_finish(kiln_progress **progress)
{
    if (!progress || !*progress)
        return;
    if (!(*progress)->options.quiet) {
        measure(*progress, now());
        draw(*progress);
        if ((*progress)->terminal)
            fputc('\n', stderr);
        bar_is_drawn = false;
    }
    free(*progress);
    *progress = NULL;
}
