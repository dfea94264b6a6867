/* The frame of a page, and text in it. */
#include "core/report/html.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/report/style.h"

void kiln_html_begin(struct kiln_text *html, const char *title, const char *subtitle)
{
    kiln_text_append(html,
                     "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                     "<meta name=\"viewport\" content=\"width=device-width, "
                     "initial-scale=1\">\n<meta name=\"generator\" content=\"kiln " KILN_VERSION
                     "\">\n<title>");
    kiln_html_text(html, title);
    kiln_text_append(html, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<header>\n<h1>",
                     kiln_html_style);
    kiln_html_text(html, title);
    kiln_text_append(html, "</h1>\n<p>");
    kiln_html_text(html, subtitle);
    kiln_text_append(html, "</p>\n</header>\n<main>\n");
}

void kiln_html_end(struct kiln_text *html)
{
    kiln_text_append(html, "</main>\n<footer>kiln " KILN_VERSION "</footer>\n</body>\n</html>\n");
}

void kiln_html_text(struct kiln_text *html, const char *text)
{
    while (*text) {
        int n = kiln_utf8_length(text);
        const char *entity = *text == '&'    ? "&amp;"
                             : *text == '<'  ? "&lt;"
                             : *text == '>'  ? "&gt;"
                             : *text == '"'  ? "&quot;"
                             : *text == '\'' ? "&#39;"
                                             : NULL;
        bool control =
            ((unsigned char)*text < 0x20 && *text != '\n' && *text != '\t') || *text == 0x7f;
        if (entity)
            kiln_text_bytes(html, entity, strlen(entity));
        else if (n == 0 || control)
            kiln_text_bytes(html, "\xEF\xBF\xBD", 3);
        else
            kiln_text_bytes(html, text, (size_t)n);
        text += n ? n : 1;
    }
}

void kiln_html_heading(struct kiln_text *html, const char *title)
{
    kiln_text_append(html, "<h2 id=\"");
    for (const char *c = title; *c; c++)
        kiln_text_append(html, "%c",
                         (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') ? *c
                         : *c >= 'A' && *c <= 'Z'                             ? *c - 'A' + 'a'
                                                                              : '-');
    kiln_text_append(html, "\">");
    kiln_html_text(html, title);
    kiln_text_append(html, "</h2>\n");
}

void kiln_html_tile(struct kiln_text *html, const char *value, const char *label)
{
    kiln_text_append(html, "<div class=\"tile\"><b>");
    kiln_html_text(html, value);
    kiln_text_append(html, "</b><span>");
    kiln_html_text(html, label);
    kiln_text_append(html, "</span></div>\n");
}

static void append_base64(struct kiln_text *html, const unsigned char *data, size_t bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < bytes; i += 3) {
        size_t left = bytes - i;
        uint32_t word = (uint32_t)data[i] << 16 | (left > 1 ? (uint32_t)data[i + 1] << 8 : 0) |
                        (left > 2 ? data[i + 2] : 0);
        const char four[] = {digits[word >> 18], digits[word >> 12 & 63],
                             left > 1 ? digits[word >> 6 & 63] : '=',
                             left > 2 ? digits[word & 63] : '='};
        kiln_text_bytes(html, four, sizeof four);
    }
}

void kiln_html_png(struct kiln_text *html, const void *data, size_t bytes, const char *alternative)
{
    kiln_text_append(html, "<img alt=\"");
    kiln_html_text(html, alternative);
    kiln_text_append(html, "\" src=\"data:image/png;base64,");
    append_base64(html, data, bytes);
    kiln_text_append(html, "\">");
}

/* --- numbers for people ------------------------------------------------------------ */

/* value in digits significant digits without an exponent or trailing zeros */
static void significant(double value, int digits, char *text, size_t size)
{
    int magnitude = value == 0 ? 0 : (int)floor(log10(fabs(value)));
    int places = digits - 1 - magnitude;
    snprintf(text, size, "%.*f", places < 0 ? 0 : places, value);
    if (!strchr(text, '.'))
        return;
    size_t length = strlen(text);
    while (text[length - 1] == '0')
        text[--length] = '\0';
    if (text[length - 1] == '.')
        text[length - 1] = '\0';
}

char *kiln_html_number(double value, char *text, size_t size)
{
    static const struct {
        double factor;
        const char *name;
    } factors[] = {{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}};
    double positive = fabs(value);
    char digits[64];
    if (!isfinite(value)) {
        snprintf(text, size, "-");
        return text;
    }
    if (positive < 1e-4 && positive > 0) {
        snprintf(text, size, "%.2e", value);
        return text;
    }
    for (int i = 0; i < 4 && positive >= 9999.5; i++)
        if (positive >= 0.9995 * factors[i].factor) {
            significant(value / factors[i].factor, 3, digits, sizeof digits);
            snprintf(text, size, "%s %s", digits, factors[i].name);
            return text;
        }
    significant(value, 4, digits, sizeof digits);
    snprintf(text, size, "%s", digits);
    return text;
}

char *kiln_html_seconds(double seconds, char *text, size_t size)
{
    char digits[64];
    if (!isfinite(seconds) || seconds < 0 || seconds > 1e9) {
        snprintf(text, size, "-");
    } else if (seconds >= 3600) {
        int minutes = (int)(seconds / 60 + 0.5);
        snprintf(text, size, "%d h %d min", minutes / 60, minutes % 60);
    } else if (seconds >= 60) {
        int whole = (int)(seconds + 0.5);
        snprintf(text, size, "%d min %d s", whole / 60, whole % 60);
    } else {
        double factor = seconds >= 1 ? 1 : seconds >= 1e-3 || seconds == 0 ? 1e3 : 1e6;
        significant(seconds * factor, 3, digits, sizeof digits);
        snprintf(text, size, "%s %s", digits,
                 factor == 1     ? "s"
                 : factor == 1e3 ? "ms"
                                 : "\xC2\xB5s");
    }
    return text;
}

char *kiln_html_bytes(double bytes, char *text, size_t size)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    int unit = 0;
    char digits[64];
    while (bytes >= 1023.5 && unit < 4) {
        bytes /= 1024;
        unit++;
    }
    significant(bytes, 3, digits, sizeof digits);
    snprintf(text, size, "%s %s", digits, units[unit]);
    return text;
}
