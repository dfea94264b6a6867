/* Pickles as torch.save writes them, read as data and never executed. */
#include "core/run/torch_pickle.h"

#include <string.h>

#include "core/run/torch_stack.h"

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

/* --- leaves ----------------------------------------------------------------------- */

static void push_int(struct pickle_reader *r, int64_t number)
{
    pickle_value *v = pickle_make(r, KILN_PICKLE_INT);
    v->integer = number;
    pickle_push(r, v);
}

static void push_bool(struct pickle_reader *r, bool flag)
{
    pickle_value *v = pickle_make(r, KILN_PICKLE_BOOL);
    v->integer = flag;
    pickle_push(r, v);
}

static void push_text(struct pickle_reader *r, uint64_t bytes)
{
    if (bytes > r->size)
        pickle_fail(r, KILN_INPUT, "a text is too long");
    pickle_value *v = pickle_make(r, KILN_PICKLE_TEXT);
    const uint8_t *p = pickle_take(r, (size_t)bytes);
    char *copy = kiln_arena_alloc(r->arena, (size_t)bytes + 1, 1);
    if (!copy)
        pickle_fail(r, KILN_MACHINE, "out of memory");
    memcpy(copy, p, (size_t)bytes);
    v->text = copy;
    v->length = (size_t)bytes;
    pickle_push(r, v);
}

static void push_long(struct pickle_reader *r)
{
    int bytes = (int)pickle_take_little(r, 1);
    if (bytes > 8)
        pickle_fail(r, KILN_INPUT, "an integer is too large");
    uint64_t number = pickle_take_little(r, bytes);
    if (bytes && bytes < 8 && number >> (8 * bytes - 1))
        number |= ~(uint64_t)0 << (8 * bytes);
    push_int(r, (int64_t)number);
}

static void push_float(struct pickle_reader *r)
{
    const uint8_t *p = pickle_take(r, 8);
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | p[i];
    pickle_value *v = pickle_make(r, KILN_PICKLE_FLOAT);
    memcpy(&v->number, &bits, sizeof bits);
    pickle_push(r, v);
}

static void push_class(struct pickle_reader *r, const char *module, size_t module_bytes,
                       const char *name, size_t name_bytes)
{
    char *text =
        kiln_arena_printf(r->arena, "%.*s %.*s", (int)module_bytes, module, (int)name_bytes, name);
    if (!text)
        pickle_fail(r, KILN_MACHINE, "out of memory");
    for (size_t i = 0; i < sizeof allowed_classes / sizeof *allowed_classes; i++) {
        if (strcmp(text, allowed_classes[i]))
            continue;
        pickle_value *v = pickle_make(r, KILN_PICKLE_CLASS);
        v->text = text;
        v->length = strlen(text);
        pickle_push(r, v);
        return;
    }
    r->status = kiln_fail(r->error, KILN_INPUT, "pickle: class '%.200s' is not allowed", text);
    longjmp(r->failed, 1);
}

/* GLOBAL: module and name, a line each. */
static void push_global(struct pickle_reader *r)
{
    const char *lines[2];
    size_t lengths[2];
    for (int i = 0; i < 2; i++) {
        const uint8_t *end = memchr(r->bytes + r->at, '\n', r->size - r->at);
        if (!end)
            pickle_fail(r, KILN_INPUT, "it ends too early");
        lines[i] = (const char *)r->bytes + r->at;
        lengths[i] = (size_t)(end - r->bytes) - r->at;
        if (lengths[i] > 256)
            pickle_fail(r, KILN_INPUT, "a class has too long a name");
        r->at += lengths[i] + 1;
    }
    push_class(r, lines[0], lengths[0], lines[1], lengths[1]);
}

static void push_stack_global(struct pickle_reader *r)
{
    pickle_value *name = pickle_pop(r), *module = pickle_pop(r);
    if (name->kind != KILN_PICKLE_TEXT || module->kind != KILN_PICKLE_TEXT || name->length > 256 ||
        module->length > 256)
        pickle_fail(r, KILN_INPUT, "a class has no name");
    push_class(r, module->text, module->length, name->text, name->length);
}

/* --- calls: recorded, never made ------------------------------------------------------ */

static void reduce(struct pickle_reader *r)
{
    pickle_value *arguments = pickle_pop(r), *class = pickle_pop(r);
    if (class->kind != KILN_PICKLE_CLASS || arguments->kind != KILN_PICKLE_TUPLE)
        pickle_fail(r, KILN_INPUT, "a call of something that is no class");
    if (kiln_pickle_is(class, "collections OrderedDict")) {
        if (arguments->n)
            pickle_fail(r, KILN_INPUT, "an OrderedDict with arguments");
        pickle_push(r, pickle_make(r, KILN_PICKLE_DICT));
        return;
    }
    pickle_value *call = pickle_make(r, KILN_PICKLE_CALL);
    pickle_add(r, call, class);
    pickle_add(r, call, arguments);
    pickle_push(r, call);
}

static void persistent(struct pickle_reader *r)
{
    pickle_value *storage = pickle_make(r, KILN_PICKLE_STORAGE), *id = pickle_pop(r);
    if (id->kind != KILN_PICKLE_TUPLE)
        pickle_fail(r, KILN_INPUT, "a storage has no id");
    pickle_add(r, storage, id);
    pickle_push(r, storage);
}

static void set_item(struct pickle_reader *r)
{
    pickle_value *v = pickle_pop(r), *key = pickle_pop(r), *dict = pickle_top(r, KILN_PICKLE_DICT);
    pickle_add(r, dict, key);
    pickle_add(r, dict, v);
}

static void append(struct pickle_reader *r)
{
    pickle_value *item = pickle_pop(r);
    pickle_add(r, pickle_top(r, KILN_PICKLE_LIST), item);
}

/* --- opcodes ---------------------------------------------------------------------------- */

/* Does one opcode; returns false at STOP. */
static bool step(struct pickle_reader *r)
{
    uint8_t op = pickle_take(r, 1)[0];
    switch (op) {
    case 0x80:
        pickle_take(r, 1);
        break; /* PROTO */
    case 0x95:
        pickle_take(r, 8);
        break; /* FRAME */
    case '(':
        pickle_push_mark(r);
        break; /* MARK */
    case '}':
        pickle_push(r, pickle_make(r, KILN_PICKLE_DICT));
        break; /* EMPTY_DICT */
    case ']':
        pickle_push(r, pickle_make(r, KILN_PICKLE_LIST));
        break; /* EMPTY_LIST */
    case ')':
        pickle_push(r, pickle_make(r, KILN_PICKLE_TUPLE));
        break; /* EMPTY_TUPLE */
    case 'N':
        pickle_push(r, pickle_make(r, KILN_PICKLE_NONE));
        break; /* NONE */
    case 0x88:
        push_bool(r, true);
        break; /* NEWTRUE */
    case 0x89:
        push_bool(r, false);
        break; /* NEWFALSE */
    case 'J':
        push_int(r, (int32_t)pickle_take_little(r, 4));
        break; /* BININT */
    case 'K':
        push_int(r, (int64_t)pickle_take_little(r, 1));
        break; /* BININT1 */
    case 'M':
        push_int(r, (int64_t)pickle_take_little(r, 2));
        break; /* BININT2 */
    case 0x8a:
        push_long(r);
        break; /* LONG1 */
    case 'G':
        push_float(r);
        break; /* BINFLOAT */
    case 'X':
        push_text(r, pickle_take_little(r, 4));
        break; /* BINUNICODE */
    case 0x8c:
        push_text(r, pickle_take_little(r, 1));
        break; /* SHORT_BINUNICODE */
    case 'c':
        push_global(r);
        break; /* GLOBAL */
    case 0x93:
        push_stack_global(r);
        break; /* STACK_GLOBAL */
    case 'q':
        pickle_put(r, pickle_take_little(r, 1));
        break; /* BINPUT */
    case 'r':
        pickle_put(r, pickle_take_little(r, 4));
        break; /* LONG_BINPUT */
    case 0x94:
        pickle_put(r, r->memo_next++);
        break; /* MEMOIZE */
    case 'h':
        pickle_get(r, pickle_take_little(r, 1));
        break; /* BINGET */
    case 'j':
        pickle_get(r, pickle_take_little(r, 4));
        break; /* LONG_BINGET */
    case 0x85:
        pickle_tuple_of(r, 1);
        break; /* TUPLE1 */
    case 0x86:
        pickle_tuple_of(r, 2);
        break; /* TUPLE2 */
    case 0x87:
        pickle_tuple_of(r, 3);
        break; /* TUPLE3 */
    case 't':
        pickle_tuple_above_mark(r);
        break; /* TUPLE */
    case 'a':
        append(r);
        break; /* APPEND */
    case 'e':
        pickle_extend(r, KILN_PICKLE_LIST);
        break; /* APPENDS */
    case 's':
        set_item(r);
        break; /* SETITEM */
    case 'u':
        pickle_extend(r, KILN_PICKLE_DICT);
        break; /* SETITEMS */
    case 'R':
        reduce(r);
        break; /* REDUCE */
    case 'Q':
        persistent(r);
        break; /* BINPERSID */
    case 'b':
        pickle_pop(r);
        break; /* BUILD: attributes are dropped */
    case '.':
        return false; /* STOP */
    default:
        pickle_fail(r, KILN_INPUT, "an operation that is not allowed");
    }
    return true;
}

enum kiln_status kiln_pickle_read(const uint8_t *bytes, size_t size, kiln_arena *arena,
                                  struct kiln_pickle_value **root, struct kiln_error *error)
{
    struct pickle_reader reader = {.bytes = bytes, .size = size, .arena = arena, .error = error};
    if (setjmp(reader.failed))
        return reader.status;
    while (step(&reader))
        ;
    *root = pickle_pop(&reader);
    return KILN_OK;
}

bool kiln_pickle_is(const struct kiln_pickle_value *v, const char *text)
{
    return (v->kind == KILN_PICKLE_TEXT || v->kind == KILN_PICKLE_CLASS) &&
           v->length == strlen(text) && !memcmp(v->text, text, v->length);
}
