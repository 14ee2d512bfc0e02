#include <string.h>

#include "core/memory.h"
#include "core/sparse_grad.h"
#include "core/status.h"
#include "core/tensor.h"

static void free_parameter(tread_parameter *parameter) {
    if (parameter == NULL)
        return;
    tread_storage_release(parameter->tensor.storage);
    tread_storage_release(parameter->grad.storage);
    tread_sparse_grad_free(&parameter->tensor);
    tread_free(parameter->tensor.bf16);
    tread_free(parameter->name);
    tread_free(parameter);
}

tread_parameter *tread_parameter_create(const char *name, int rank, const int64_t *shape) {
    tread_parameter *parameter = tread_calloc(1, sizeof *parameter, "a parameter's description");
    if (parameter == NULL)
        return NULL;
    tread_tensor *tensor = &parameter->tensor, *grad = &parameter->grad;
    if (tread_tensor_init_owned(tensor, TREAD_FLOAT32, rank, shape) != TREAD_OK ||
        tread_tensor_init_owned(grad, TREAD_FLOAT32, rank, shape) != TREAD_OK ||
        tread_parameter_rename(parameter, name) != TREAD_OK) {
        free_parameter(parameter);
        return NULL;
    }
    memset(tensor->data, 0, tread_tensor_bytes(tensor));
    tensor->owner = grad->owner = TREAD_OWNER_PARAMETER;
    grad->is_view = true;
    tensor->requires_grad = true;
    tensor->grad = grad;
    return parameter;
}

void tread_parameter_destroy(tread_parameter *parameter) {
    if (parameter != NULL && !parameter->in_block)
        free_parameter(parameter);
}

const char *tread_parameter_name(const tread_parameter *parameter) {
    return parameter != NULL ? parameter->name : NULL;
}

tread_tensor *tread_parameter_tensor(const tread_parameter *parameter) {
    return parameter != NULL ? (tread_tensor *)&parameter->tensor : NULL; /* handles are const in name only */
}

tread_parameter_role tread_parameter_get_role(const tread_parameter *parameter) {
    return parameter != NULL ? parameter->role : TREAD_ROLE_WEIGHT;
}

tread_status tread_parameter_set_role(tread_parameter *parameter, tread_parameter_role role) {
    TREAD_REFUSE_NULL("parameter set role", parameter);
    if ((unsigned)role >= TREAD_ROLE_COUNT)
        return tread_fail(TREAD_ERROR_ARGUMENT, "parameter: role = %d is outside [0, %d)", (int)role, TREAD_ROLE_COUNT);
    parameter->role = role;
    return TREAD_OK;
}

const char *tread_role_name(tread_parameter_role role) {
    switch (role) {
    case TREAD_ROLE_WEIGHT: return "weight";
    case TREAD_ROLE_BIAS: return "bias";
    case TREAD_ROLE_NORM: return "norm";
    case TREAD_ROLE_EMBEDDING: return "embedding";
    case TREAD_ROLE_OUTPUT: return "output";
    }
    return NULL;
}

void tread_parameter_exchange(tread_parameter *parameter, float *values) {
    float *weights = parameter->tensor.data;
    for (int64_t i = 0; i < parameter->tensor.count; i++) {
        const float weight = weights[i];
        weights[i] = values[i];
        values[i] = weight;
    }
    tread_tensor_touch(&parameter->tensor);
}

tread_status tread_parameter_rename(tread_parameter *parameter, const char *name) {
    char *copy = name != NULL ? tread_strdup(name) : NULL;
    if (name != NULL && copy == NULL)
        return TREAD_ERROR_MEMORY;
    tread_free(parameter->name);
    parameter->name = copy;
    return TREAD_OK;
}

static size_t padded_floats(const tread_parameter *parameter) {
    size_t unit = TREAD_ALIGNMENT / sizeof(float);
    return ((size_t)parameter->tensor.count + unit - 1) / unit * unit;
}

/* Moves one tensor's memory to `to`; its old memory, if it was its own, ends with the last view of it. */
static void move(tread_tensor *x, float *to, bool copy) {
    if (copy && x->count > 0)
        memcpy(to, x->data, tread_tensor_bytes(x));
    tread_storage_release(x->storage);
    x->storage = NULL;
    x->data = to;
}

tread_status tread_parameter_block_create(tread_parameter *const *parameters, size_t n,
                                          tread_parameter_block *ret_block) {
    tread_parameter_block block = {.count = n};
    for (size_t i = 0; i < n; i++)
        block.n_floats += padded_floats(parameters[i]);
    block.items = tread_calloc(n, sizeof(tread_parameter *), "a model's list of parameters");
    /* Not zeroed as a whole: pages of gradients that no backward has reached cost nothing. */
    block.data = tread_alloc(block.n_floats * sizeof(float), "a model's parameters");
    block.grad = block.data == NULL ? NULL : tread_alloc(block.n_floats * sizeof(float), "a model's gradients");
    if (block.items == NULL || block.data == NULL || block.grad == NULL) {
        tread_parameter_block_release_arrays(&block);
        return TREAD_ERROR_MEMORY;
    }
    size_t offset = 0;
    for (size_t i = 0; i < n; i++) {
        tread_parameter *parameter = block.items[i] = parameters[i];
        move(&parameter->tensor, block.data + offset, true);
        move(&parameter->grad, block.grad + offset, parameter->tensor.grad_state == TREAD_GRAD_DENSE);
        parameter->in_block = true;
        tread_tensor_touch(&parameter->tensor); /* a graph recorded before may hold the old address */
        size_t count = (size_t)parameter->tensor.count, padding = padded_floats(parameter) - count;
        memset(block.data + offset + count, 0, padding * sizeof(float));
        memset(block.grad + offset + count, 0, padding * sizeof(float));
        offset += count + padding;
    }
    *ret_block = block;
    return TREAD_OK;
}

void tread_parameter_block_release_arrays(tread_parameter_block *block) {
    tread_free(block->items);
    tread_free(block->data);
    tread_free(block->grad);
    *block = (tread_parameter_block){0};
}

void tread_parameter_block_destroy(tread_parameter_block *block) {
    for (size_t i = 0; i < block->count; i++)
        free_parameter(block->items[i]);
    tread_parameter_block_release_arrays(block);
}
