/* Arena: memory of one lifetime, freed at once. */
#include "core/base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64, BLOCK_BYTES = 1 << 16 };

struct block {
    struct block *next;
    size_t used, size;
    char *data;
};

struct kiln_arena {
    struct block *blocks; /* the newest first */
};

kiln_arena *kiln_arena_create(void)
{
    return calloc(1, sizeof(struct kiln_arena));
}

void kiln_arena_destroy(kiln_arena **arena)
{
    if (!arena || !*arena)
        return;
    for (struct block *block = (*arena)->blocks; block;) {
        struct block *next = block->next;
        free(block->data);
        free(block);
        block = next;
    }
    free(*arena);
    *arena = NULL;
}

static struct block *add_block(kiln_arena *arena, size_t bytes)
{
    struct block *block = malloc(sizeof *block);
    if (!block)
        return NULL;
    block->size = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
    block->used = 0;
    if (posix_memalign((void **)&block->data, ALIGNMENT, block->size)) {
        free(block);
        return NULL;
    }
    memset(block->data, 0, block->size);
    block->next = arena->blocks;
    arena->blocks = block;
    return block;
}

void *kiln_arena_alloc(kiln_arena *arena, size_t count, size_t size)
{
    if (size && count > (SIZE_MAX / 2 - ALIGNMENT) / size)
        return NULL;
    size_t bytes = (count * size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (!bytes)
        bytes = ALIGNMENT;
    struct block *block = arena->blocks;
    if (!block || block->size - block->used < bytes)
        block = add_block(arena, bytes);
    if (!block)
        return NULL;
    void *memory = block->data + block->used;
    block->used += bytes;
    return memory;
}

char *kiln_arena_strdup(kiln_arena *arena, const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = kiln_arena_alloc(arena, bytes, 1);
    if (copy)
        memcpy(copy, text, bytes);
    return copy;
}

char *kiln_arena_printf(kiln_arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0)
        return NULL;
    char *text = kiln_arena_alloc(arena, (size_t)length + 1, 1);
    if (!text)
        return NULL;
    va_start(args, format);
    vsnprintf(text, (size_t)length + 1, format, args);
    va_end(args);
    return text;
}
