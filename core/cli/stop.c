/* Stopping in good order. */
#include "core/cli/stop.h"

#include <stddef.h>

static volatile sig_atomic_t stopped;

/* The next signal ends the program, whatever it waits for. */
static void stop(int signal_number)
{
    stopped = signal_number;
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
}

const volatile sig_atomic_t *kiln_cli_stop(void)
{
    struct sigaction action = {.sa_handler = stop, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return &stopped;
}
