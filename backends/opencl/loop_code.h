/*
 * What the two files that write a loop's kernel share.
 *
 * Names in the text: m<region> buffers, o<access> byte offsets, p<access>
 * pointers, b<access> the outer part of an element index, n<dimension>
 * extents, s<symbol> strides, i<dimension> outer and j<dimension> inner
 * indices, e/r<instruction> registers, a<instruction> accumulators
 * (t<instruction> of a chunk, v: vector).
 */
#ifndef KILN_BACKENDS_OPENCL_LOOP_CODE_H
#define KILN_BACKENDS_OPENCL_LOOP_CODE_H

#include "backends/opencl/loop.h"

enum { CL_ADDRESS_SIZE = 512 };

struct cl_code {
    const struct cl_form *form;
    struct kiln_text *text;
};

/* "int" or "long". */
const char *cl_code_index_type(const struct cl_form *);
/* Appends " + INDEX stride" of a dimension to an element index. */
void cl_code_stride_term(char out[CL_ADDRESS_SIZE], const struct cl_form *, int access, int d,
                         char index);
/* The index variables (name i or j) of the dimensions of a role from one number. */
void cl_code_divide(struct cl_code *, const char *number, enum cl_role role, char name,
                    const char *indent);
/* The instructions of a section but its reductions. */
void cl_code_instructions(struct cl_code *, int section, int width, const char *indent);
/* An odd section: loads, calculations, reductions over the looped dimensions. */
void cl_code_pass(struct cl_code *, int section);

#endif
