/* The machine that reads a pickle. */
#include "core/run/torch_stack.h"

#include <string.h>

enum { MAX_STACK = 1 << 20, MAX_MEMO = 1 << 20 };

static pickle_value mark_value; /* its address marks a place on the stack */

_Noreturn void pickle_fail(struct pickle_reader *r, enum kiln_status status, const char *what)
{
    r->status = kiln_fail(r->error, status, "pickle: %s at byte %zu", what, r->at);
    longjmp(r->failed, 1);
}

const uint8_t *pickle_take(struct pickle_reader *r, size_t bytes)
{
    if (bytes > r->size - r->at)
        pickle_fail(r, KILN_INPUT, "it ends too early");
    const uint8_t *p = r->bytes + r->at;
    r->at += bytes;
    return p;
}

uint64_t pickle_take_little(struct pickle_reader *r, int bytes)
{
    const uint8_t *p = pickle_take(r, (size_t)bytes);
    uint64_t number = 0;
    for (int i = bytes - 1; i >= 0; i--)
        number = number << 8 | p[i];
    return number;
}

pickle_value *pickle_make(struct pickle_reader *r, enum kiln_pickle_kind kind)
{
    pickle_value *v = KILN_ARENA_NEW(r->arena, pickle_value, 1);
    if (!v)
        pickle_fail(r, KILN_MACHINE, "out of memory");
    v->kind = kind;
    return v;
}

/* Doubles an array in the arena; sizes stay within the pickle's own. */
static void *grow(struct pickle_reader *r, const void *old, size_t n, size_t more, size_t size,
                  const char *what, size_t limit)
{
    if (more > limit)
        pickle_fail(r, KILN_INPUT, what);
    void *grown = kiln_arena_alloc(r->arena, more, size);
    if (!grown)
        pickle_fail(r, KILN_MACHINE, "out of memory");
    if (n)
        memcpy(grown, old, n * size);
    return grown;
}

/* --- stack, containers, memo --------------------------------------------------- */

void pickle_push(struct pickle_reader *r, pickle_value *v)
{
    if (r->n == r->stack_size) {
        size_t more = r->stack_size ? 2 * r->stack_size : 256;
        r->stack =
            grow(r, r->stack, r->n, more, sizeof *r->stack, "the stack is too deep", MAX_STACK);
        r->stack_size = more;
    }
    r->stack[r->n++] = v;
}

void pickle_push_mark(struct pickle_reader *r)
{
    pickle_push(r, &mark_value);
}

pickle_value *pickle_pop(struct pickle_reader *r)
{
    if (!r->n || r->stack[r->n - 1] == &mark_value)
        pickle_fail(r, KILN_INPUT, "the stack is empty");
    return r->stack[--r->n];
}

pickle_value *pickle_top(struct pickle_reader *r, enum kiln_pickle_kind kind)
{
    pickle_value *v = pickle_pop(r);
    pickle_push(r, v);
    if (v->kind != kind)
        pickle_fail(r, KILN_INPUT, "a container is of another kind");
    return v;
}

void pickle_add(struct pickle_reader *r, pickle_value *container, pickle_value *item)
{
    if (container->n == container->capacity) {
        size_t more = container->capacity ? 2 * container->capacity : 4;
        container->items = grow(r, container->items, container->n, more, sizeof *container->items,
                                "a container is too large", MAX_STACK);
        container->capacity = more;
    }
    container->items[container->n++] = item;
}

/* Index of the first value above the topmost mark. */
static size_t above_mark(struct pickle_reader *r)
{
    for (size_t i = r->n; i > 0; i--)
        if (r->stack[i - 1] == &mark_value)
            return i;
    pickle_fail(r, KILN_INPUT, "a mark is missing");
}

/* Moves everything above the mark into container and drops the mark. */
static void collect(struct pickle_reader *r, size_t first, pickle_value *container)
{
    for (size_t i = first; i < r->n; i++)
        pickle_add(r, container, r->stack[i]);
    r->n = first - 1;
}

/* The container below the mark takes everything above it. */
void pickle_extend(struct pickle_reader *r, enum kiln_pickle_kind kind)
{
    size_t first = above_mark(r);
    pickle_value *container = first >= 2 ? r->stack[first - 2] : NULL;
    if (!container || container->kind != kind || (kind == KILN_PICKLE_DICT && (r->n - first) % 2))
        pickle_fail(r, KILN_INPUT, "a container is of another kind");
    collect(r, first, container);
}

void pickle_tuple_above_mark(struct pickle_reader *r)
{
    pickle_value *tuple = pickle_make(r, KILN_PICKLE_TUPLE);
    collect(r, above_mark(r), tuple);
    pickle_push(r, tuple);
}

void pickle_tuple_of(struct pickle_reader *r, int n)
{
    pickle_value *tuple = pickle_make(r, KILN_PICKLE_TUPLE), *items[3];
    for (int i = n - 1; i >= 0; i--)
        items[i] = pickle_pop(r);
    for (int i = 0; i < n; i++)
        pickle_add(r, tuple, items[i]);
    pickle_push(r, tuple);
}

void pickle_put(struct pickle_reader *r, uint64_t index)
{
    if (index >= r->memo_size) {
        size_t more = r->memo_size ? r->memo_size : 256;
        while (more <= index && more <= MAX_MEMO)
            more *= 2;
        r->memo = grow(r, r->memo, r->memo_size, more, sizeof *r->memo,
                       "a memo number is too large", MAX_MEMO);
        r->memo_size = more;
    }
    pickle_value *v = pickle_pop(r);
    pickle_push(r, v);
    r->memo[index] = v;
}

void pickle_get(struct pickle_reader *r, uint64_t index)
{
    if (index >= r->memo_size || !r->memo[index])
        pickle_fail(r, KILN_INPUT, "an unknown memo number");
    pickle_push(r, r->memo[index]);
}
