/* The text of a pass over the reduced dimensions: loops, accumulators, trees. */
#include "backends/opencl/loop_code.h"

#include <stdio.h>
#include <string.h>

/* Vectors (or scalars) that are summed before they are added to the total:
 * fixed, so that a sum does not depend on the number of threads. */
enum { CHUNK_STEPS = 64 };

const char *cl_code_index_type(const struct cl_form *form)
{
    return form->wide ? "long" : "int";
}

static bool is_reduction(const struct kiln_instruction *instruction)
{
    return instruction->op == KILN_INSTRUCTION_SUM || instruction->op == KILN_INSTRUCTION_MAX;
}

void cl_code_stride_term(char out[CL_ADDRESS_SIZE], const struct cl_form *form, int access, int d,
                         char index)
{
    int64_t stride = form->stride[access][d];
    size_t used = strlen(out);
    if (stride == 0)
        return;
    if (stride == 1)
        snprintf(out + used, CL_ADDRESS_SIZE - used, " + %c%d", index, d);
    else
        snprintf(out + used, CL_ADDRESS_SIZE - used, " + %c%d * s%d", index, d,
                 cl_form_symbol(form, stride));
}

/* The element index of an access, at the outer or the element level. */
static void address(char out[CL_ADDRESS_SIZE], const struct cl_form *form, int access, bool element)
{
    snprintf(out, CL_ADDRESS_SIZE, "b%d", access);
    for (int d = 0; d < form->n_dims; d++)
        if (element && form->role[d] == CL_ROLE_LOOPED)
            cl_code_stride_term(out, form, access, d, 'j');
}

void cl_code_instructions(struct cl_code *code, int section, int width, const char *indent)
{
    const struct kiln_loop *loop = code->form->loop;
    for (int i = 0; i < loop->n_instructions; i++) {
        const struct kiln_instruction *instruction = &loop->instructions[i];
        if (instruction->section != section || is_reduction(instruction))
            continue;
        char text[CL_ADDRESS_SIZE] = "";
        if (instruction->access >= 0)
            address(text, code->form, instruction->access, section % 2 == 1);
        /* one work-item of those that share a kept index */
        bool once = instruction->op == KILN_INSTRUCTION_STORE && section % 2 == 0 &&
                    code->form->groups && code->form->reduces;
        cl_loop_instruction(code->text, code->form, i, width, text,
                            once ? "    if (live && turn == 0) " : indent);
    }
}

/* --- accumulators ------------------------------------------------------------ */

/* What the innermost loop of a pass does: a width, and a suffix of its names. */
struct lane_loop {
    int width, step;
    const char *suffix;
};

static void accumulate(struct cl_code *code, int i, char into, struct lane_loop lanes,
                       const char *value, const char *indent)
{
    bool sum = code->form->loop->instructions[i].op == KILN_INSTRUCTION_SUM;
    kiln_text_append(code->text, "%s%c%d%s = kiln_%s%d(%c%d%s, %s);\n", indent, into, i,
                     lanes.suffix, sum ? "sum" : "max", lanes.width, into, i, lanes.suffix, value);
}

static void declare(struct cl_code *code, int section, char name, struct lane_loop lanes,
                    const char *indent)
{
    const struct kiln_loop *loop = code->form->loop;
    for (int i = 0; i < loop->n_instructions; i++)
        if (loop->instructions[i].section == section && is_reduction(&loop->instructions[i]))
            kiln_text_append(code->text, "%s%s %c%d%s = %s;\n", indent,
                             cl_loop_type(false, lanes.width), name, i, lanes.suffix,
                             loop->instructions[i].op == KILN_INSTRUCTION_SUM ? "0.0f"
                                                                              : "-INFINITY");
}

/* The element level of a section; its operands of reductions go to t<i>. */
static void element(struct cl_code *code, int section, struct lane_loop lanes, const char *indent)
{
    const struct kiln_loop *loop = code->form->loop;
    cl_code_instructions(code, section, lanes.width, indent);
    for (int i = 0; i < loop->n_instructions; i++) {
        if (loop->instructions[i].section != section || !is_reduction(&loop->instructions[i]))
            continue;
        struct kiln_text value = {0};
        cl_loop_operand(&value, code->form, loop->instructions[i].a, lanes.width);
        accumulate(code, i, 't', lanes, value.data ? value.data : "", indent);
        code->text->failed = code->text->failed || value.failed;
        kiln_text_finish(&value);
    }
}

/* Adds t<i> to a<i>. */
static void add_chunk(struct cl_code *code, int section, struct lane_loop lanes, const char *indent)
{
    const struct kiln_loop *loop = code->form->loop;
    for (int i = 0; i < loop->n_instructions; i++) {
        if (loop->instructions[i].section != section || !is_reduction(&loop->instructions[i]))
            continue;
        char value[32];
        snprintf(value, sizeof value, "t%d%s", i, lanes.suffix);
        accumulate(code, i, 'a', lanes, value, indent);
    }
}

static bool section_reduces(const struct kiln_loop *loop, int section)
{
    for (int i = 0; i < loop->n_instructions; i++)
        if (loop->instructions[i].section == section && is_reduction(&loop->instructions[i]))
            return true;
    return false;
}

/* --- passes --------------------------------------------------------------------- */

/* The innermost loop, from j<d> on, in chunks if something is summed. */
static void inner_loop(struct cl_code *code, int section, int d, struct lane_loop lanes)
{
    const char *idx = cl_code_index_type(code->form);
    char limit[64];
    snprintf(limit, sizeof limit, lanes.step > 1 ? "hi%d - %d" : "hi%d", d, lanes.step - 1);
    if (!section_reduces(code->form->loop, section)) {
        kiln_text_append(code->text, "        for (; j%d < %s; j%d += %d) {\n", d, limit, d,
                         lanes.step);
        element(code, section, lanes, "            ");
        kiln_text_append(code->text, "        }\n");
        return;
    }
    kiln_text_append(code->text, "        while (j%d < %s) {\n", d, limit);
    declare(code, section, 't', lanes, "            ");
    kiln_text_append(code->text,
                     "            const %s end = min((%s)(%s), (%s)(j%d + %d));\n"
                     "            for (; j%d < end; j%d += %d) {\n",
                     idx, idx, limit, idx, d, CHUNK_STEPS * lanes.step, d, d, lanes.step);
    element(code, section, lanes, "                ");
    kiln_text_append(code->text, "            }\n");
    add_chunk(code, section, lanes, "            ");
    kiln_text_append(code->text, "        }\n");
}

/* r<i> from the accumulators of vectors and of the tail. */
static void finish_vector(struct cl_code *code, int i, bool has_scalar)
{
    const struct cl_form *form = code->form;
    const char *op = form->loop->instructions[i].op == KILN_INSTRUCTION_SUM ? "sum" : "max";
    if (form->lanes == CL_LANES_BLOCK && form->outer_width == CL_LANE_COUNT) {
        /* bits of the lane number that belong to reduced dimensions */
        int bit = 0;
        kiln_text_append(code->text, "    float16 r%d = a%dv;\n", i, i);
        for (int d = form->n_dims - 1; d >= form->first_lane; d--)
            for (int64_t e = form->extent[d]; e > 1; e /= 2, bit++)
                if (form->reduced[d])
                    kiln_text_append(code->text, "    r%d = kiln_fold_%s%d(r%d);\n", i, op,
                                     1 << bit, i);
    } else if (has_scalar) {
        kiln_text_append(code->text, "    const float r%d = kiln_%s1(kiln_lanes_%s(a%dv), a%d);\n",
                         i, op, op, i, i);
    } else {
        kiln_text_append(code->text, "    const float r%d = kiln_lanes_%s(a%dv);\n", i, op, i);
    }
}

static void finish_reductions(struct cl_code *code, int section, bool vector, bool scalar)
{
    const struct cl_form *form = code->form;
    for (int i = 0; i < form->loop->n_instructions; i++) {
        const struct kiln_instruction *instruction = &form->loop->instructions[i];
        if (instruction->section != section || !is_reduction(instruction))
            continue;
        if (vector)
            finish_vector(code, i, scalar);
        else
            kiln_text_append(code->text, "    const %s r%d = a%d;\n",
                             cl_loop_type(false, form->outer_width), i, i);
    }
}

static int last_looped(const struct cl_form *form)
{
    int last = -1;
    for (int d = 0; d < form->n_dims; d++)
        if (form->role[d] == CL_ROLE_LOOPED)
            last = d;
    return last;
}

/* "low" and "high" bound the dimension that is divided among work-items. */
static void bounds(const struct cl_form *form, int d, char low[16], char high[16])
{
    snprintf(low, 16, d == form->chunked ? "low" : "0");
    if (d == form->chunked)
        snprintf(high, 16, "high");
    else
        snprintf(high, 16, "n%d", d);
}

static void nested_loops(struct cl_code *code, int section, const struct lane_loop *lanes,
                         int n_lanes)
{
    const struct cl_form *form = code->form;
    int last = last_looped(form);
    char low[16], high[16];
    for (int d = 0; d < last; d++) {
        if (form->role[d] != CL_ROLE_LOOPED)
            continue;
        bounds(form, d, low, high);
        kiln_text_append(code->text, "    for (%s j%d = %s; j%d < %s; j%d++)\n",
                         cl_code_index_type(form), d, low, d, high, d);
    }
    bounds(form, last, low, high);
    kiln_text_append(code->text, "    {\n        %s j%d = %s;\n        const %s hi%d = %s;\n",
                     cl_code_index_type(form), last, low, cl_code_index_type(form), last, high);
    for (int i = 0; i < n_lanes; i++)
        inner_loop(code, section, last, lanes[i]);
    kiln_text_append(code->text, "    }\n");
}

/* A pass of one work-item over the looped dimensions. */
static void serial_pass(struct cl_code *code, int section)
{
    const struct cl_form *form = code->form;
    bool long_lanes = form->lanes == CL_LANES_LONG && !cl_form_kept_lanes(form);
    bool vector = long_lanes || form->lanes == CL_LANES_BLOCK;
    bool scalar = !vector || (long_lanes && form->tail);
    struct lane_loop lanes[2];
    int n = 0;
    if (vector)
        lanes[n++] = (struct lane_loop){CL_LANE_COUNT, long_lanes ? CL_LANE_COUNT : 1, "v"};
    if (scalar)
        lanes[n++] = (struct lane_loop){vector ? 1 : form->outer_width, 1, ""};
    for (int i = 0; i < n; i++)
        declare(code, section, 'a', lanes[i], "    ");
    if (last_looped(form) >= 0) {
        nested_loops(code, section, lanes, n);
    } else {
        kiln_text_append(code->text, "    {\n");
        declare(code, section, 't', lanes[0], "        ");
        element(code, section, lanes[0], "        ");
        add_chunk(code, section, lanes[0], "        ");
        kiln_text_append(code->text, "    }\n");
    }
    finish_reductions(code, section, vector, scalar);
}

/* The index variables of the dimensions of a role from one number. */
void cl_code_divide(struct cl_code *code, const char *number, enum cl_role role, char name,
                    const char *indent)
{
    const struct cl_form *form = code->form;
    int first = -1;
    for (int d = form->n_dims - 1; d >= 0; d--)
        if (form->role[d] == role)
            first = d;
    kiln_text_append(code->text, "%s%s rest = %s;\n", indent, cl_code_index_type(form), number);
    for (int d = form->n_dims - 1; d >= 0; d--) {
        if (form->role[d] != role)
            continue;
        if (d == first)
            kiln_text_append(code->text, "%sconst %s %c%d = rest;\n", indent,
                             cl_code_index_type(form), name, d);
        else if (cl_form_multiplies(form))
            kiln_text_append(code->text,
                             "%sconst int %cq%d = kiln_quotient(rest, n%d_multiplier, n%d_shift);\n"
                             "%sconst int %c%d = rest - %cq%d * n%d;\n%srest = %cq%d;\n",
                             indent, name, d, d, d, indent, name, d, name, d, d, indent, name, d);
        else
            kiln_text_append(code->text, "%sconst %s %c%d = rest %% n%d;\n%srest /= n%d;\n", indent,
                             cl_code_index_type(form), name, d, d, indent, d);
    }
}

/* A pass of a work-group: its work-items take turns, then a tree in local
 * memory combines them in a fixed order. */
static void group_pass(struct cl_code *code, int section)
{
    const struct cl_form *form = code->form;
    const struct lane_loop scalar = {1, 1, ""};
    declare(code, section, 'a', scalar, "    ");
    kiln_text_append(code->text, "    for (%s r = turn; r < n_reduced; r += turns) {\n",
                     cl_code_index_type(form));
    cl_code_divide(code, "r", CL_ROLE_LOOPED, 'j', "        ");
    declare(code, section, 't', scalar, "        ");
    kiln_text_append(code->text, "        if (live) {\n");
    element(code, section, scalar, "            ");
    add_chunk(code, section, scalar, "            ");
    kiln_text_append(code->text, "        }\n    }\n");
    for (int i = 0; i < form->loop->n_instructions; i++) {
        const struct kiln_instruction *instruction = &form->loop->instructions[i];
        if (instruction->section == section && is_reduction(instruction))
            kiln_text_append(code->text,
                             "    const float r%d = kiln_group_%s(a%d, scratch, turn, turns, "
                             "apart);\n",
                             i, instruction->op == KILN_INSTRUCTION_SUM ? "sum" : "max", i);
    }
}

void cl_code_pass(struct cl_code *code, int section)
{
    if (code->form->groups && code->form->reduces)
        group_pass(code, section);
    else
        serial_pass(code, section);
}
