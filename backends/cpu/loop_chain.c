/*
 * What is computed once for many tiles, and pairs of arithmetic instructions
 * that become one call: (a op b) op c. A value between them is then neither
 * written to the cache nor read from it.
 */
#include "backends/cpu/loop_compile.h"

static bool is_arithmetic(const struct kiln_instruction *in)
{
    return (in->op == KILN_OP_ADD || in->op == KILN_OP_SUB || in->op == KILN_OP_MUL) &&
           !in->integer;
}

void loop_find_invariant(struct compiler *c)
{
    const struct kiln_instruction *in = c->loop->instructions;
    for (int k = 0; k < c->loop->n_instructions; k++) {
        const int operands[3] = {in[k].a, in[k].b, in[k].c};
        bool still = in[k].op < KILN_OP_COUNT ||
                     (in[k].op == KILN_INSTRUCTION_LOAD && loop_is_stationary(c, in[k].access));
        for (int j = 0; j < 3; j++)
            if (operands[j] >= 0 && in[operands[j]].section == in[k].section)
                still &= c->invariant[operands[j]];
        c->invariant[k] = in[k].section % 2 && still;
    }
}

void loop_find_chains(struct compiler *c)
{
    const struct kiln_instruction *in = c->loop->instructions;
    int uses[KILN_LOOP_MAX_INSTRUCTIONS] = {0};
    for (int k = 0; k < c->loop->n_instructions; k++) {
        const int operands[3] = {in[k].a, in[k].b, in[k].c};
        c->inner[k] = c->outer[k] = -1;
        for (int j = 0; j < 3; j++)
            if (operands[j] >= 0)
                uses[operands[j]]++;
    }
    for (int k = 0; k < c->loop->n_instructions; k++) {
        const int operands[2] = {in[k].a, in[k].b};
        for (int j = 0; j < 2 && is_arithmetic(&in[k]) && in[k].section % 2 && c->inner[k] < 0;
             j++) {
            int first = operands[j];
            if (!is_arithmetic(&in[first]) || in[first].section != in[k].section ||
                uses[first] != 1 || c->invariant[first] || c->inner[first] >= 0)
                continue;
            c->inner[k] = first;
            c->outer[first] = k;
        }
    }
}
