/*
 * --stats: profiles of executables as text and JSON.
 */
#ifndef KILN_CLI_STATS_H
#define KILN_CLI_STATS_H

#include "core/base/json.h"
#include "core/device/profile.h"

/* Appends a table; nothing if the profile is of no execution. what: "phase critic". */
void kiln_stats_text(const char *what, const struct kiln_profile *, struct kiln_text *);
/* Writes an object as a member; nothing if the profile is of no execution. */
void kiln_stats_json(const char *name, const struct kiln_profile *, struct kiln_json *);

#endif
