/*
 * SIGINT and SIGTERM: the first asks the command to stop in good order, the
 * second ends the program at once.
 */
#ifndef KILN_CLI_STOP_H
#define KILN_CLI_STOP_H

#include <signal.h>

/* Catches the signals from now on; the flag is not 0 once one has come. */
const volatile sig_atomic_t *kiln_cli_stop(void);

#endif
