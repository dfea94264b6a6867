/* The text of a loop's kernel around its passes: parameters, work-items, indices. */
#include "backends/opencl/loop_code.h"

static int section_count(const struct kiln_loop *loop)
{
    return loop->n_instructions ? loop->instructions[loop->n_instructions - 1].section + 1 : 0;
}

static void parameters(struct cl_code *code)
{
    const struct cl_form *form = code->form;
    const struct kiln_loop *loop = form->loop;
    bool used[KILN_REGION_COUNT] = {false};
    for (int a = 0; a < loop->n_accesses; a++)
        used[loop->accesses[a].place.region] = true;
    kiln_text_append(code->text, "__kernel %svoid KERNEL(", form->groups ? "" : "KILN_ONE_ITEM ");
    for (int r = 0; r < KILN_REGION_COUNT; r++)
        if (used[r])
            kiln_text_append(code->text, "__global char *m%d, ", r);
    for (int a = 0; a < loop->n_accesses; a++)
        kiln_text_append(code->text, "long o%d, ", a);
    for (int d = 0; d < form->n_dims; d++)
        kiln_text_append(code->text, "%s n%d, ", cl_code_index_type(form), d);
    for (int d = 0; d < form->n_dims && cl_form_multiplies(form); d++)
        kiln_text_append(code->text, "uint n%d_multiplier, int n%d_shift, ", d, d);
    for (int i = 0; i < form->n_symbols; i++)
        kiln_text_append(code->text, "%s s%d, ", cl_code_index_type(form), i);
    kiln_text_append(code->text, "%s n_outer, %s n_reduced, %s share, int turns)\n{\n",
                     cl_code_index_type(form), cl_code_index_type(form), cl_code_index_type(form));
}

static const char *const pointer_type[KILN_DTYPE_COUNT] = {
    [KILN_F32] = "float", [KILN_I32] = "int", [KILN_U8] = "uchar", [KILN_F16] = "half"};

static void pointers(struct cl_code *code)
{
    const struct kiln_loop *loop = code->form->loop;
    for (int a = 0; a < loop->n_accesses; a++)
        kiln_text_append(code->text, "    __global %s *p%d = (__global %s *)(m%d + o%d);\n",
                         pointer_type[loop->accesses[a].place.dtype], a,
                         pointer_type[loop->accesses[a].place.dtype],
                         (int)loop->accesses[a].place.region, a);
}

static void outer_addresses(struct cl_code *code)
{
    const struct cl_form *form = code->form;
    for (int a = 0; a < form->loop->n_accesses; a++) {
        char terms[CL_ADDRESS_SIZE] = "";
        for (int d = 0; d < form->n_dims; d++)
            if (form->role[d] == CL_ROLE_OUTER)
                cl_code_stride_term(terms, form, a, d, 'i');
        kiln_text_append(code->text, "    const %s b%d = 0%s;\n", cl_code_index_type(form), a,
                         terms);
    }
}

/* Everything of one kept index (or of 16). */
static void kept_index(struct cl_code *code)
{
    const struct cl_form *form = code->form;
    outer_addresses(code);
    int n = section_count(form->loop);
    for (int section = 0; section < n; section++) {
        if (section % 2 == 1) {
            cl_code_pass(code, section);
            continue;
        }
        cl_code_instructions(code, section, form->outer_width, "    ");
    }
}

/* The rest of a kept dimension that is no multiple of 16, lane by lane. */
static void kept_tail(struct cl_code *code)
{
    const struct cl_form *form = code->form;
    int d = form->first_lane;
    struct cl_form scalar = *form;
    scalar.lanes = CL_LANES_NONE;
    scalar.first_lane = form->n_dims;
    scalar.outer_width = 1;
    struct cl_code tail = {&scalar, code->text};
    kiln_text_append(code->text, "    } else for (%s i%d = first; i%d < n%d; i%d++) {\n",
                     cl_code_index_type(form), d, d, d, d);
    kept_index(&tail);
    kiln_text_append(code->text, "    }\n");
}

static void processor_body(struct cl_code *code)
{
    const struct cl_form *form = code->form;
    const char *idx = cl_code_index_type(form);
    kiln_text_append(code->text,
                     "    const %s from = (%s)get_global_id(1) * turns;\n"
                     "    const %s to = min((%s)(from + turns), n_outer);\n",
                     idx, idx, idx, idx);
    if (form->chunked >= 0)
        kiln_text_append(code->text,
                         "    const %s low = (%s)get_global_id(0) * share;\n"
                         "    const %s high = min((%s)(low + share), n%d);\n",
                         idx, idx, idx, idx, form->chunked);
    kiln_text_append(code->text, "    for (%s o = from; o < to; o++) {\n", idx);
    int d = form->first_lane;
    if (!cl_form_kept_lanes(form)) {
        cl_code_divide(code, "o", CL_ROLE_OUTER, 'i', "    ");
        kept_index(code);
    } else {
        kiln_text_append(code->text,
                         "    const %s blocks = (n%d + %d) / %d;\n"
                         "    const %s first = o %% blocks * %d;\n",
                         idx, d, CL_LANE_COUNT - 1, CL_LANE_COUNT, idx, CL_LANE_COUNT);
        struct cl_form others = *form;
        others.role[d] = CL_ROLE_LANE;
        struct cl_code outside = {&others, code->text};
        cl_code_divide(&outside, "o / blocks", CL_ROLE_OUTER, 'i', "    ");
        if (form->tail)
            kiln_text_append(code->text, "    if (first + %d <= n%d) {\n", CL_LANE_COUNT, d);
        kiln_text_append(code->text, "    const %s i%d = first;\n", idx, d);
        kept_index(code);
        if (form->tail)
            kept_tail(code);
    }
    kiln_text_append(code->text, "    }\n");
}

/* A work-item an element; with reductions `turns` work-items a kept index.
 * Neighbours differ in the innermost dimension, kept or reduced. */
static void group_body(struct cl_code *code)
{
    const struct cl_form *form = code->form;
    const char *idx = cl_code_index_type(form);
    if (!form->reduces) {
        kiln_text_append(code->text,
                         "    const %s o = (%s)get_global_id(0);\n"
                         "    if (o >= n_outer)\n        return;\n",
                         idx, idx);
    } else {
        kiln_text_append(code->text,
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
    cl_code_divide(code, "o", CL_ROLE_OUTER, 'i', "    ");
    kept_index(code);
}

void cl_loop_text(const struct cl_form *form, struct kiln_text *text)
{
    struct cl_code code = {form, text};
    parameters(&code);
    pointers(&code);
    if (form->groups)
        group_body(&code);
    else
        processor_body(&code);
    kiln_text_append(text, "}\n");
}
