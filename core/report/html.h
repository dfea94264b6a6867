/*
 * Self-contained HTML pages: no scripts, no links, light and dark by media
 * query. Text that comes from outside goes through kiln_html_text.
 *
 * Failures (memory) stick in the text.
 */
#ifndef KILN_REPORT_HTML_H
#define KILN_REPORT_HTML_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/text.h"

/* Colours of series: classes c0 .. c7 of the style sheet. */
#define KILN_HTML_COLOURS 8

/* Everything up to the page's heading; title and subtitle are plain text. */
void kiln_html_begin(struct kiln_text *, const char *title, const char *subtitle);
void kiln_html_end(struct kiln_text *);

/* Appends plain text: markup is escaped, bytes that are not UTF-8 and control
 * characters become U+FFFD. */
void kiln_html_text(struct kiln_text *, const char *text);
/* <h2>, with an anchor made of the same text. */
void kiln_html_heading(struct kiln_text *, const char *title);
/* A figure of the row at the top: "0.64 M" over "parameters". */
void kiln_html_tile(struct kiln_text *, const char *value, const char *label);
/* <img> with the bytes of a PNG inside. */
void kiln_html_png(struct kiln_text *, const void *data, size_t bytes, const char *alternative);

/* A number for people, in text of size: four significant digits and, from
 * 10,000 on, a factor: "0.001234", "9876", "12.3 k", "4.57 M"; "-" if it is
 * not finite. Returns text. */
char *kiln_html_number(double value, char *text, size_t size);
/* Seconds as "1.23 ms", "45 s", "3 min 20 s", "2 h 5 min". */
char *kiln_html_seconds(double seconds, char *text, size_t size);
/* Bytes as "12.3 MiB". */
char *kiln_html_bytes(double bytes, char *text, size_t size);

#endif
