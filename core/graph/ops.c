/* The op table: names and classes. */
#include "core/api/graph.h"

static const struct {
    const char *name;
    enum kiln_op_class class;
} ops[KILN_OP_COUNT] = {
#define OP_ROW(name, text, class_, operands) [KILN_OP_##name] = {text, KILN_OP_CLASS_##class_},
    KILN_OPS(OP_ROW)
#undef OP_ROW
};

const char *kiln_op_name(enum kiln_op op)
{
    return (unsigned)op < KILN_OP_COUNT ? ops[op].name : "?";
}

enum kiln_op_class kiln_op_class(enum kiln_op op)
{
    return ops[op].class;
}

bool kiln_op_is_pointwise(enum kiln_op op)
{
    enum kiln_op_class class = kiln_op_class(op);
    return class == KILN_OP_CLASS_UNARY || class == KILN_OP_CLASS_BINARY ||
           class == KILN_OP_CLASS_TERNARY;
}
