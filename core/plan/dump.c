/* The text form of a plan. */
#include <string.h>

#include "core/plan/operands.h"
#include "core/plan/plan.h"

static const char *const region_names[KILN_REGION_COUNT] = {"work", "io", "state", "data"};

static void dump_place(const struct kiln_place *place, FILE *file)
{
    fprintf(file, "%s+%lld", region_names[place->region], (long long)place->offset);
    if (place->dtype != KILN_F32)
        fprintf(file, ":%s", kiln_dtype_name(place->dtype));
}

static void dump_numbers(const char *open, int n, const int64_t *numbers, const char *close,
                         FILE *file)
{
    fputs(open, file);
    for (int i = 0; i < n; i++)
        fprintf(file, "%s%lld", i ? " " : "", (long long)numbers[i]);
    fputs(close, file);
}

static const char *instruction_name(int op)
{
    switch (op) {
    case KILN_INSTRUCTION_LOAD:
        return "load";
    case KILN_INSTRUCTION_STORE:
        return "store";
    case KILN_INSTRUCTION_SUM:
        return "sum";
    case KILN_INSTRUCTION_MAX:
        return "max";
    default:
        return kiln_op_name((enum kiln_op)op);
    }
}

static void dump_instruction(const struct kiln_loop *loop, int number, FILE *file)
{
    const struct kiln_instruction *in = &loop->instructions[number];
    if (in->op != KILN_INSTRUCTION_STORE)
        fprintf(file, " %d=", number);
    else
        fputc(' ', file);
    fputs(instruction_name(in->op), file);
    if (in->op == KILN_OP_CONST)
        fprintf(file, "(%.9g)", in->integer ? in->immediate.i : (double)in->immediate.f);
    if (in->access >= 0)
        fprintf(file, "@%d", in->access);
    const int operands[] = {in->a, in->b, in->c};
    for (int i = 0; i < 3; i++)
        if (operands[i] >= 0)
            fprintf(file, "%c%d", i ? ',' : ' ', operands[i]);
    fputc(';', file);
}

static void dump_loop(const struct kiln_loop *loop, FILE *file)
{
    fputs(" over", file);
    for (int d = 0; d < loop->n_dims; d++)
        fprintf(file, " %lld%s", (long long)loop->extent[d], loop->reduced[d] ? "r" : "");
    for (int i = 0; i < loop->n_accesses; i++) {
        fprintf(file, "\n       @%d %s ", i, loop->accesses[i].store ? "store" : "load");
        dump_place(&loop->accesses[i].place, file);
        dump_numbers(" (", loop->n_dims, loop->accesses[i].stride, ")", file);
    }
    for (int i = 0; i < loop->n_instructions; i++) {
        if (i == 0 || loop->instructions[i].section != loop->instructions[i - 1].section)
            fprintf(file, "\n       section %d:", loop->instructions[i].section);
        dump_instruction(loop, i, file);
    }
}

static void dump_sizes(const struct kiln_step *step, FILE *file)
{
    const struct kiln_step_conv *c = &step->as.conv;
    const struct kiln_step_matmul *m = &step->as.matmul;
    switch (step->kind) {
    case KILN_STEP_MATMUL:
        dump_numbers(" [", 4, (const int64_t[]){m->batch, m->m, m->n, m->k}, "]", file);
        break;
    case KILN_STEP_CONV:
    case KILN_STEP_CONV_INPUT_GRAD:
    case KILN_STEP_CONV_WEIGHT_GRAD:
        dump_numbers(" x [", 4, (const int64_t[]){c->n, c->c, c->h, c->w}, "]", file);
        dump_numbers(" y [", 4, (const int64_t[]){c->n, c->o, c->oh, c->ow}, "]", file);
        fprintf(file, " k%lldx%lld s%dx%d g%d %s,%s,%s", (long long)c->kh, (long long)c->kw,
                c->conv.stride[0], c->conv.stride[1], c->conv.groups, kiln_layout_name(c->x_layout),
                kiln_layout_name(c->weight_layout), kiln_layout_name(c->y_layout));
        break;
    case KILN_STEP_ATTENTION:
    case KILN_STEP_ATTENTION_GRAD:
        dump_numbers(" [", 5,
                     (const int64_t[]){step->as.attention.batch, step->as.attention.n_q,
                                       step->as.attention.n_k, step->as.attention.width,
                                       step->as.attention.v_width},
                     "]", file);
        break;
    default:
        break;
    }
}

static void dump_operands(const struct kiln_step *step, FILE *file)
{
    struct step_operand operands[STEP_MAX_OPERANDS];
    int n = step_operands(step, operands);
    for (int i = 0; i < n; i++) {
        const struct step_operand *operand = &operands[i];
        fprintf(file, " %s%s=",
                operand->write && operand->read ? "*"
                : operand->write                ? ">"
                                                : "",
                operand->name);
        dump_place(&operand->place, file);
        if (operand->n > 1)
            dump_numbers("(", operand->n, operand->stride, ")", file);
        else
            fprintf(file, "[%lld]", (long long)operand->extent[0]);
    }
}

static void dump_totals(const struct kiln_plan *plan, FILE *file)
{
    int counts[KILN_STEP_KIND_COUNT] = {0};
    for (int i = 0; i < plan->steps.n; i++)
        counts[plan->steps.steps[i].kind]++;
    fprintf(file, "%d steps, the first %d once:", plan->steps.n, plan->n_prepared);
    for (int kind = 0; kind < KILN_STEP_KIND_COUNT; kind++)
        if (counts[kind])
            fprintf(file, " %d %s", counts[kind], kiln_step_kind_name((enum kiln_step_kind)kind));
    fprintf(file, "\nfeature layout %s, %d reorders, %lld flop\n",
            kiln_layout_name(plan->feature_layout), plan->n_reorders, (long long)plan->flops);
    fprintf(file, "workspace %lld bytes, largest live set %lld bytes, io %lld, state %lld\n",
            (long long)plan->steps.region_bytes[KILN_REGION_WORKSPACE], (long long)plan->live_bytes,
            (long long)plan->steps.region_bytes[KILN_REGION_IO],
            (long long)plan->steps.region_bytes[KILN_REGION_STATE]);
}

static void dump_binding(const char *kind, const struct kiln_plan_binding *binding, FILE *file)
{
    char shape[160];
    fprintf(file, "%s %s %s %s ", kind, binding->name, kiln_dtype_name(binding->dtype),
            kiln_shape_text(&binding->shape, shape, sizeof shape));
    dump_place(&binding->place, file);
    fputc('\n', file);
}

void kiln_plan_dump(const struct kiln_plan *plan, FILE *file)
{
    for (int i = 0; i < plan->n_inputs; i++)
        dump_binding("input", &plan->inputs[i], file);
    for (int i = 0; i < plan->n_outputs; i++)
        dump_binding("output", &plan->outputs[i], file);
    for (int i = 0; i < plan->steps.n; i++) {
        const struct kiln_step *step = &plan->steps.steps[i];
        fprintf(file, "%5d %s", i, kiln_step_kind_name(step->kind));
        if (step->algorithm)
            fprintf(file, " #%d", step->algorithm);
        if (step->label[0])
            fprintf(file, " \"%s\"", step->label);
        dump_sizes(step, file);
        if (step->kind == KILN_STEP_LOOP)
            dump_loop(&step->as.loop, file);
        else
            dump_operands(step, file);
        fputc('\n', file);
    }
    dump_totals(plan, file);
}
