/*
 * Gradients of attention. The first gradient is the fused op ATTENTION_GRAD;
 * the gradient of that, and of the log-sum-exp, expands into matmuls.
 *
 * With c = scale, P = softmax(c q k^T), D = d_out:
 *     dP = D v^T,  delta = rowsum(P dP),  S = P (dP - delta)
 *     d_q = c S k,  d_k = c S^T q,  d_v = P^T D
 */
#include "core/graph/grad.h"

static kiln_node row_sum(kiln_graph *g, kiln_node x)
{
    return kiln_reduce_sum(g, x, 1u << 2);
}

static kiln_node scaled(kiln_graph *g, kiln_node x, float scale)
{
    return kiln_mul(g, x, kiln_scalar(g, scale));
}

/* P from the log-sum-exp [b, nq] of the scaled scores. */
static kiln_node probabilities(kiln_graph *g, kiln_node q, kiln_node k, kiln_node log_sum_exp,
                               float scale)
{
    struct kiln_shape column = kiln_shape(g, q);
    column.d[2] = 1;
    kiln_node scores = scaled(g, kiln_matmul(g, q, k, false, true), scale);
    return kiln_exp(g, kiln_sub(g, scores, kiln_reshape(g, log_sum_exp, column)));
}

/* d log_sum_exp / d scores = P */
static void log_sum_exp_gradient(struct kiln_grad_context *context, kiln_node q, kiln_node k,
                                 kiln_node log_sum_exp, kiln_node d, float scale)
{
    kiln_graph *g = context->graph;
    struct kiln_shape column = kiln_shape(g, q);
    column.d[2] = 1;
    kiln_node p = probabilities(g, q, k, log_sum_exp, scale);
    kiln_node d_scores = scaled(g, kiln_mul(g, p, kiln_reshape(g, d, column)), scale);
    if (kiln_grad_wants(context, q))
        kiln_grad_add(context, q, kiln_matmul(g, d_scores, k, false, false));
    if (kiln_grad_wants(context, k))
        kiln_grad_add(context, k, kiln_matmul(g, d_scores, q, true, false));
}

void kiln_grad_attention(struct kiln_grad_context *context, const struct kiln_record *node,
                         kiln_node y, kiln_node d_y)
{
    kiln_graph *g = context->graph;
    kiln_node q = node->operands[0], k = node->operands[1], v = node->operands[2];
    float scale = node->params.attention.scale;
    kiln_node d_lse = context->gradients[y].d[1];
    kiln_node lse = y + 1; /* the builder puts it there */
    if (d_lse)
        log_sum_exp_gradient(context, q, k, lse, d_lse, scale);
    if (!d_y)
        return;
    kiln_node d_k, d_v;
    kiln_node d_q = kiln_attention_grad(g, q, k, v, y, lse, d_y, scale, &d_k, &d_v);
    kiln_grad_add(context, q, d_q);
    kiln_grad_add(context, k, d_k);
    kiln_grad_add(context, v, d_v);
}

/* The sum of two terms of which either may be absent (0). */
static kiln_node plus(kiln_graph *g, kiln_node a, kiln_node b)
{
    return a && b ? kiln_add(g, a, b) : a ? a : b;
}

/*
 * Derivatives of L = <A, d_q> + <B, d_k> + <C, d_v>, where A, B, C are the
 * gradients of the op's outputs. out and log_sum_exp count as functions of q,
 * k and v, so that all of L's dependence goes through q, k, v and D. With
 *     E = c (A k^T + q B^T),  F = D C^T:  L = <S, E> + <P, F>
 *     dL/d(dP) = G = P (E - rowsum(P E))
 *     dL/dP    = H = E (dP - delta) - dP rowsum(P E) + F
 *     dL/d(c q k^T) = J = P (H - rowsum(P H))
 */
struct second {
    kiln_node p, s, g, j;
};

static struct second second_order(kiln_graph *g, const struct kiln_record *node,
                                  const kiln_node *abc)
{
    const kiln_node *x = node->operands;
    kiln_node q = x[0], k = x[1], v = x[2], lse = x[4], d = x[5];
    float scale = node->params.attention.scale;
    struct second out = {.p = probabilities(g, q, k, lse, scale)};
    kiln_node p = out.p, h = abc[2] ? kiln_matmul(g, d, abc[2], false, true) : 0;
    kiln_node e = plus(g, abc[0] ? kiln_matmul(g, abc[0], k, false, true) : 0,
                       abc[1] ? kiln_matmul(g, q, abc[1], false, true) : 0);
    if (e) {
        e = scaled(g, e, scale);
        kiln_node d_p = kiln_matmul(g, d, v, false, true);
        kiln_node centred = kiln_sub(g, d_p, row_sum(g, kiln_mul(g, p, d_p)));
        kiln_node mean = row_sum(g, kiln_mul(g, p, e));
        out.s = kiln_mul(g, p, centred);
        out.g = kiln_mul(g, p, kiln_sub(g, e, mean));
        h = plus(g, kiln_sub(g, kiln_mul(g, e, centred), kiln_mul(g, d_p, mean)), h);
    }
    out.j = kiln_mul(g, p, kiln_sub(g, h, row_sum(g, kiln_mul(g, p, h))));
    return out;
}

void kiln_grad_attention_grad(struct kiln_grad_context *context, const struct kiln_record *node,
                              kiln_node y, kiln_node d_y)
{
    (void)d_y;
    kiln_graph *g = context->graph;
    const kiln_node *x = node->operands, *abc = context->gradients[y].d;
    kiln_node q = x[0], k = x[1], v = x[2], d = x[5];
    float scale = node->params.attention.scale;
    struct second t = second_order(g, node, abc);
    if (kiln_grad_wants(context, q)) {
        kiln_node via_e = abc[1] ? kiln_matmul(g, t.s, abc[1], false, false) : 0;
        kiln_node sum = plus(g, kiln_matmul(g, t.j, k, false, false), via_e);
        kiln_grad_add(context, q, scaled(g, sum, scale));
    }
    if (kiln_grad_wants(context, k)) {
        kiln_node via_e = abc[0] ? kiln_matmul(g, t.s, abc[0], true, false) : 0;
        kiln_node sum = plus(g, kiln_matmul(g, t.j, q, true, false), via_e);
        kiln_grad_add(context, k, scaled(g, sum, scale));
    }
    if (kiln_grad_wants(context, v) && t.g)
        kiln_grad_add(context, v, kiln_matmul(g, t.g, d, true, false));
    if (kiln_grad_wants(context, d)) {
        kiln_node via_p = abc[2] ? kiln_matmul(g, t.p, abc[2], false, false) : 0;
        kiln_grad_add(context, d, plus(g, t.g ? kiln_matmul(g, t.g, v, false, false) : 0, via_p));
    }
}
