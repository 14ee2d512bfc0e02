#include "autograd/nonfinite.h"

#include <math.h>

#include "autograd/tape_internal.h"
#include "core/sparse_grad.h"

bool tread_values_finite(const void *values, tread_dtype dtype, int64_t n) {
    bool finite = true;
    for (int64_t i = 0; i < n && finite; i++)
        finite = dtype == TREAD_FLOAT32   ? isfinite(((const float *)values)[i])
                 : dtype == TREAD_FLOAT64 ? isfinite(((const double *)values)[i])
                                          : true;
    return finite;
}

static bool is_finite(const tread_tensor *x) {
    return x == NULL || x->data == NULL || tread_values_finite(x->data, x->dtype, x->count);
}

static bool takes_finite(const tread_node *node) {
    for (int i = 0; i < node->n_inputs; i++)
        if (!is_finite(node->inputs[i]))
            return false;
    return true;
}

bool tread_tape_find_nonfinite(const tread_tape *tape, tread_nonfinite_place *ret_place) {
    bool found = false;
    for (size_t i = 0; i < tape->length; i++) {
        const tread_node *node = &tread_tape_node(tape, i)->node;
        if (is_finite(node->output))
            continue;
        bool is_source = takes_finite(node);
        if (is_source || !found)
            *ret_place = (tread_nonfinite_place){node->op->name, i, tape->length, -1};
        if (is_source)
            return true;
        found = true;
    }
    return found;
}

static bool grad_finite(const tread_tape *tape, const tread_tensor *x) {
    if (x->tape != NULL) {
        const tread_node_private *own = tread_tape_node(tape, (size_t)x->node);
        return !own->reached || !own->grad_present || is_finite(&own->grad);
    }
    if (x->grad_state == TREAD_GRAD_SPARSE)
        return tread_values_finite(x->sparse->rows, TREAD_FLOAT32, x->sparse->n_rows * x->sparse->row_size);
    return x->grad_state != TREAD_GRAD_DENSE || is_finite(x->grad);
}

static bool own_grad_finite(const tread_node_private *own) { return !own->grad_present || is_finite(&own->grad); }

/* Whether x may have its gradient from another operation's that was not finite before. */
static bool is_handed_on(const tread_tape *tape, const tread_tensor *x) {
    for (size_t i = 0; i < tape->length; i++) {
        const tread_node_private *own = tread_tape_node(tape, i);
        for (int k = 0; k < own->node.n_inputs; k++)
            if (own->reached && own->node.inputs[k] == x && !own_grad_finite(own))
                return true;
    }
    return false;
}

bool tread_tape_find_nonfinite_grad(const tread_tape *tape, tread_nonfinite_place *ret_place) {
    for (size_t i = tape->length; i-- > 0;) {
        const tread_node_private *own = tread_tape_node(tape, i);
        if (!own->reached || !own_grad_finite(own))
            continue;
        for (int k = 0; k < own->node.n_inputs; k++)
            if (own->needs[k] && !grad_finite(tape, own->node.inputs[k]) && !is_handed_on(tape, own->node.inputs[k])) {
                *ret_place = (tread_nonfinite_place){own->node.op->name, i, tape->length, k};
                return true;
            }
    }
    return false;
}
