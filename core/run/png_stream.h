/*
 * A PNG being written: libpng on an atomic output; shared by pictures and
 * animations.
 */
#ifndef KILN_RUN_PNG_STREAM_H
#define KILN_RUN_PNG_STREAM_H

#include <png.h>
#include <setjmp.h>

#include "core/base/file.h"
#include "core/run/png_write.h"

/* libpng reports errors by a jump to escape: set it (setjmp) in the function
 * that calls libpng, which then returns status. */
struct kiln_png_stream {
    kiln_output *output;
    png_structp png;
    png_infop info;
    struct kiln_error *error;
    enum kiln_status status;
    jmp_buf escape;
};

/* The stream must stay where it is. On failure there is nothing to abort. */
enum kiln_status kiln_png_stream_begin(const char *path, struct kiln_png_stream *,
                                       struct kiln_error *);
/* Puts the file in place; ends the stream, also on failure. */
enum kiln_status kiln_png_stream_commit(struct kiln_png_stream *, struct kiln_error *);
void kiln_png_stream_abort(struct kiln_png_stream *);

/* Under setjmp: everything before the pixels. */
void kiln_png_write_header(struct kiln_png_stream *, int64_t width, int64_t height,
                           int64_t channels, int n_texts, const struct kiln_png_text *);
/* libpng's error function: records the message and jumps. */
void kiln_png_fail(png_structp, png_const_charp message) PNG_NORETURN;

#endif
