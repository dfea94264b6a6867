/* Inside the compiler of loops: its state, and what its files share. */
#ifndef KILN_CPU_LOOP_COMPILE_H
#define KILN_CPU_LOOP_COMPILE_H

#include "backends/cpu/loop.h"

/* Ops, slots that an instruction can make: itself and three operands spread. */
#define OPS_PER_INSTRUCTION 4

/* What a register is. */
enum form { FORM_NONE, FORM_SHORT, FORM_LANES, FORM_VECTOR };

/* What an access moves along. */
enum loop_extent { LOOP_TILE, LOOP_TAIL, LOOP_LANES };

struct compiler {
    const struct kiln_loop *loop;
    struct loop_kernel *kernel;
    int last_use[KILN_LOOP_MAX_INSTRUCTIONS]; /* instruction, in the register's own section */
    enum form form[KILN_LOOP_MAX_INSTRUCTIONS];
    int through[KILN_LOOP_MAX_INSTRUCTIONS]; /* the access that the register is computed into, -1 */
    bool copied[KILN_LOOP_MAX_INSTRUCTIONS]; /* a load that must not read in place */
    bool invariant[KILN_LOOP_MAX_INSTRUCTIONS]; /* of element level, and the same in all tiles at
                                                   one index of the walk */
    int inner[KILN_LOOP_MAX_INSTRUCTIONS], outer[KILN_LOOP_MAX_INSTRUCTIONS]; /* chains: the first
                                                instruction of one that ends here, and the last of
                                                one that begins here; -1 */
    bool deferred[KILN_LOOP_MAX_INSTRUCTIONS];     /* computed by the end of its chain */
    int16_t vector_of[KILN_LOOP_MAX_INSTRUCTIONS]; /* expanded forms in the current section, -1 */
    int16_t short_of[KILN_LOOP_MAX_INSTRUCTIONS];
    int64_t bytes;         /* of a thread's memory so far */
    int64_t *free_vectors; /* offsets; the first n_fresh unused in this section */
    int n_free, n_fresh;
    int16_t *pending; /* slots freed after the current section */
    int n_pending;
    int64_t *owned;           /* slot -> offset of its vector, -1 */
    struct loop_op *prologue; /* of the current section */
    int n_prologue;
    int16_t expand[LOOP_LANES]; /* patterns from lanes to a tile, to its tail; -1 = not made yet */
    bool places_unknown;        /* as if no store met another access: to compare sizes */
};

/* loop_pattern.c: where an access lies along a tile, its tail, or the unit's
 * lanes, and how lanes spread over a tile or its tail; the number of the new
 * pattern. */
int16_t loop_access_pattern(struct compiler *, int access, enum loop_extent);
int16_t loop_expand_pattern(struct compiler *, enum loop_extent);
enum cpu_convert loop_load_convert(enum kiln_dtype, bool integer);
enum cpu_convert loop_store_convert(enum kiln_dtype, bool integer);

/* loop_stores.c: last uses of registers; stores that are computed in place,
 * and loads that must be copied for them. */
void loop_find_uses(struct compiler *);
void loop_resolve_stores(struct compiler *);
/* True if a store of the loop may touch what the access touches. */
bool loop_meets_a_store(const struct compiler *, int access);

/* loop_chain.c: what is computed once for many tiles; then pairs of other
 * instructions that become one call; then uses. */
void loop_find_invariant(struct compiler *);
void loop_find_chains(struct compiler *);

/* loop_compile.c: a load that does not move along the tile dimension keeps its
 * value, and is skipped while its address is the same. */
bool loop_is_stationary(const struct compiler *, int access);
/* loop_compile.c: all sections, into the kernel. */
void loop_compile_program(struct compiler *);

#endif
