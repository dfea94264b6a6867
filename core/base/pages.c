/* Large pages (core/api/pages.h). */
#define _DEFAULT_SOURCE /* madvise */
#include "core/api/pages.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LEAST = 4 << 20 };

void kiln_advise_large_pages(void *memory, size_t bytes)
{
#ifdef MADV_HUGEPAGE
    size_t page = (size_t)sysconf(_SC_PAGESIZE), skipped = (page - (uintptr_t)memory % page) % page;
    if (bytes >= LEAST)
        (void)madvise((char *)memory + skipped, (bytes - skipped) / page * page, MADV_HUGEPAGE);
#else
    (void)memory, (void)bytes;
#endif
}
