#include "core/sparse_grad.h"

#include <string.h>

#include <tread/sparse_grad.h>

#include "core/memory.h"
#include "core/row_groups.h"
#include "core/status.h"

static size_t padded(size_t bytes) { return (bytes + TREAD_ALIGNMENT - 1) / TREAD_ALIGNMENT * TREAD_ALIGNMENT; }

/* ---- Memory ---- */

static tread_status check_leaf(const tread_tensor *leaf, const char *call) {
    char text[TREAD_SHAPE_TEXT];
    if (!leaf->requires_grad || leaf->tape != NULL || leaf->is_view)
        return tread_fail(TREAD_ERROR_STATE, "%s: the tensor is no leaf that requires a gradient", call);
    if (leaf->dtype != TREAD_FLOAT32)
        return tread_fail(TREAD_ERROR_DTYPE, "%s: a sparse gradient is of float32, and the tensor is %s", call,
                          tread_dtype_name(leaf->dtype));
    if (leaf->rank != 2 || leaf->shape[0] > INT32_MAX)
        return tread_fail(TREAD_ERROR_SHAPE,
                          "%s: a sparse gradient is of a tensor (rows, width) of at most %d rows, not %s", call,
                          INT32_MAX, tread_shape_text(text, leaf->rank, leaf->shape));
    return TREAD_OK;
}

/* New arrays with room for capacity entries, in one block; the first n entries are copied. */
static tread_status grow(tread_sparse_grad *sparse, int64_t n, int64_t capacity) {
    const size_t indices = padded((size_t)capacity * sizeof(int32_t)), scratch = tread_row_groups_bytes(capacity);
    size_t rows, total;
    if (__builtin_mul_overflow((size_t)capacity, (size_t)sparse->row_size * sizeof(float), &rows) ||
        rows > PTRDIFF_MAX / 4 || __builtin_add_overflow(2 * padded(rows), indices + scratch, &total))
        total = SIZE_MAX;
    char *memory = tread_alloc(total, "a sparse gradient");
    if (memory == NULL)
        return TREAD_ERROR_MEMORY;
    tread_sparse_grad made = *sparse;
    made.capacity = capacity;
    made.memory = memory;
    made.indices = (int32_t *)memory;
    made.rows = (float *)(memory + indices);
    made.spare = (float *)(memory + indices + padded(rows));
    made.scratch = memory + indices + 2 * padded(rows);
    if (n > 0) {
        memcpy(made.indices, sparse->indices, (size_t)n * sizeof(int32_t));
        memcpy(made.rows, sparse->rows, (size_t)(n * sparse->row_size) * sizeof(float));
    }
    tread_free(sparse->memory);
    *sparse = made;
    return TREAD_OK;
}

/* What the struct holds from earlier steps counts only while the state is sparse. */
static int64_t entries(const tread_tensor *leaf) {
    return leaf->grad_state == TREAD_GRAD_SPARSE ? leaf->sparse->n_rows : 0;
}

/* In growing steps, so that the backwards that add up to one step do not each copy all that came before. */
static tread_status make_room(tread_tensor *leaf, int64_t needed) {
    tread_sparse_grad *sparse = leaf->sparse;
    if (sparse == NULL) {
        sparse = tread_calloc(1, sizeof *sparse, "a sparse gradient");
        if (sparse == NULL)
            return TREAD_ERROR_MEMORY;
        sparse->row_size = leaf->shape[1];
        sparse->coalesced = true;
        leaf->sparse = sparse;
    }
    if (needed <= sparse->capacity && sparse->memory != NULL)
        return TREAD_OK;
    const int64_t roomy = sparse->capacity + sparse->capacity / 2;
    return grow(sparse, entries(leaf), needed > roomy || roomy > INT32_MAX ? needed : roomy);
}

tread_status tread_sparse_grad_reserve(tread_tensor *leaf, int64_t n, const char *call) {
    TREAD_TRY(check_leaf(leaf, call));
    const int64_t before = entries(leaf) + (leaf->sparse != NULL ? leaf->sparse->promised : 0);
    if (n > INT32_MAX - before)
        return tread_fail(TREAD_ERROR_SHAPE, "%s: %lld more entries on %lld are too many for a sparse gradient", call,
                          (long long)n, (long long)before);
    TREAD_TRY(make_room(leaf, before + n));
    leaf->sparse->promised += n;
    return TREAD_OK;
}

void tread_sparse_grad_unreserve(tread_tensor *leaf) {
    if (leaf->sparse != NULL)
        leaf->sparse->promised = 0;
}

void tread_sparse_grad_free(tread_tensor *leaf) {
    if (leaf->sparse != NULL)
        tread_free(leaf->sparse->memory);
    tread_free(leaf->sparse);
    leaf->sparse = NULL;
}

/* ---- Entries ---- */

void tread_sparse_grad_clear(tread_tensor *leaf) {
    leaf->grad_state = TREAD_GRAD_SPARSE;
    leaf->sparse->n_rows = 0;
    leaf->sparse->coalesced = true;
}

void tread_sparse_grad_extend(tread_tensor *leaf, int64_t n, int32_t **ret_indices, float **ret_rows) {
    if (leaf->grad_state != TREAD_GRAD_SPARSE)
        tread_sparse_grad_clear(leaf);
    tread_sparse_grad *sparse = leaf->sparse;
    *ret_indices = sparse->indices + sparse->n_rows;
    *ret_rows = sparse->rows + sparse->n_rows * sparse->row_size;
    sparse->n_rows += n;
    sparse->promised -= n < sparse->promised ? n : sparse->promised;
    sparse->coalesced &= n == 0;
}

void tread_sparse_grad_append(tread_tensor *leaf, int64_t n, const int32_t *indices, const float *rows) {
    int32_t *to_indices;
    float *to_rows;
    tread_sparse_grad_extend(leaf, n, &to_indices, &to_rows);
    if (n == 0)
        return;
    memmove(to_indices, indices, (size_t)n * sizeof *indices); /* they may be this gradient's own */
    if (leaf->sparse->row_size > 0)
        memmove(to_rows, rows, (size_t)(n * leaf->sparse->row_size) * sizeof *rows);
}

static bool rises(const int32_t *indices, int64_t n) {
    bool all = true;
    for (int64_t i = 1; i < n; i++)
        all &= indices[i - 1] < indices[i];
    return all;
}

void tread_sparse_grad_coalesce(const tread_context *context, tread_tensor *leaf) {
    tread_sparse_grad *sparse = leaf->sparse;
    if (sparse->coalesced)
        return;
    sparse->coalesced = true;
    if (rises(sparse->indices, sparse->n_rows)) /* as an operation leaves them */
        return;
    tread_row_groups groups;
    tread_row_groups_find(sparse->n_rows, sparse->indices, leaf->shape[0], -1, sparse->scratch, &groups);
    tread_group_sum_run(
        context, &groups,
        &(tread_group_sum){
            .dtype = TREAD_FLOAT32, .width = sparse->row_size, .from = sparse->rows, .to = sparse->spare});
    float *summed = sparse->spare;
    sparse->spare = sparse->rows;
    sparse->rows = summed;
    sparse->n_rows = groups.count;
    memcpy(sparse->indices, groups.rows, (size_t)groups.count * sizeof *groups.rows);
}

tread_sparse_grad *tread_sparse_grad_rows(const tread_context *context, tread_tensor *leaf) {
    tread_sparse_grad_coalesce(context, leaf);
    return leaf->sparse;
}

void tread_sparse_grad_densify(const tread_context *context, tread_tensor *leaf) {
    if (leaf->grad_state != TREAD_GRAD_SPARSE)
        return;
    const tread_sparse_grad *sparse = tread_sparse_grad_rows(context, leaf);
    const size_t row_bytes = (size_t)sparse->row_size * sizeof(float);
    char *to = leaf->grad->data;
    if (leaf->count > 0) {
        memset(to, 0, tread_tensor_bytes(leaf));
        for (int64_t i = 0; i < sparse->n_rows; i++)
            memcpy(to + (size_t)sparse->indices[i] * row_bytes, sparse->rows + i * sparse->row_size, row_bytes);
    }
    leaf->grad_state = TREAD_GRAD_DENSE;
}

/* ---- For callers ---- */

bool tread_tensor_grad_is_sparse(const tread_tensor *x) { return x != NULL && x->grad_state == TREAD_GRAD_SPARSE; }

tread_status tread_tensor_sparse_grad(tread_tensor *x, tread_sparse_rows *ret_rows) {
    TREAD_REFUSE_NULL("sparse_grad", x);
    TREAD_REFUSE_NULL("sparse_grad", ret_rows);
    if (x->grad_state != TREAD_GRAD_SPARSE)
        return tread_fail(TREAD_ERROR_STATE, "sparse_grad: the tensor has %s",
                          x->grad_state == TREAD_GRAD_NONE ? "no gradient"
                                                           : "a dense gradient: read tread_tensor_grad");
    const tread_sparse_grad *sparse = tread_sparse_grad_rows(NULL, x);
    *ret_rows = (tread_sparse_rows){sparse->n_rows, sparse->row_size, sparse->indices, sparse->rows};
    return TREAD_OK;
}

tread_status tread_tensor_set_sparse_grad(tread_tensor *x, int64_t n, const int32_t *indices, const float *rows) {
    TREAD_REFUSE_NULL("set_sparse_grad", x);
    TREAD_TRY(check_leaf(x, "set_sparse_grad"));
    if (n < 0)
        return tread_fail(TREAD_ERROR_ARGUMENT, "set_sparse_grad: n = %lld is negative", (long long)n);
    if (n > 0 && (indices == NULL || (rows == NULL && x->shape[1] > 0)))
        return tread_fail(TREAD_ERROR_ARGUMENT, "set_sparse_grad: %s is NULL, and there are %lld entries",
                          indices == NULL ? "indices" : "rows", (long long)n);
    for (int64_t i = 0; i < n; i++)
        if (indices[i] < 0 || indices[i] >= x->shape[0])
            return tread_fail(TREAD_ERROR_ARGUMENT, "set_sparse_grad: index %d of entry %lld is outside [0, %lld)",
                              (int)indices[i], (long long)i, (long long)x->shape[0]);
    if (n > INT32_MAX)
        return tread_fail(TREAD_ERROR_SHAPE, "set_sparse_grad: %lld entries are too many for a sparse gradient",
                          (long long)n);
    TREAD_TRY(make_room(x, n));
    tread_sparse_grad_clear(x);
    tread_sparse_grad_append(x, n, indices, rows);
    return TREAD_OK;
}

tread_status tread_tensor_densify_grad(tread_tensor *x) {
    TREAD_REFUSE_NULL("densify_grad", x);
    if (x->grad_state != TREAD_GRAD_SPARSE)
        return TREAD_OK;
    TREAD_TRY(tread_tensor_ensure_grad(x));
    tread_sparse_grad_densify(NULL, x);
    return TREAD_OK;
}
