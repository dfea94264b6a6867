/*
 * Loops as kernels: the form of a loop (what the work-items, the inner loops
 * and the vector lanes do with each dimension) and its text.
 *
 * The text depends on structure alone; extents, strides other than 0 and 1,
 * and offsets are arguments, so that loops of many sizes share one kernel.
 */
#ifndef KILN_BACKENDS_OPENCL_LOOP_H
#define KILN_BACKENDS_OPENCL_LOOP_H

#include "backends/opencl/opencl.h"

enum { CL_LANE_COUNT = 16, CL_LOOP_DIMS = KILN_LOOP_MAX_DIMS };

/*
 * LONG: the last dimension (>= 16) in vectors of 16 with a scalar tail.
 * BLOCK: the trailing dimensions, whose product is 16, are one vector; they
 * may be kept and reduced in any mix.
 */
enum cl_lanes { CL_LANES_NONE, CL_LANES_LONG, CL_LANES_BLOCK };

/* OUTER: part of the number of the work-item. LOOPED: a loop in each pass. */
enum cl_role { CL_ROLE_OUTER, CL_ROLE_LOOPED, CL_ROLE_LANE };

struct cl_form {
    const struct kiln_loop *loop;
    int n_dims;
    int64_t extent[CL_LOOP_DIMS];
    bool reduced[CL_LOOP_DIMS];
    enum cl_role role[CL_LOOP_DIMS];
    int64_t stride[KILN_LOOP_MAX_ACCESSES][CL_LOOP_DIMS];
    bool groups;        /* a work-group a kept index: the GPU family */
    bool reduces;       /* has reduced dimensions */
    bool inner_reduced; /* the last dimension is reduced */
    enum cl_lanes lanes;
    int first_lane;  /* first lane dimension; n_dims without lanes */
    int outer_width; /* 1 or 16: registers of the outer level */
    bool tail;       /* LONG: the extent is no multiple of 16 */
    bool wide;       /* indices need 64 bits */
    int chunked;     /* dimension whose range is divided among work-items, -1 */
    int64_t n_outer; /* product of the OUTER extents, in blocks of lanes */
    int n_symbols;   /* distinct strides that are arguments */
    int64_t symbol[KILN_LOOP_MAX_ACCESSES * CL_LOOP_DIMS];
};

/* Decides the form for a device; parallelism is the wanted number of work-items. */
void cl_form_create(const struct kiln_loop *, bool groups, int64_t parallelism, struct cl_form *);
/* LONG lanes over a kept dimension while others are reduced. */
bool cl_form_kept_lanes(const struct cl_form *);
/* Whether indices are divided by multiplication: where each work-item has one of
 * its own. A processor divides once for many. */
bool cl_form_multiplies(const struct cl_form *);
/* The number of the stride's symbol, -1 for 0 and 1. */
int cl_form_symbol(const struct cl_form *, int64_t stride);

/* The kernel's text; its name is the macro KERNEL. */
void cl_loop_text(const struct cl_form *, struct kiln_text *);

/* One line that defines register i (or stores) in a context of the given width
 * (1 or 16). address is the text of the access's element index. */
void cl_loop_instruction(struct kiln_text *, const struct cl_form *, int i, int width,
                         const char *address, const char *indent);
/* The operand's text in a context of the given width. */
void cl_loop_operand(struct kiln_text *, const struct cl_form *, int reg, int width);
/* "float16", "int" and so on. */
const char *cl_loop_type(bool integer, int width);
/* Whether the instruction's value is of the element level. */
bool cl_loop_is_element(const struct kiln_instruction *);

#endif
