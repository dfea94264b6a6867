/* The text of a loop's instructions, for scalars and for vectors of 16. */
#include "backends/opencl/loop.h"

#include <math.h>
#include <string.h>

static const char *const dtype_suffix[KILN_DTYPE_COUNT] = {
    [KILN_F32] = "f32", [KILN_I32] = "i32", [KILN_U8] = "u8", [KILN_F16] = "f16"};

const char *cl_loop_type(bool integer, int width)
{
    if (width == 1)
        return integer ? "int" : "float";
    return integer ? "int16" : "float16";
}

bool cl_loop_is_element(const struct kiln_instruction *instruction)
{
    return instruction->section % 2 == 1 && instruction->op != KILN_INSTRUCTION_SUM &&
           instruction->op != KILN_INSTRUCTION_MAX;
}

/* Constants stand in the text, where the compiler folds them. */
static void constant(struct kiln_text *text, const struct kiln_instruction *instruction, int width)
{
    if (width > 1)
        kiln_text_append(text, "(%s)", cl_loop_type(instruction->integer, width));
    kiln_text_append(text, "(");
    if (instruction->integer)
        kiln_text_append(text, "(int)0x%08xu", (unsigned)instruction->immediate.i);
    else if (isfinite(instruction->immediate.f))
        kiln_text_append(text, "%af", (double)instruction->immediate.f);
    else
        kiln_text_append(text, "as_float(0x%08xu)", (unsigned)instruction->immediate.i);
    kiln_text_append(text, ")");
}

void cl_loop_operand(struct kiln_text *text, const struct cl_form *form, int reg, int width)
{
    const struct kiln_instruction *source = &form->loop->instructions[reg];
    if (source->op == KILN_OP_CONST)
        constant(text, source, width);
    else if (cl_loop_is_element(source))
        kiln_text_append(text, "e%d", reg);
    else if (width > form->outer_width)
        kiln_text_append(text, "(%s)(r%d)", cl_loop_type(source->integer, width), reg);
    else
        kiln_text_append(text, "r%d", reg);
}

/* Operand places in a format: A, B, C; Z is a zero of A's type. */
struct expression {
    uint16_t op;
    const char *scalar, *vector;
};

static const struct expression expressions[] = {
    {KILN_OP_NEG, "-A", "-A"},
    {KILN_OP_EXP, "exp(A)", "exp(A)"},
    {KILN_OP_EXPM1, "expm1(A)", "expm1(A)"},
    {KILN_OP_LOG, "log(A)", "log(A)"},
    {KILN_OP_LOG1P, "log1p(A)", "log1p(A)"},
    {KILN_OP_SQRT, "sqrt(A)", "sqrt(A)"},
    {KILN_OP_SIN, "sin(A)", "kiln_sin16(A)"},
    {KILN_OP_COS, "cos(A)", "kiln_cos16(A)"},
    {KILN_OP_TANH, "tanh(A)", "tanh(A)"},
    {KILN_OP_ERF, "erf(A)", "kiln_erf16(A)"},
    {KILN_OP_SIGMOID, "1.0f / (1.0f + exp(-A))", "1.0f / (1.0f + exp(-A))"},
    {KILN_OP_FLOOR, "floor(A)", "floor(A)"},
    {KILN_OP_ADD, "A + B", "A + B"},
    {KILN_OP_SUB, "A - B", "A - B"},
    {KILN_OP_MUL, "A * B", "A * B"},
    {KILN_OP_DIV, "A / B", "A / B"},
    {KILN_OP_POW, "pow(A, B)", "pow(A, B)"},
    {KILN_OP_LESS, "A < B ? 1.0f : 0.0f", "select((float16)(0.0f), (float16)(1.0f), A < B)"},
    {KILN_OP_LESS_EQUAL, "A <= B ? 1.0f : 0.0f",
     "select((float16)(0.0f), (float16)(1.0f), A <= B)"},
    {KILN_OP_EQUAL, "A == B ? 1.0f : 0.0f", "select((float16)(0.0f), (float16)(1.0f), A == B)"},
    {KILN_OP_SELECT, "A != Z ? B : C", "select(C, B, A != Z)"},
};

/* These differ between f32 and i32. MAX and MIN pass on a NaN of either side. */
static const char *typed_expression(uint16_t op, bool integer, bool from_integer, int width)
{
    switch (op) {
    case KILN_OP_ABS:
        return integer ? "max(A, -A)" : "fabs(A)";
    case KILN_OP_MAX:
        return integer ? "max(A, B)" : width == 1 ? "kiln_max1(A, B)" : "kiln_max16(A, B)";
    case KILN_OP_MIN:
        return integer ? "min(A, B)" : width == 1 ? "kiln_min1(A, B)" : "kiln_min16(A, B)";
    case KILN_OP_CAST:
        if (integer == from_integer)
            return "A";
        if (integer)
            return width == 1 ? "convert_int_sat_rtz(A)" : "convert_int16_sat_rtz(A)";
        return width == 1 ? "convert_float(A)" : "convert_float16(A)";
    default:
        return NULL;
    }
}

static const char *find_expression(const struct cl_form *form,
                                   const struct kiln_instruction *instruction, int width)
{
    for (size_t i = 0; i < sizeof expressions / sizeof *expressions; i++)
        if (expressions[i].op == instruction->op)
            return width == 1 ? expressions[i].scalar : expressions[i].vector;
    bool from_integer = instruction->a >= 0 && form->loop->instructions[instruction->a].integer;
    return typed_expression(instruction->op, instruction->integer, from_integer, width);
}

static void substitute(struct kiln_text *text, const struct cl_form *form, const char *format,
                       const struct kiln_instruction *instruction, int width)
{
    for (const char *c = format; *c; c++) {
        if (*c == 'A')
            cl_loop_operand(text, form, instruction->a, width);
        else if (*c == 'B')
            cl_loop_operand(text, form, instruction->b, width);
        else if (*c == 'C')
            cl_loop_operand(text, form, instruction->c, width);
        else if (*c == 'Z')
            kiln_text_append(text, form->loop->instructions[instruction->a].integer ? "0" : "0.0f");
        else
            kiln_text_bytes(text, c, 1);
    }
}

/* Element offset of a lane from the vector's first, as text. */
static void lane_offset(struct kiln_text *text, const struct cl_form *form, int access, int lane)
{
    int rest = lane;
    for (int d = form->n_dims - 1; d >= form->first_lane; d--) {
        int digit = form->lanes == CL_LANES_LONG ? rest : rest % (int)form->extent[d];
        rest = form->lanes == CL_LANES_LONG ? 0 : rest / (int)form->extent[d];
        int64_t stride = form->stride[access][d];
        if (digit == 0 || stride == 0)
            continue;
        if (stride == 1)
            kiln_text_append(text, " + %d", digit);
        else
            kiln_text_append(text, " + %d * s%d", digit, cl_form_symbol(form, stride));
    }
}

/* Lanes of an access: all the same element, 16 in a row, or neither. */
enum lane_pattern { SAME, IN_A_ROW, SCATTERED };

static enum lane_pattern lane_pattern(const struct cl_form *form, int access)
{
    bool same = true, row = true;
    int64_t expected = 1;
    for (int d = form->n_dims - 1; d >= form->first_lane; d--) {
        same = same && form->stride[access][d] == 0;
        row = row && form->stride[access][d] == expected;
        expected *= form->extent[d];
    }
    return same ? SAME : row ? IN_A_ROW : SCATTERED;
}

static void load(struct kiln_text *text, const struct cl_form *form,
                 const struct kiln_instruction *instruction, int width, const char *address)
{
    int access = instruction->access;
    const char *suffix = dtype_suffix[form->loop->accesses[access].place.dtype];
    char kind = instruction->integer ? 'i' : 'f';
    enum lane_pattern pattern = width == 1 ? SAME : lane_pattern(form, access);
    if (pattern == IN_A_ROW) {
        kiln_text_append(text, "load16%c_%s(p%d + %s)", kind, suffix, access, address);
        return;
    }
    if (width > 1)
        kiln_text_append(text, "(%s)(", cl_loop_type(instruction->integer, width));
    for (int lane = 0; lane < (pattern == SAME ? 1 : CL_LANE_COUNT); lane++) {
        kiln_text_append(text, "%sload1%c_%s(p%d + %s", lane ? ", " : "", kind, suffix, access,
                         address);
        if (pattern == SCATTERED)
            lane_offset(text, form, access, lane);
        kiln_text_append(text, ")");
    }
    if (width > 1)
        kiln_text_append(text, ")");
}

/* The lanes of a vector that differ in a reduced digit hold the same value at
 * the outer level: the one whose reduced digits are 0 is stored. */
static bool lane_is_stored(const struct cl_form *form, bool element, int lane)
{
    if (element || form->lanes != CL_LANES_BLOCK)
        return true;
    int rest = lane;
    for (int d = form->n_dims - 1; d >= form->first_lane; d--) {
        int digit = rest % (int)form->extent[d];
        rest /= (int)form->extent[d];
        if (form->reduced[d] && digit != 0)
            return false;
    }
    return true;
}

static void store(struct kiln_text *text, const struct cl_form *form,
                  const struct kiln_instruction *instruction, int width, const char *address,
                  const char *indent)
{
    int access = instruction->access;
    const char *suffix = dtype_suffix[form->loop->accesses[access].place.dtype];
    char kind = form->loop->instructions[instruction->a].integer ? 'i' : 'f';
    bool element = instruction->section % 2 == 1;
    if (width == 1 || lane_pattern(form, access) == IN_A_ROW) {
        kiln_text_append(text, "%sstore%d%c_%s(p%d + %s, ", indent, width, kind, suffix, access,
                         address);
        cl_loop_operand(text, form, instruction->a, width);
        kiln_text_append(text, ");\n");
        return;
    }
    kiln_text_append(text, "%s{ %s v = ", indent, cl_loop_type(kind == 'i', width));
    cl_loop_operand(text, form, instruction->a, width);
    kiln_text_append(text, ";");
    for (int lane = 0; lane < CL_LANE_COUNT; lane++) {
        if (!lane_is_stored(form, element, lane))
            continue;
        kiln_text_append(text, " store1%c_%s(p%d + %s", kind, suffix, access, address);
        lane_offset(text, form, access, lane);
        kiln_text_append(text, ", v.s%x);", (unsigned)lane);
    }
    kiln_text_append(text, " }\n");
}

void cl_loop_instruction(struct kiln_text *text, const struct cl_form *form, int i, int width,
                         const char *address, const char *indent)
{
    const struct kiln_instruction *instruction = &form->loop->instructions[i];
    if (instruction->op == KILN_OP_CONST)
        return;
    if (instruction->op == KILN_INSTRUCTION_STORE) {
        store(text, form, instruction, width, address, indent);
        return;
    }
    kiln_text_append(text, "%sconst %s %c%d = ", indent, cl_loop_type(instruction->integer, width),
                     cl_loop_is_element(instruction) ? 'e' : 'r', i);
    if (instruction->op == KILN_INSTRUCTION_LOAD) {
        load(text, form, instruction, width, address);
    } else {
        const char *format = find_expression(form, instruction, width);
        if (format)
            substitute(text, form, format, instruction, width);
        else
            text->failed = true; /* an op that loops do not have */
    }
    kiln_text_append(text, ";\n");
}
