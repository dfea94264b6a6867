/*
 * Pickles as torch.save writes them, read as data and never executed.
 *
 * An allow-list of opcodes (protocols 2 to 5 without buffers) and of classes
 * builds a tree of values; anything else is KILN_INPUT. Memory is bounded by
 * the pickle's size, nesting by a fixed depth, and reading is one pass.
 */
#ifndef KILN_RUN_TORCH_PICKLE_H
#define KILN_RUN_TORCH_PICKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/api/status.h"
#include "core/base/arena.h"

enum kiln_pickle_kind {
    KILN_PICKLE_NONE,
    KILN_PICKLE_BOOL,
    KILN_PICKLE_INT,
    KILN_PICKLE_FLOAT,
    KILN_PICKLE_TEXT,   /* text, length */
    KILN_PICKLE_TUPLE,  /* items, n */
    KILN_PICKLE_LIST,   /* items, n */
    KILN_PICKLE_DICT,   /* items: key, value, key, value ...; n items */
    KILN_PICKLE_CLASS,  /* text: "module name" */
    KILN_PICKLE_CALL,   /* items: class, arguments: not called */
    KILN_PICKLE_STORAGE /* items[0]: the persistent id, a tuple */
};

struct kiln_pickle_value {
    enum kiln_pickle_kind kind;
    int64_t integer; /* BOOL, INT */
    double number;   /* FLOAT */
    const char *text;
    size_t length;
    size_t n, capacity;
    struct kiln_pickle_value **items;
};

/* Reads the pickle; the values live in the arena. */
enum kiln_status kiln_pickle_read(const uint8_t *bytes, size_t size, kiln_arena *,
                                  struct kiln_pickle_value **root, struct kiln_error *);
/* True if the value is that text, or that class. */
bool kiln_pickle_is(const struct kiln_pickle_value *, const char *text);

#endif
