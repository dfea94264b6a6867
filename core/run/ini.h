/*
 * INI files: inih behind a reader that refuses what inih would misread.
 *
 * The accepted language, a subset of inih's:
 *   - UTF-8 text of at most 1 MiB, with or without a byte order mark; lines
 *     end with LF or CR LF and have at most 198 bytes without it; no control
 *     characters but the tab;
 *   - blank lines; comments from ';' or '#' at the start of a line or after a
 *     blank, up to the line's end (so a value cannot contain " ;" or " #");
 *   - "[section]", nothing after it but a comment, each at most once;
 *   - "key = value"; blanks around both are dropped, also before the key; the
 *     value may be empty, has no quotes and does not continue on the next line.
 * Names are letters, digits, '_' and '-', at most 49 bytes.
 *
 * Reading stops at the first error: KILN_INPUT, "name:line: what".
 */
#ifndef KILN_RUN_INI_H
#define KILN_RUN_INI_H

#include <stdbool.h>
#include <stddef.h>

#include "core/api/status.h"

struct kiln_text;

enum { KILN_INI_MAX_BYTES = 1 << 20, KILN_INI_MAX_LINE = 198, KILN_INI_MAX_NAME = 49 };

/* Receives one key. section is "" before the first section; line counts from
 * 1. The strings live during the call. A status other than KILN_OK, with the
 * complete message in error, ends the reading. */
typedef enum kiln_status kiln_ini_fn(void *user, const char *section, const char *key,
                                     const char *value, int line, struct kiln_error *error);

/* Reads n bytes of text; name stands for it in messages. */
enum kiln_status kiln_ini_parse(const char *name, const char *text, size_t n, kiln_ini_fn *,
                                void *user, struct kiln_error *error);
/* Reads a regular file; missing, unreadable and too large ones are KILN_INPUT. */
enum kiln_status kiln_ini_load(const char *path, kiln_ini_fn *, void *user,
                               struct kiln_error *error);

/* True for 1 to KILN_INI_MAX_NAME of the characters that names may have. */
bool kiln_ini_name_valid(const char *name);
/* True if kiln_ini_write can write value and it is read back unchanged. */
bool kiln_ini_value_valid(const char *key, const char *value);
/* Appends "key = value", or "key=value" where the blanks would not fit or would
 * make the value a comment. No line feed. */
void kiln_ini_write(struct kiln_text *, const char *key, const char *value);

#endif
