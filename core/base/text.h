/*
 * Growing strings and arrays (core/api/text.h), and how alike two words are.
 */
#ifndef KILN_BASE_TEXT_H
#define KILN_BASE_TEXT_H

#include "core/api/text.h"

/* Bytes of the well-formed UTF-8 sequence at text, whose end is a NUL; 0 if
 * there is none. */
int kiln_utf8_length(const char *text);

/* Edit distance (Levenshtein), for "did you mean". */
int kiln_edit_distance(const char *a, const char *b);

#endif
