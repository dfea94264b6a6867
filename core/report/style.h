/*
 * The style sheet of every page.
 */
#ifndef KILN_REPORT_STYLE_H
#define KILN_REPORT_STYLE_H

extern const char kiln_html_style[];

#endif
