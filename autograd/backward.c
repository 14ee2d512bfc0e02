#include <string.h>

#include "autograd/tape_internal.h"
#include "core/context.h"
#include "core/sparse_grad.h"
#include "core/status.h"

/* The walk before the run: finds what the gradient reaches and whether each input's share is the first one (written)
 * or a later one (added), refuses what cannot be run, and lets ops plan. After it nothing but a back-end can fail. */

static tread_status check_node(const tread_node_private *own) {
    const tread_node *node = &own->node;
    if (own->used)
        return tread_fail(TREAD_ERROR_STATE,
                          "backward: %s (operation %d) was used by a backward in this step already; add the losses "
                          "before one backward, or compute the graph again",
                          node->op->name, node->output->node);
    for (int i = 0; i < node->n_inputs; i++) {
        const tread_tensor *x = node->inputs[i];
        if (own->needs[i] && x->tape == NULL && x->version != own->versions[i])
            return tread_fail(TREAD_ERROR_STATE,
                              "backward: input %d of %s (operation %d) was changed after it was used, by an optimizer "
                              "step or by loading",
                              i, node->op->name, node->output->node);
    }
    return TREAD_OK;
}

static tread_status walk_node(tread_tape *tape, tread_node_private *own) {
    TREAD_TRY(check_node(own));
    for (int i = 0; i < own->node.n_inputs; i++) {
        tread_tensor *x = own->node.inputs[i];
        own->accumulate[i] = false;
        if (!own->needs[i])
            continue;
        if (x->tape != NULL) {
            tread_node_private *from = tread_tape_node(tape, (size_t)x->node);
            own->accumulate[i] = from->reached;
            from->reached = true;
        } else {
            /* A sparse gradient becomes dense before a dense one is added to it. */
            own->accumulate[i] = x->touched || x->grad_state == TREAD_GRAD_DENSE || x->grad_state == TREAD_GRAD_SPARSE;
            if (!x->touched)
                tread_sparse_grad_unreserve(x);
            x->touched = true;
        }
    }
    return own->node.op->prepare_backward != NULL ? own->node.op->prepare_backward(&own->node, own->accumulate)
                                                  : TREAD_OK;
}

static tread_status walk(tread_tape *tape, size_t start) {
    for (size_t i = 0; i <= start; i++)
        tread_tape_node(tape, i)->reached = i == start;
    tread_status status = TREAD_OK;
    for (size_t i = start + 1; i-- > 0 && status == TREAD_OK;) {
        tread_node_private *own = tread_tape_node(tape, i);
        if (own->reached)
            status = walk_node(tape, own);
    }
    for (size_t i = 0; i <= start; i++) {
        tread_node_private *own = tread_tape_node(tape, i);
        for (int k = 0; k < own->node.n_inputs; k++)
            if (own->needs[k]) /* a constant may be in use by other threads' tapes */
                own->node.inputs[k]->touched = false;
    }
    return status;
}

tread_grad_target tread_node_grad_target(tread_node *node, int input) {
    tread_node_private *own = node->own;
    tread_tensor *x = node->inputs[input];
    tread_grad_target target = {NULL, own->accumulate[input]};
    if (!own->needs[input])
        return target;
    if (x->tape != NULL) {
        tread_node_private *from = tread_tape_node(node->tape, (size_t)x->node);
        from->grad_present = true;
        target.data = from->grad.data;
    } else {
        tread_sparse_grad_densify(node->context, x);
        x->grad_state = TREAD_GRAD_DENSE;
        target.data = x->grad->data;
    }
    return target;
}

bool tread_node_takes_sparse(const tread_node *node, int input) {
    const tread_tensor *x = node->inputs[input];
    return node->input_needs[input] && x->tape == NULL &&
           (x->grad_state == TREAD_GRAD_NONE || x->grad_state == TREAD_GRAD_SPARSE);
}

static tread_status run(tread_tape *tape, size_t start) {
    for (size_t i = start + 1; i-- > 0;) {
        tread_node_private *own = tread_tape_node(tape, i);
        if (!own->reached)
            continue;
        own->used = true;
        own->node.grad = own->grad.data;
        const tread_time_span span = tread_node_span_begin(&own->node, TREAD_TRACE_BACKWARD);
        TREAD_TRY(own->node.op->backward(&own->node));
        tread_node_span_end(&own->node, span);
    }
    return TREAD_OK;
}

static tread_status backward(tread_tape *tape, tread_tensor *y, const tread_tensor *grad) {
    TREAD_TRY(tread_tape_check_tensor(tape, "backward", "the tensor", y));
    if (y->tape == NULL || !y->requires_grad)
        return tread_fail(TREAD_ERROR_STATE,
                          "backward: the tensor is detached: no operation on this tape computed it from "
                          "a tensor that requires a gradient");
    tread_node_private *own = tread_tape_node(tape, (size_t)y->node);
    TREAD_TRY(walk(tape, (size_t)y->node));
    if (grad != NULL)
        memmove(own->grad.data, grad->data, tread_tensor_bytes(grad)); /* it may be that very gradient */
    else if (y->dtype == TREAD_FLOAT32)
        *(float *)own->grad.data = 1;
    else
        *(double *)own->grad.data = 1;
    own->grad_present = true;
    return run(tape, (size_t)y->node);
}

tread_status tread_backward(tread_tape *tape, tread_tensor *loss) {
    TREAD_REFUSE_NULL("backward", tape);
    if (tape->status != TREAD_OK)
        return tread_tape_repeat_error(tape);
    if (loss == NULL)
        return tread_tape_note(tape, tread_fail(TREAD_ERROR_ARGUMENT, "backward: the loss is NULL"));
    if (loss->count != 1) {
        char text[TREAD_SHAPE_TEXT];
        return tread_tape_note(tape, tread_fail(TREAD_ERROR_SHAPE,
                                                "backward: the loss has shape %s, not one element: reduce it, or give "
                                                "its gradient to tread_backward_from",
                                                tread_shape_text(text, loss->rank, loss->shape)));
    }
    tread_status status = backward(tape, loss, NULL);
    return status == TREAD_OK ? TREAD_OK : tread_tape_note(tape, status);
}

static tread_status check_seed(const tread_tensor *y, const tread_tensor *grad) {
    char is[TREAD_SHAPE_TEXT], should[TREAD_SHAPE_TEXT];
    if (y == NULL || grad == NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "backward_from: %s is NULL", y == NULL ? "the tensor" : "its gradient");
    if (grad->dtype != y->dtype)
        return tread_fail(TREAD_ERROR_DTYPE, "backward_from: the gradient is %s, the tensor %s",
                          tread_dtype_name(grad->dtype), tread_dtype_name(y->dtype));
    if (!tread_tensor_same_shape(y, grad))
        return tread_fail(TREAD_ERROR_SHAPE, "backward_from: the gradient has shape %s, the tensor %s",
                          tread_shape_text(is, grad->rank, grad->shape), tread_shape_text(should, y->rank, y->shape));
    return TREAD_OK;
}

tread_status tread_backward_from(tread_tape *tape, tread_tensor *y, const tread_tensor *grad) {
    TREAD_REFUSE_NULL("backward from", tape);
    if (tape->status != TREAD_OK)
        return tread_tape_repeat_error(tape);
    tread_status status = check_seed(y, grad);
    if (status == TREAD_OK)
        status = tread_tape_check_tensor(tape, "backward_from", "the gradient", grad);
    if (status == TREAD_OK)
        status = backward(tape, y, grad);
    return status == TREAD_OK ? TREAD_OK : tread_tape_note(tape, status);
}

tread_tensor *tread_tape_grad(tread_tape *tape, const tread_tensor *x) {
    if (tape == NULL)
        return NULL;
    if (x == NULL || x->tape != tape || x->generation != tape->generation)
        return NULL;
    tread_node_private *own = tread_tape_node(tape, (size_t)x->node);
    if (!own->grad_present)
        return NULL;
    own->grad.owner = TREAD_OWNER_TAPE;
    own->grad.tape = tape;
    own->grad.generation = tape->generation;
    return &own->grad;
}
