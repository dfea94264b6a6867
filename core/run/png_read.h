/*
 * Reading PNG files, which may be hostile: sizes are limited
 * (KILN_IMAGE_MAX_*), files to 256 MiB, and every damage is KILN_INPUT.
 */
#ifndef KILN_RUN_PNG_READ_H
#define KILN_RUN_PNG_READ_H

#include "core/run/image.h"

/* Any PNG as 8-bit grey or RGB: palettes are expanded, 16 bits reduced, alpha
 * dropped. *image belongs to the caller (kiln_image_finish). */
enum kiln_status kiln_png_read(const char *path, struct kiln_image *, struct kiln_error *);
/* From memory; name is for messages. */
enum kiln_status kiln_png_decode(const void *data, size_t bytes, const char *name,
                                 struct kiln_image *, struct kiln_error *);

#endif
