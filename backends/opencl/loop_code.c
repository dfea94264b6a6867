/*
 * The text of a loop's kernel around its instructions: parameters, indices,
 * passes over the reduced dimensions, accumulators.
 *
 * Names in the text: m<region> buffers, o<access> byte offsets, p<access>
 * pointers, b<access> the outer part of an element index, n<dimension>
 * extents, s<symbol> strides, i<dimension> outer and j<dimension> inner
 * indices, e/r<instruction> registers, a<instruction> accumulators
 * (t<instruction> of a chunk, v: vector).
 */
#include "backends/opencl/loop.h"

#include <stdio.h>
#include <string.h>

/* Vectors (or scalars) that are summed before they are added to the total:
 * fixed, so that a sum does not depend on the number of threads. */
enum { CHUNK_STEPS = 64 };

enum { ADDRESS_SIZE = 512 };

struct code {
    const struct cl_form *form;
    struct cl_text *text;
};

static const char *index_type(const struct cl_form *form)
{
    return form->wide ? "long" : "int";
}

static int section_count(const struct kiln_loop *loop)
{
    return loop->n_instructions ? loop->instructions[loop->n_instructions - 1].section + 1 : 0;
}

static bool is_reduction(const struct kiln_instruction *instruction)
{
    return instruction->op == KILN_INSTRUCTION_SUM || instruction->op == KILN_INSTRUCTION_MAX;
}

static void stride_term(char *out, size_t size, const struct cl_form *form, int access, int d,
                        char index)
{
    int64_t stride = form->stride[access][d];
    size_t used = strlen(out);
    if (stride == 0)
        return;
    if (stride == 1)
        snprintf(out + used, size - used, " + %c%d", index, d);
    else
        snprintf(out + used, size - used, " + %c%d * s%d", index, d, cl_form_symbol(form, stride));
}

/* The element index of an access, at the outer or the element level. */
static void address(char out[ADDRESS_SIZE], const struct cl_form *form, int access, bool element)
{
    snprintf(out, ADDRESS_SIZE, "b%d", access);
    for (int d = 0; d < form->n_dims; d++)
        if (element && form->role[d] == CL_ROLE_LOOPED)
            stride_term(out, ADDRESS_SIZE, form, access, d, 'j');
}

static void instructions(struct code *code, int section, int width, const char *indent)
{
    const struct kiln_loop *loop = code->form->loop;
    for (int i = 0; i < loop->n_instructions; i++) {
        const struct kiln_instruction *instruction = &loop->instructions[i];
        if (instruction->section != section || is_reduction(instruction))
            continue;
        char text[ADDRESS_SIZE] = "";
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

static void accumulate(struct code *code, int i, char into, struct lane_loop lanes,
                       const char *value, const char *indent)
{
    bool sum = code->form->loop->instructions[i].op == KILN_INSTRUCTION_SUM;
    cl_text_append(code->text, "%s%c%d%s = kiln_%s%d(%c%d%s, %s);\n", indent, into, i, lanes.suffix,
                   sum ? "sum" : "max", lanes.width, into, i, lanes.suffix, value);
}

static void declare(struct code *code, int section, char name, struct lane_loop lanes,
                    const char *indent)
{
    const struct kiln_loop *loop = code->form->loop;
    for (int i = 0; i < loop->n_instructions; i++)
        if (loop->instructions[i].section == section && is_reduction(&loop->instructions[i]))
            cl_text_append(code->text, "%s%s %c%d%s = %s;\n", indent,
                           cl_loop_type(false, lanes.width), name, i, lanes.suffix,
                           loop->instructions[i].op == KILN_INSTRUCTION_SUM ? "0.0f" : "-INFINITY");
}

/* The element level of a section; its operands of reductions go to t<i>. */
static void element(struct code *code, int section, struct lane_loop lanes, const char *indent)
{
    const struct kiln_loop *loop = code->form->loop;
    instructions(code, section, lanes.width, indent);
    for (int i = 0; i < loop->n_instructions; i++) {
        if (loop->instructions[i].section != section || !is_reduction(&loop->instructions[i]))
            continue;
        struct cl_text value = {0};
        cl_loop_operand(&value, code->form, loop->instructions[i].a, lanes.width);
        accumulate(code, i, 't', lanes, value.data ? value.data : "", indent);
        code->text->failed = code->text->failed || value.failed;
        cl_text_finish(&value);
    }
}

/* Adds t<i> to a<i>. */
static void add_chunk(struct code *code, int section, struct lane_loop lanes, const char *indent)
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
static void inner_loop(struct code *code, int section, int d, struct lane_loop lanes)
{
    const char *idx = index_type(code->form);
    char limit[64];
    snprintf(limit, sizeof limit, lanes.step > 1 ? "hi%d - %d" : "hi%d", d, lanes.step - 1);
    if (!section_reduces(code->form->loop, section)) {
        cl_text_append(code->text, "        for (; j%d < %s; j%d += %d) {\n", d, limit, d,
                       lanes.step);
        element(code, section, lanes, "            ");
        cl_text_append(code->text, "        }\n");
        return;
    }
    cl_text_append(code->text, "        while (j%d < %s) {\n", d, limit);
    declare(code, section, 't', lanes, "            ");
    cl_text_append(code->text,
                   "            const %s end = min((%s)(%s), (%s)(j%d + %d));\n"
                   "            for (; j%d < end; j%d += %d) {\n",
                   idx, idx, limit, idx, d, CHUNK_STEPS * lanes.step, d, d, lanes.step);
    element(code, section, lanes, "                ");
    cl_text_append(code->text, "            }\n");
    add_chunk(code, section, lanes, "            ");
    cl_text_append(code->text, "        }\n");
}

/* r<i> from the accumulators of vectors and of the tail. */
static void finish_vector(struct code *code, int i, bool has_scalar)
{
    const struct cl_form *form = code->form;
    const char *op = form->loop->instructions[i].op == KILN_INSTRUCTION_SUM ? "sum" : "max";
    if (form->lanes == CL_LANES_BLOCK && form->outer_width == CL_LANE_COUNT) {
        /* bits of the lane number that belong to reduced dimensions */
        int bit = 0;
        cl_text_append(code->text, "    float16 r%d = a%dv;\n", i, i);
        for (int d = form->n_dims - 1; d >= form->first_lane; d--)
            for (int64_t e = form->extent[d]; e > 1; e /= 2, bit++)
                if (form->reduced[d])
                    cl_text_append(code->text, "    r%d = kiln_fold_%s%d(r%d);\n", i, op, 1 << bit,
                                   i);
    } else if (has_scalar) {
        cl_text_append(code->text, "    const float r%d = kiln_%s1(kiln_lanes_%s(a%dv), a%d);\n", i,
                       op, op, i, i);
    } else {
        cl_text_append(code->text, "    const float r%d = kiln_lanes_%s(a%dv);\n", i, op, i);
    }
}

static void finish_reductions(struct code *code, int section, bool vector, bool scalar)
{
    const struct cl_form *form = code->form;
    for (int i = 0; i < form->loop->n_instructions; i++) {
        const struct kiln_instruction *instruction = &form->loop->instructions[i];
        if (instruction->section != section || !is_reduction(instruction))
            continue;
        if (vector)
            finish_vector(code, i, scalar);
        else
            cl_text_append(code->text, "    const %s r%d = a%d;\n",
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

static void nested_loops(struct code *code, int section, const struct lane_loop *lanes, int n_lanes)
{
    const struct cl_form *form = code->form;
    int last = last_looped(form);
    char low[16], high[16];
    for (int d = 0; d < last; d++) {
        if (form->role[d] != CL_ROLE_LOOPED)
            continue;
        bounds(form, d, low, high);
        cl_text_append(code->text, "    for (%s j%d = %s; j%d < %s; j%d++)\n", index_type(form), d,
                       low, d, high, d);
    }
    bounds(form, last, low, high);
    cl_text_append(code->text, "    {\n        %s j%d = %s;\n        const %s hi%d = %s;\n",
                   index_type(form), last, low, index_type(form), last, high);
    for (int i = 0; i < n_lanes; i++)
        inner_loop(code, section, last, lanes[i]);
    cl_text_append(code->text, "    }\n");
}

/* A pass of one work-item over the looped dimensions. */
static void serial_pass(struct code *code, int section)
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
        cl_text_append(code->text, "    {\n");
        declare(code, section, 't', lanes[0], "        ");
        element(code, section, lanes[0], "        ");
        add_chunk(code, section, lanes[0], "        ");
        cl_text_append(code->text, "    }\n");
    }
    finish_reductions(code, section, vector, scalar);
}

/* The index variables of the dimensions of a role from one number. */
static void divide(struct code *code, const char *number, enum cl_role role, char name,
                   const char *indent)
{
    const struct cl_form *form = code->form;
    int first = -1;
    for (int d = form->n_dims - 1; d >= 0; d--)
        if (form->role[d] == role)
            first = d;
    cl_text_append(code->text, "%s%s rest = %s;\n", indent, index_type(form), number);
    for (int d = form->n_dims - 1; d >= 0; d--) {
        if (form->role[d] != role)
            continue;
        if (d == first)
            cl_text_append(code->text, "%sconst %s %c%d = rest;\n", indent, index_type(form), name,
                           d);
        else
            cl_text_append(code->text, "%sconst %s %c%d = rest %% n%d;\n%srest /= n%d;\n", indent,
                           index_type(form), name, d, d, indent, d);
    }
}

/* A pass of a work-group: its work-items take turns, then a tree in local
 * memory combines them in a fixed order. */
static void group_pass(struct code *code, int section)
{
    const struct cl_form *form = code->form;
    const struct lane_loop scalar = {1, 1, ""};
    declare(code, section, 'a', scalar, "    ");
    cl_text_append(code->text, "    for (%s r = turn; r < n_reduced; r += turns) {\n",
                   index_type(form));
    divide(code, "r", CL_ROLE_LOOPED, 'j', "        ");
    declare(code, section, 't', scalar, "        ");
    cl_text_append(code->text, "        if (live) {\n");
    element(code, section, scalar, "            ");
    add_chunk(code, section, scalar, "            ");
    cl_text_append(code->text, "        }\n    }\n");
    for (int i = 0; i < form->loop->n_instructions; i++) {
        const struct kiln_instruction *instruction = &form->loop->instructions[i];
        if (instruction->section == section && is_reduction(instruction))
            cl_text_append(code->text,
                           "    const float r%d = kiln_group_%s(a%d, scratch, turn, turns, "
                           "apart);\n",
                           i, instruction->op == KILN_INSTRUCTION_SUM ? "sum" : "max", i);
    }
}

/* --- the kernel ------------------------------------------------------------------- */

static void parameters(struct code *code)
{
    const struct cl_form *form = code->form;
    const struct kiln_loop *loop = form->loop;
    bool used[KILN_REGION_COUNT] = {false};
    for (int a = 0; a < loop->n_accesses; a++)
        used[loop->accesses[a].place.region] = true;
    cl_text_append(code->text, "__kernel %svoid KERNEL(", form->groups ? "" : "KILN_ONE_ITEM ");
    for (int r = 0; r < KILN_REGION_COUNT; r++)
        if (used[r])
            cl_text_append(code->text, "__global char *m%d, ", r);
    for (int a = 0; a < loop->n_accesses; a++)
        cl_text_append(code->text, "long o%d, ", a);
    for (int d = 0; d < form->n_dims; d++)
        cl_text_append(code->text, "%s n%d, ", index_type(form), d);
    for (int i = 0; i < form->n_symbols; i++)
        cl_text_append(code->text, "%s s%d, ", index_type(form), i);
    cl_text_append(code->text, "%s n_outer, %s n_reduced, %s share, int turns)\n{\n",
                   index_type(form), index_type(form), index_type(form));
}

static const char *const pointer_type[KILN_DTYPE_COUNT] = {
    [KILN_F32] = "float", [KILN_I32] = "int", [KILN_U8] = "uchar", [KILN_F16] = "half"};

static void pointers(struct code *code)
{
    const struct kiln_loop *loop = code->form->loop;
    for (int a = 0; a < loop->n_accesses; a++)
        cl_text_append(code->text, "    __global %s *p%d = (__global %s *)(m%d + o%d);\n",
                       pointer_type[loop->accesses[a].place.dtype], a,
                       pointer_type[loop->accesses[a].place.dtype],
                       (int)loop->accesses[a].place.region, a);
}

static void outer_addresses(struct code *code)
{
    const struct cl_form *form = code->form;
    for (int a = 0; a < form->loop->n_accesses; a++) {
        char terms[ADDRESS_SIZE] = "";
        for (int d = 0; d < form->n_dims; d++)
            if (form->role[d] == CL_ROLE_OUTER)
                stride_term(terms, sizeof terms, form, a, d, 'i');
        cl_text_append(code->text, "    const %s b%d = 0%s;\n", index_type(form), a, terms);
    }
}

/* Everything of one kept index (or of 16). */
static void kept_index(struct code *code)
{
    const struct cl_form *form = code->form;
    outer_addresses(code);
    int n = section_count(form->loop);
    for (int section = 0; section < n; section++) {
        if (section % 2 == 1) {
            if (form->groups && form->reduces)
                group_pass(code, section);
            else
                serial_pass(code, section);
            continue;
        }
        instructions(code, section, form->outer_width, "    ");
    }
}

/* The rest of a kept dimension that is no multiple of 16, lane by lane. */
static void kept_tail(struct code *code)
{
    const struct cl_form *form = code->form;
    int d = form->first_lane;
    struct cl_form scalar = *form;
    scalar.lanes = CL_LANES_NONE;
    scalar.first_lane = form->n_dims;
    scalar.outer_width = 1;
    struct code tail = {&scalar, code->text};
    cl_text_append(code->text, "    } else for (%s i%d = first; i%d < n%d; i%d++) {\n",
                   index_type(form), d, d, d, d);
    kept_index(&tail);
    cl_text_append(code->text, "    }\n");
}

static void processor_body(struct code *code)
{
    const struct cl_form *form = code->form;
    const char *idx = index_type(form);
    cl_text_append(code->text,
                   "    const %s from = (%s)get_global_id(1) * turns;\n"
                   "    const %s to = min((%s)(from + turns), n_outer);\n",
                   idx, idx, idx, idx);
    if (form->chunked >= 0)
        cl_text_append(code->text,
                       "    const %s low = (%s)get_global_id(0) * share;\n"
                       "    const %s high = min((%s)(low + share), n%d);\n",
                       idx, idx, idx, idx, form->chunked);
    cl_text_append(code->text, "    for (%s o = from; o < to; o++) {\n", idx);
    int d = form->first_lane;
    if (!cl_form_kept_lanes(form)) {
        divide(code, "o", CL_ROLE_OUTER, 'i', "    ");
        kept_index(code);
    } else {
        cl_text_append(code->text,
                       "    const %s blocks = (n%d + %d) / %d;\n"
                       "    const %s first = o %% blocks * %d;\n",
                       idx, d, CL_LANE_COUNT - 1, CL_LANE_COUNT, idx, CL_LANE_COUNT);
        struct cl_form others = *form;
        others.role[d] = CL_ROLE_LANE;
        struct code outside = {&others, code->text};
        divide(&outside, "o / blocks", CL_ROLE_OUTER, 'i', "    ");
        if (form->tail)
            cl_text_append(code->text, "    if (first + %d <= n%d) {\n", CL_LANE_COUNT, d);
        cl_text_append(code->text, "    const %s i%d = first;\n", idx, d);
        kept_index(code);
        if (form->tail)
            kept_tail(code);
    }
    cl_text_append(code->text, "    }\n");
}

/* A work-item an element; with reductions `turns` work-items a kept index.
 * Neighbours differ in the innermost dimension, kept or reduced. */
static void group_body(struct code *code)
{
    const struct cl_form *form = code->form;
    const char *idx = index_type(form);
    if (!form->reduces) {
        cl_text_append(code->text,
                       "    const %s o = (%s)get_global_id(0);\n"
                       "    if (o >= n_outer)\n        return;\n",
                       idx, idx);
    } else {
        cl_text_append(code->text,
                       "    __local float scratch[256];\n"
                       "    const int local_number = get_local_id(0);\n"
                       "    const int columns = (int)get_local_size(0) / turns;\n"
                       "    const int turn = local_number %s;\n"
                       "    const int apart = %s;\n"
                       "    const %s number = (%s)get_group_id(0) * columns + local_number %s;\n"
                       "    const bool live = number < n_outer;\n"
                       "    const %s o = live ? number : n_outer - 1;\n",
                       form->inner_reduced ? "% turns" : "/ columns",
                       form->inner_reduced ? "1" : "columns", idx, idx,
                       form->inner_reduced ? "/ turns" : "% columns", idx);
    }
    divide(code, "o", CL_ROLE_OUTER, 'i', "    ");
    kept_index(code);
}

void cl_loop_text(const struct cl_form *form, struct cl_text *text)
{
    struct code code = {form, text};
    parameters(&code);
    pointers(&code);
    if (form->groups)
        group_body(&code);
    else
        processor_body(&code);
    cl_text_append(text, "}\n");
}
