/* Running a program with a timeout. */
#include "core/base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int spawn(const char *program, char *const argv[], int out, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed)
        return failed;
    failed = posix_spawnattr_init(&attributes);
    if (!failed) {
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
        posix_spawnattr_setpgroup(&attributes, 0);
        posix_spawnattr_setsigmask(&attributes, &none);
        failed = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
        for (int fd = 1; fd <= 2 && !failed; fd++)
            failed = posix_spawn_file_actions_adddup2(&actions, out, fd);
        if (!failed)
            failed = posix_spawn(pid, program, &actions, &attributes, argv, environ);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

/* Reads until the pipe ends or time is up; true if time was up. */
static bool listen_to(int in, double idle_seconds, size_t limit, struct kiln_text *output)
{
    double start = now(), heard = start;
    for (;;) {
        double time = now(), left = heard + idle_seconds - time,
               total = start + 6 * idle_seconds - time;
        left = left < total ? left : total;
        if (left <= 0)
            return true;
        struct pollfd wait = {.fd = in, .events = POLLIN};
        int ready = poll(&wait, 1, (int)(left * 1000) + 1);
        if (ready < 0 && errno != EINTR)
            return true;
        if (ready <= 0)
            continue;
        char buffer[4096];
        ssize_t n = read(in, buffer, sizeof buffer);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        heard = now();
        size_t room = output->length < limit ? limit - output->length : 0;
        kiln_text_bytes(output, buffer, (size_t)n < room ? (size_t)n : room);
    }
}

/* Waits for the end, but not for ever: a process in an uninterruptible sleep of
 * a driver outlives SIGKILL. */
static bool reap(pid_t pid, double seconds, int *status)
{
    for (double end = now() + seconds;;) {
        pid_t done = waitpid(pid, status, WNOHANG);
        if (done == pid)
            return true;
        if ((done < 0 && errno != EINTR) || now() > end)
            return false;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

enum kiln_status kiln_child_run(const char *program, char *const argv[], double idle_seconds,
                                size_t limit, struct kiln_child_result *result,
                                struct kiln_error *error)
{
    *result = (struct kiln_child_result){.exit_status = -1};
    int ends[2];
    if (pipe(ends) != 0)
        return kiln_fail(error, KILN_MACHINE, "%s: %s", program, strerror(errno));
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    pid_t pid = 0;
    int failed = spawn(program, argv, ends[1], &pid);
    close(ends[1]);
    if (failed) {
        close(ends[0]);
        return kiln_fail(error, KILN_MACHINE, "%s: %s", program, strerror(failed));
    }
    result->timed_out = listen_to(ends[0], idle_seconds, limit, &result->output);
    close(ends[0]);
    int status = 0;
    /* it may have closed its output and hang all the same */
    bool ended = !result->timed_out && reap(pid, idle_seconds, &status);
    if (!ended) {
        result->timed_out = true;
        kill(-pid, SIGKILL);
        kill(pid, SIGKILL);
        ended = reap(pid, 1.0, &status);
    }
    if (ended && WIFEXITED(status))
        result->exit_status = WEXITSTATUS(status);
    else if (ended && WIFSIGNALED(status))
        result->signal = WTERMSIG(status);
    return KILN_OK;
}

char *kiln_child_ending(const struct kiln_child_result *result, double idle_seconds, char *text,
                        size_t size)
{
    if (result->timed_out)
        snprintf(text, size, "did not answer for %g s", idle_seconds);
    else if (result->signal)
        snprintf(text, size, "killed by signal %d (%s)", result->signal, strsignal(result->signal));
    else
        snprintf(text, size, "exit status %d", result->exit_status);
    return text;
}
