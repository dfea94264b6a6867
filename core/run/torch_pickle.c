/* Pickles as torch.save writes them, read as data and never executed. */
#include "core/run/torch_pickle.h"

#include <setjmp.h>
#include <string.h>

enum { MAX_STACK = 1 << 20, MAX_MEMO = 1 << 20 };

typedef struct kiln_pickle_value value;

static value mark_value; /* its address marks a place on the stack */

struct reader {
    const uint8_t *bytes;
    size_t size, at;
    kiln_arena *arena;
    value **stack, **memo;
    size_t n, stack_size, memo_size, memo_next;
    struct kiln_error *error;
    enum kiln_status status;
    jmp_buf failed;
};

/* What torch.save's pickles name; all are read as data. */
static const char *const allowed_classes[] = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    "torch FloatStorage",
    "torch DoubleStorage",
    "torch HalfStorage",
    "torch BFloat16Storage",
    "torch LongStorage",
    "torch IntStorage",
    "torch ShortStorage",
    "torch CharStorage",
    "torch ByteStorage",
    "torch BoolStorage",
    "torch.storage UntypedStorage",
    "torch Size",
};

static _Noreturn void fail(struct reader *r, enum kiln_status status, const char *what)
{
    r->status = kiln_fail(r->error, status, "pickle: %s at byte %zu", what, r->at);
    longjmp(r->failed, 1);
}

static const uint8_t *take(struct reader *r, size_t bytes)
{
    if (bytes > r->size - r->at)
        fail(r, KILN_INPUT, "it ends too early");
    const uint8_t *p = r->bytes + r->at;
    r->at += bytes;
    return p;
}

static uint64_t take_little(struct reader *r, int bytes)
{
    const uint8_t *p = take(r, (size_t)bytes);
    uint64_t number = 0;
    for (int i = bytes - 1; i >= 0; i--)
        number = number << 8 | p[i];
    return number;
}

static value *make(struct reader *r, enum kiln_pickle_kind kind)
{
    value *v = KILN_ARENA_NEW(r->arena, value, 1);
    if (!v)
        fail(r, KILN_MACHINE, "out of memory");
    v->kind = kind;
    return v;
}

/* Doubles an array in the arena; sizes stay within the pickle's own. */
static void *grow(struct reader *r, const void *old, size_t n, size_t more, size_t size,
                  const char *what, size_t limit)
{
    if (more > limit)
        fail(r, KILN_INPUT, what);
    void *grown = kiln_arena_alloc(r->arena, more, size);
    if (!grown)
        fail(r, KILN_MACHINE, "out of memory");
    if (n)
        memcpy(grown, old, n * size);
    return grown;
}

/* --- stack, containers, memo --------------------------------------------------- */

static void push(struct reader *r, value *v)
{
    if (r->n == r->stack_size) {
        size_t more = r->stack_size ? 2 * r->stack_size : 256;
        r->stack =
            grow(r, r->stack, r->n, more, sizeof *r->stack, "the stack is too deep", MAX_STACK);
        r->stack_size = more;
    }
    r->stack[r->n++] = v;
}

static value *pop(struct reader *r)
{
    if (!r->n || r->stack[r->n - 1] == &mark_value)
        fail(r, KILN_INPUT, "the stack is empty");
    return r->stack[--r->n];
}

static value *top(struct reader *r, enum kiln_pickle_kind kind)
{
    value *v = pop(r);
    push(r, v);
    if (v->kind != kind)
        fail(r, KILN_INPUT, "a container is of another kind");
    return v;
}

static void add(struct reader *r, value *container, value *item)
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
static size_t above_mark(struct reader *r)
{
    for (size_t i = r->n; i > 0; i--)
        if (r->stack[i - 1] == &mark_value)
            return i;
    fail(r, KILN_INPUT, "a mark is missing");
}

/* Moves everything above the mark into container and drops the mark. */
static void collect(struct reader *r, size_t first, value *container)
{
    for (size_t i = first; i < r->n; i++)
        add(r, container, r->stack[i]);
    r->n = first - 1;
}

/* The container below the mark takes everything above it. */
static void extend(struct reader *r, enum kiln_pickle_kind kind)
{
    size_t first = above_mark(r);
    value *container = first >= 2 ? r->stack[first - 2] : NULL;
    if (!container || container->kind != kind || (kind == KILN_PICKLE_DICT && (r->n - first) % 2))
        fail(r, KILN_INPUT, "a container is of another kind");
    collect(r, first, container);
}

static void tuple_of(struct reader *r, int n)
{
    value *tuple = make(r, KILN_PICKLE_TUPLE), *items[3];
    for (int i = n - 1; i >= 0; i--)
        items[i] = pop(r);
    for (int i = 0; i < n; i++)
        add(r, tuple, items[i]);
    push(r, tuple);
}

static void put(struct reader *r, uint64_t index)
{
    if (index >= r->memo_size) {
        size_t more = r->memo_size ? r->memo_size : 256;
        while (more <= index && more <= MAX_MEMO)
            more *= 2;
        r->memo = grow(r, r->memo, r->memo_size, more, sizeof *r->memo,
                       "a memo number is too large", MAX_MEMO);
        r->memo_size = more;
    }
    value *v = pop(r);
    push(r, v);
    r->memo[index] = v;
}

static void get(struct reader *r, uint64_t index)
{
    if (index >= r->memo_size || !r->memo[index])
        fail(r, KILN_INPUT, "an unknown memo number");
    push(r, r->memo[index]);
}

/* --- leaves ----------------------------------------------------------------------- */

static void push_int(struct reader *r, int64_t number)
{
    value *v = make(r, KILN_PICKLE_INT);
    v->integer = number;
    push(r, v);
}

static void push_bool(struct reader *r, bool flag)
{
    value *v = make(r, KILN_PICKLE_BOOL);
    v->integer = flag;
    push(r, v);
}

static void push_text(struct reader *r, uint64_t bytes)
{
    if (bytes > r->size)
        fail(r, KILN_INPUT, "a text is too long");
    value *v = make(r, KILN_PICKLE_TEXT);
    const uint8_t *p = take(r, (size_t)bytes);
    char *copy = kiln_arena_alloc(r->arena, (size_t)bytes + 1, 1);
    if (!copy)
        fail(r, KILN_MACHINE, "out of memory");
    memcpy(copy, p, (size_t)bytes);
    v->text = copy;
    v->length = (size_t)bytes;
    push(r, v);
}

static void push_long(struct reader *r)
{
    int bytes = (int)take_little(r, 1);
    if (bytes > 8)
        fail(r, KILN_INPUT, "an integer is too large");
    uint64_t number = take_little(r, bytes);
    if (bytes && bytes < 8 && number >> (8 * bytes - 1))
        number |= ~(uint64_t)0 << (8 * bytes);
    push_int(r, (int64_t)number);
}

static void push_float(struct reader *r)
{
    const uint8_t *p = take(r, 8);
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | p[i];
    value *v = make(r, KILN_PICKLE_FLOAT);
    memcpy(&v->number, &bits, sizeof bits);
    push(r, v);
}

static void push_class(struct reader *r, const char *module, size_t module_bytes, const char *name,
                       size_t name_bytes)
{
    char *text =
        kiln_arena_printf(r->arena, "%.*s %.*s", (int)module_bytes, module, (int)name_bytes, name);
    if (!text)
        fail(r, KILN_MACHINE, "out of memory");
    for (size_t i = 0; i < sizeof allowed_classes / sizeof *allowed_classes; i++) {
        if (strcmp(text, allowed_classes[i]))
            continue;
        value *v = make(r, KILN_PICKLE_CLASS);
        v->text = text;
        v->length = strlen(text);
        push(r, v);
        return;
    }
    r->status = kiln_fail(r->error, KILN_INPUT, "pickle: class '%.200s' is not allowed", text);
    longjmp(r->failed, 1);
}

/* GLOBAL: module and name, a line each. */
static void push_global(struct reader *r)
{
    const char *lines[2];
    size_t lengths[2];
    for (int i = 0; i < 2; i++) {
        const uint8_t *end = memchr(r->bytes + r->at, '\n', r->size - r->at);
        if (!end)
            fail(r, KILN_INPUT, "it ends too early");
        lines[i] = (const char *)r->bytes + r->at;
        lengths[i] = (size_t)(end - r->bytes) - r->at;
        if (lengths[i] > 256)
            fail(r, KILN_INPUT, "a class has too long a name");
        r->at += lengths[i] + 1;
    }
    push_class(r, lines[0], lengths[0], lines[1], lengths[1]);
}

static void push_stack_global(struct reader *r)
{
    value *name = pop(r), *module = pop(r);
    if (name->kind != KILN_PICKLE_TEXT || module->kind != KILN_PICKLE_TEXT || name->length > 256 ||
        module->length > 256)
        fail(r, KILN_INPUT, "a class has no name");
    push_class(r, module->text, module->length, name->text, name->length);
}

/* --- calls: recorded, never made ------------------------------------------------------ */

static void reduce(struct reader *r)
{
    value *arguments = pop(r), *class = pop(r);
    if (class->kind != KILN_PICKLE_CLASS || arguments->kind != KILN_PICKLE_TUPLE)
        fail(r, KILN_INPUT, "a call of something that is no class");
    if (kiln_pickle_is(class, "collections OrderedDict")) {
        if (arguments->n)
            fail(r, KILN_INPUT, "an OrderedDict with arguments");
        push(r, make(r, KILN_PICKLE_DICT));
        return;
    }
    value *call = make(r, KILN_PICKLE_CALL);
    add(r, call, class);
    add(r, call, arguments);
    push(r, call);
}

static void persistent(struct reader *r)
{
    value *storage = make(r, KILN_PICKLE_STORAGE), *id = pop(r);
    if (id->kind != KILN_PICKLE_TUPLE)
        fail(r, KILN_INPUT, "a storage has no id");
    add(r, storage, id);
    push(r, storage);
}

static void set_item(struct reader *r)
{
    value *v = pop(r), *key = pop(r), *dict = top(r, KILN_PICKLE_DICT);
    add(r, dict, key);
    add(r, dict, v);
}

/* --- opcodes ---------------------------------------------------------------------------- */

/* Does one opcode; returns false at STOP. */
static bool step(struct reader *r)
{
    uint8_t op = take(r, 1)[0];
    switch (op) {
    case 0x80:
        take(r, 1);
        break; /* PROTO */
    case 0x95:
        take(r, 8);
        break; /* FRAME */
    case '(':
        push(r, &mark_value);
        break; /* MARK */
    case '}':
        push(r, make(r, KILN_PICKLE_DICT));
        break; /* EMPTY_DICT */
    case ']':
        push(r, make(r, KILN_PICKLE_LIST));
        break; /* EMPTY_LIST */
    case ')':
        push(r, make(r, KILN_PICKLE_TUPLE));
        break; /* EMPTY_TUPLE */
    case 'N':
        push(r, make(r, KILN_PICKLE_NONE));
        break; /* NONE */
    case 0x88:
        push_bool(r, true);
        break; /* NEWTRUE */
    case 0x89:
        push_bool(r, false);
        break; /* NEWFALSE */
    case 'J':
        push_int(r, (int32_t)take_little(r, 4));
        break; /* BININT */
    case 'K':
        push_int(r, (int64_t)take_little(r, 1));
        break; /* BININT1 */
    case 'M':
        push_int(r, (int64_t)take_little(r, 2));
        break; /* BININT2 */
    case 0x8a:
        push_long(r);
        break; /* LONG1 */
    case 'G':
        push_float(r);
        break; /* BINFLOAT */
    case 'X':
        push_text(r, take_little(r, 4));
        break; /* BINUNICODE */
    case 0x8c:
        push_text(r, take_little(r, 1));
        break; /* SHORT_BINUNICODE */
    case 'c':
        push_global(r);
        break; /* GLOBAL */
    case 0x93:
        push_stack_global(r);
        break; /* STACK_GLOBAL */
    case 'q':
        put(r, take_little(r, 1));
        break; /* BINPUT */
    case 'r':
        put(r, take_little(r, 4));
        break; /* LONG_BINPUT */
    case 0x94:
        put(r, r->memo_next++);
        break; /* MEMOIZE */
    case 'h':
        get(r, take_little(r, 1));
        break; /* BINGET */
    case 'j':
        get(r, take_little(r, 4));
        break; /* LONG_BINGET */
    case 0x85:
        tuple_of(r, 1);
        break; /* TUPLE1 */
    case 0x86:
        tuple_of(r, 2);
        break; /* TUPLE2 */
    case 0x87:
        tuple_of(r, 3);
        break;  /* TUPLE3 */
    case 't': { /* TUPLE */
        value *tuple = make(r, KILN_PICKLE_TUPLE);
        collect(r, above_mark(r), tuple);
        push(r, tuple);
        break;
    }
    case 'a': { /* APPEND */
        value *item = pop(r);
        add(r, top(r, KILN_PICKLE_LIST), item);
        break;
    }
    case 'e':
        extend(r, KILN_PICKLE_LIST);
        break; /* APPENDS */
    case 's':
        set_item(r);
        break; /* SETITEM */
    case 'u':
        extend(r, KILN_PICKLE_DICT);
        break; /* SETITEMS */
    case 'R':
        reduce(r);
        break; /* REDUCE */
    case 'Q':
        persistent(r);
        break; /* BINPERSID */
    case 'b':
        pop(r);
        break; /* BUILD: attributes are dropped */
    case '.':
        return false; /* STOP */
    default:
        fail(r, KILN_INPUT, "an operation that is not allowed");
    }
    return true;
}

enum kiln_status kiln_pickle_read(const uint8_t *bytes, size_t size, kiln_arena *arena,
                                  struct kiln_pickle_value **root, struct kiln_error *error)
{
    struct reader reader = {.bytes = bytes, .size = size, .arena = arena, .error = error};
    if (setjmp(reader.failed))
        return reader.status;
    while (step(&reader))
        ;
    *root = pop(&reader);
    return KILN_OK;
}

bool kiln_pickle_is(const struct kiln_pickle_value *v, const char *text)
{
    return (v->kind == KILN_PICKLE_TEXT || v->kind == KILN_PICKLE_CLASS) &&
           v->length == strlen(text) && !memcmp(v->text, text, v->length);
}
