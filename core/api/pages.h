/*
 * Large pages for arrays of many MiB: fewer first touches and fewer misses of
 * the address cache.
 */
#ifndef KILN_PAGES_H
#define KILN_PAGES_H

#include <stddef.h>

#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Advises the system to hold the whole pages within memory as large ones. A
 * hint: before the first touch, without effect where there are none, or below
 * 4 MiB. */
KILN_API void kiln_advise_large_pages(void *memory, size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
