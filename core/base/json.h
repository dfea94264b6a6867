/*
 * Writing JSON: one compact value appended to a growing text.
 *
 *     struct kiln_text text = {0};
 *     struct kiln_json json = kiln_json_start(&text);
 *     kiln_json_object(&json, NULL);
 *     kiln_json_int(&json, "step", 100);
 *     kiln_json_end(&json);            -> {"step": 100}
 *
 * key is the member's name inside an object and NULL inside an array and at
 * the top. Strings are escaped; bytes that are not UTF-8 become U+FFFD.
 * Numbers are the shortest text that reads back as the same value; NaN and
 * infinities, which JSON lacks, become null. Failures (memory) stick in
 * text.failed. Reading: json_read.h.
 */
#ifndef KILN_BASE_JSON_H
#define KILN_BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/text.h"

#define KILN_JSON_MAX_DEPTH 32

struct kiln_json {
    struct kiln_text *text;
    int depth;
    char close[KILN_JSON_MAX_DEPTH];   /* '}' or ']' of each open level */
    bool filled[KILN_JSON_MAX_DEPTH];  /* the level has a member already */
};

struct kiln_json kiln_json_start(struct kiln_text *);
void kiln_json_object(struct kiln_json *, const char *key);
void kiln_json_array(struct kiln_json *, const char *key);
/* Closes the innermost object or array. */
void kiln_json_end(struct kiln_json *);

/* value NULL is written as null. */
void kiln_json_string(struct kiln_json *, const char *key, const char *value);
void kiln_json_int(struct kiln_json *, const char *key, int64_t value);
void kiln_json_number(struct kiln_json *, const char *key, double value);
/* As number, with the precision of an f32. */
void kiln_json_float(struct kiln_json *, const char *key, float value);
void kiln_json_bool(struct kiln_json *, const char *key, bool value);

/* Appends the quoted, escaped string alone. */
void kiln_json_quote(struct kiln_text *, const char *value);

#endif
