/*
 * Animated PNG (APNG): a PNG whose first frame every viewer shows and whose
 * further frames browsers play.
 *
 *     begin -> frame (n_frames times) -> commit
 *
 * Source: wiki.mozilla.org/APNG_Specification.
 */
#ifndef KILN_RUN_PNG_ANIMATE_H
#define KILN_RUN_PNG_ANIMATE_H

#include "core/run/png_write.h"

typedef struct kiln_png_animation kiln_png_animation;

/* plays: 0 = for ever. Nothing is at the path before commit. */
enum kiln_status kiln_png_animation_begin(const char *path, int64_t width, int64_t height,
                                          int64_t channels, int n_frames, int plays, int n_texts,
                                          const struct kiln_png_text *, kiln_png_animation **,
                                          struct kiln_error *);
/* Shown for delay_ms milliseconds (0..65535). The picture has the animation's
 * size and channels. */
enum kiln_status kiln_png_animation_frame(kiln_png_animation *, const struct kiln_image *,
                                          int delay_ms, struct kiln_error *);
/* Consumes the animation, also on failure; KILN_INPUT if frames are missing. */
enum kiln_status kiln_png_animation_commit(kiln_png_animation **, struct kiln_error *);
/* Drops everything; accepts NULL. */
void kiln_png_animation_abort(kiln_png_animation **);

#endif
