/*
 * A parsed command line as text that a shell reads back: for "resume with ..."
 * and for the texts of pictures.
 */
#ifndef KILN_CLI_REPLAY_H
#define KILN_CLI_REPLAY_H

#include "core/cli/command.h"

/* Appends "kiln NAME ARGUMENTS --option ...", quoted where a shell needs it. */
void kiln_cli_replay(const struct kiln_cli *, struct kiln_text *);

#endif
