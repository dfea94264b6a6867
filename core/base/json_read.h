/*
 * Reading JSON with Jansson, which takes want of memory for bad text or, in
 * its lexer, ends the process.
 */
#ifndef KILN_BASE_JSON_READ_H
#define KILN_BASE_JSON_READ_H

#include <jansson.h>

#include "core/api/status.h"

/*
 * As json_loadb. KILN_INPUT: the text is no JSON, *why (may be NULL) says
 * where; KILN_MACHINE: out of memory. *out is NULL then; else the caller
 * releases it by json_decref.
 */
enum kiln_status kiln_json_read(const char *text, size_t bytes, size_t flags, json_t **out,
                                json_error_t *why);

#endif
