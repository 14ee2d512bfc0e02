#include <string.h>

#include "core/memory.h"
#include "core/sparse_grad.h"
#include "core/status.h"
#include "core/tensor.h"

static _Thread_local bool grad_enabled = true;

bool tread_grad_enabled(void) { return grad_enabled; }

bool tread_set_grad_enabled(bool enabled) {
    bool before = grad_enabled;
    grad_enabled = enabled;
    return before;
}

tread_status tread_tensor_set_requires_grad(tread_tensor *x, bool requires_grad) {
    if (x == NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "requires_grad: the tensor is NULL");
    if (x->owner == TREAD_OWNER_TAPE)
        return tread_fail(TREAD_ERROR_STATE, "requires_grad: the tensor belongs to a tape, and only a leaf can be set");
    if (x->is_view)
        return tread_fail(TREAD_ERROR_STATE, "requires_grad: a view or a gradient cannot be a leaf");
    if (requires_grad && x->dtype != TREAD_FLOAT32 && x->dtype != TREAD_FLOAT64)
        return tread_fail(TREAD_ERROR_DTYPE, "requires_grad: a tensor of %s has no gradient",
                          tread_dtype_name(x->dtype));
    x->requires_grad = requires_grad;
    if (!requires_grad)
        x->grad_state = TREAD_GRAD_NONE;
    return TREAD_OK;
}

bool tread_tensor_requires_grad(const tread_tensor *x) { return x != NULL && x->requires_grad; }

tread_status tread_tensor_ensure_grad(tread_tensor *leaf) {
    if (leaf->grad != NULL)
        return TREAD_OK;
    tread_tensor made = {0};
    TREAD_TRY(tread_tensor_init_owned(&made, leaf->dtype, leaf->rank, leaf->shape));
    tread_tensor *grad = tread_alloc(sizeof *grad, "a gradient's description");
    if (grad == NULL) {
        tread_storage_release(made.storage);
        return TREAD_ERROR_MEMORY;
    }
    *grad = made;
    grad->owner = TREAD_OWNER_PARAMETER;
    grad->is_view = true;
    leaf->grad = grad;
    return TREAD_OK;
}

tread_tensor *tread_tensor_grad(tread_tensor *x) {
    if (x == NULL || x->grad_state == TREAD_GRAD_NONE)
        return NULL;
    if (x->grad_state == TREAD_GRAD_SPARSE)
        return tread_fail_null(TREAD_ERROR_STATE, "grad: the gradient is sparse: tread_tensor_sparse_grad reads it, "
                                                  "tread_tensor_densify_grad makes it dense");
    if (x->grad_state == TREAD_GRAD_ZERO) {
        memset(x->grad->data, 0, tread_tensor_bytes(x->grad));
        x->grad_state = TREAD_GRAD_DENSE;
    }
    return x->grad;
}

tread_status tread_tensor_set_grad(tread_tensor *x, const tread_tensor *grad) {
    if (x == NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "set_grad: the tensor is NULL");
    if (x->owner == TREAD_OWNER_TAPE || !x->requires_grad)
        return tread_fail(TREAD_ERROR_STATE, "set_grad: the tensor is no leaf that requires a gradient");
    if (grad == NULL) {
        x->grad_state = TREAD_GRAD_NONE;
        return TREAD_OK;
    }
    TREAD_TRY(tread_tensor_check_current(grad, "set_grad"));
    TREAD_TRY(tread_tensor_check_alike(x, grad, "set_grad"));
    TREAD_TRY(tread_tensor_ensure_grad(x));
    if (x->count > 0)
        memmove(x->grad->data, grad->data, tread_tensor_bytes(x));
    x->grad_state = TREAD_GRAD_DENSE;
    return TREAD_OK;
}

void tread_tensor_zero_grad(tread_tensor *x, bool set_to_none) {
    if (x == NULL || x->grad_state == TREAD_GRAD_NONE)
        return;
    if (set_to_none)
        x->grad_state = TREAD_GRAD_NONE;
    else if (x->grad_state == TREAD_GRAD_SPARSE)
        tread_sparse_grad_clear(x);
    else
        x->grad_state = TREAD_GRAD_ZERO;
}
