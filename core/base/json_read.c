/*
 * Jansson 2.14 ignores that its lexer's buffer could not grow: strings are cut
 * short, an assertion fails, a NULL is read. So while a document is read, an
 * allocation that fails leaves Jansson by a jump, and what the document had
 * taken until then is released.
 */
#include "core/base/json_read.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>

#include "core/base/text.h"

struct reading {
    jmp_buf give_up;
    void **blocks; /* taken by this document */
    size_t n, capacity;
};

static _Thread_local struct reading *current; /* NULL: nothing is being read */

static void *take(size_t bytes)
{
    struct reading *reading = current;
    if (!reading)
        return malloc(bytes);
    void *block = NULL;
    if (kiln_array_grow(&reading->blocks, &reading->capacity, reading->n, sizeof *reading->blocks))
        block = malloc(bytes);
    if (!block)
        longjmp(reading->give_up, 1);
    return reading->blocks[reading->n++] = block;
}

/* What is given back was taken lately, mostly. */
static void give_back(void *block)
{
    struct reading *reading = current;
    for (size_t i = reading && block ? reading->n : 0; i > 0; i--)
        if (reading->blocks[i - 1] == block) {
            reading->blocks[i - 1] = reading->blocks[--reading->n];
            break;
        }
    free(block);
}

static void install(void)
{
    json_set_alloc_funcs(take, give_back);
}

/* *reading belongs to the caller: a jump leaves this function's own variables
 * undefined. */
static enum kiln_status read_document(struct reading *reading, const char *text, size_t bytes,
                                      size_t flags, json_t **out, json_error_t *why)
{
    if (setjmp(reading->give_up))
        return KILN_MACHINE;
    current = reading;
    *out = json_loadb(text, bytes, flags, why);
    return *out ? KILN_OK : KILN_INPUT;
}

enum kiln_status kiln_json_read(const char *text, size_t bytes, size_t flags, json_t **out,
                                json_error_t *why)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct reading reading = {.n = 0};
    pthread_once(&once, install);
    *out = NULL;
    enum kiln_status status = read_document(&reading, text, bytes, flags, out, why);
    current = NULL;
    while (status == KILN_MACHINE && reading.n > 0)
        free(reading.blocks[--reading.n]);
    free(reading.blocks);
    return status;
}
