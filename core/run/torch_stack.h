/*
 * The machine that reads a pickle: its bytes, its stack, its memo and the
 * containers on it. The operations are in torch_pickle.c.
 *
 * A failure leaves by longjmp to struct pickle_reader.failed, so that reading
 * is straight lines; everything is in the arena and nothing needs freeing.
 */
#ifndef KILN_RUN_TORCH_STACK_H
#define KILN_RUN_TORCH_STACK_H

#include <setjmp.h>

#include "core/run/torch_pickle.h"

typedef struct kiln_pickle_value pickle_value;

struct pickle_reader {
    const uint8_t *bytes;
    size_t size, at;
    kiln_arena *arena;
    pickle_value **stack, **memo;
    size_t n, stack_size, memo_size, memo_next;
    struct kiln_error *error;
    enum kiln_status status;
    jmp_buf failed;
};

/* Ends the reading with "pickle: WHAT at byte N". */
_Noreturn void pickle_fail(struct pickle_reader *, enum kiln_status, const char *what);

/* The next bytes of the pickle; the same as a little-endian number. */
const uint8_t *pickle_take(struct pickle_reader *, size_t bytes);
uint64_t pickle_take_little(struct pickle_reader *, int bytes);

/* A new value of the arena, on nothing yet. */
pickle_value *pickle_make(struct pickle_reader *, enum kiln_pickle_kind);
void pickle_push(struct pickle_reader *, pickle_value *);
/* A mark is no value: popping one is a failure. */
pickle_value *pickle_pop(struct pickle_reader *);
void pickle_push_mark(struct pickle_reader *);
/* The topmost value, which must be of this kind. */
pickle_value *pickle_top(struct pickle_reader *, enum kiln_pickle_kind);

/* Appends to a container. */
void pickle_add(struct pickle_reader *, pickle_value *container, pickle_value *item);
/* The container below the topmost mark takes everything above it. */
void pickle_extend(struct pickle_reader *, enum kiln_pickle_kind);
/* Everything above the mark, or the n topmost values, as a tuple on the stack. */
void pickle_tuple_above_mark(struct pickle_reader *);
void pickle_tuple_of(struct pickle_reader *, int n);

/* The topmost value under a number, and back. */
void pickle_put(struct pickle_reader *, uint64_t index);
void pickle_get(struct pickle_reader *, uint64_t index);

#endif
