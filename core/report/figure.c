/* Figures. */
#include "core/report/figure.h"

#include "core/report/html.h"

void kiln_figure_begin(struct kiln_text *html, const char *title, const char *note, bool wide,
                       int width, int height)
{
    kiln_text_append(html, "<figure%s><figcaption>", wide ? " class=\"wide\"" : "");
    kiln_html_text(html, title);
    if (note) {
        kiln_text_append(html, "<small>");
        kiln_html_text(html, note);
        kiln_text_append(html, "</small>");
    }
    kiln_text_append(html, "</figcaption>\n<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"",
                     width, height);
    kiln_html_text(html, title);
    kiln_text_append(html, "\">\n");
}
