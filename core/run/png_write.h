/*
 * Writing PNG files: atomic, and the same bytes for the same picture and text.
 */
#ifndef KILN_RUN_PNG_WRITE_H
#define KILN_RUN_PNG_WRITE_H

#include "core/run/image.h"

/* A tEXt entry: key of 1..79 Latin-1 characters ("Software", "Comment"). Text
 * beyond Latin-1 is written as '?'. */
struct kiln_png_text {
    const char *key, *value;
};

/* A full disk is KILN_MACHINE; the old file is then untouched. */
enum kiln_status kiln_png_write(const char *path, const struct kiln_image *, int n_texts,
                                const struct kiln_png_text *, struct kiln_error *);

#endif
