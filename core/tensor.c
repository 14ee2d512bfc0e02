#include "core/tensor.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/sparse_grad.h"
#include "core/status.h"

/* One block: this head, padded to TREAD_ALIGNMENT, then the elements. */
struct tread_storage {
    atomic_size_t users;
};

static tread_storage *storage_create(size_t bytes, const char *what) {
    tread_storage *storage = tread_alloc(TREAD_ALIGNMENT + bytes, what);
    if (storage != NULL)
        atomic_init(&storage->users, 1);
    return storage;
}

static void *storage_data(tread_storage *storage) { return (char *)storage + TREAD_ALIGNMENT; }

void tread_storage_release(tread_storage *storage) {
    if (storage != NULL && atomic_fetch_sub_explicit(&storage->users, 1, memory_order_acq_rel) == 1)
        tread_free(storage);
}

const char *tread_dtype_name(tread_dtype dtype) {
    static const char *const names[] = {"float32", "float64", "int32", "uint8"};
    return (unsigned)dtype < sizeof names / sizeof *names ? names[dtype] : "unknown";
}

size_t tread_dtype_size(tread_dtype dtype) {
    static const size_t sizes[] = {4, 8, 4, 1};
    return (unsigned)dtype < sizeof sizes / sizeof *sizes ? sizes[dtype] : 0;
}

char *tread_shape_text(char *buffer, int rank, const int64_t *shape) {
    size_t at = (size_t)snprintf(buffer, TREAD_SHAPE_TEXT, "(");
    for (int i = 0; i < rank && i < TREAD_MAX_RANK; i++)
        at += (size_t)snprintf(buffer + at, TREAD_SHAPE_TEXT - at, "%s%lld", i > 0 ? ", " : "", (long long)shape[i]);
    snprintf(buffer + at, TREAD_SHAPE_TEXT - at, ")");
    return buffer;
}

tread_status tread_tensor_init(tread_tensor *x, tread_dtype dtype, int rank, const int64_t *shape) {
    char text[TREAD_SHAPE_TEXT];
    if (tread_dtype_size(dtype) == 0)
        return tread_fail(TREAD_ERROR_DTYPE, "tensor: dtype %d is not one of float32, float64, int32, uint8",
                          (int)dtype);
    if (rank < 0 || rank > TREAD_MAX_RANK)
        return tread_fail(TREAD_ERROR_SHAPE, "tensor: rank %d is outside 0..%d", rank, TREAD_MAX_RANK);
    if (shape == NULL && rank > 0)
        return tread_fail(TREAD_ERROR_SHAPE, "tensor: shape is NULL, and the rank is %d", rank);
    /* Extents of 0 are left out of the product, so that (0, 2^62, 2^62) is refused: strides must not overflow either.
     */
    int64_t bytes = (int64_t)tread_dtype_size(dtype), count = 1;
    for (int i = 0; i < rank; i++) {
        if (shape[i] < 0)
            return tread_fail(TREAD_ERROR_SHAPE, "tensor: extent %lld of axis %d in shape %s is negative",
                              (long long)shape[i], i, tread_shape_text(text, rank, shape));
        if (__builtin_mul_overflow(bytes, shape[i] > 0 ? shape[i] : 1, &bytes) || bytes > PTRDIFF_MAX / 2)
            return tread_fail(TREAD_ERROR_SHAPE, "tensor: shape %s of %s has more bytes than an address space",
                              tread_shape_text(text, rank, shape), tread_dtype_name(dtype));
        count *= shape[i];
    }
    x->dtype = dtype;
    x->rank = rank;
    memset(x->shape, 0, sizeof x->shape);
    for (int i = 0; i < rank; i++)
        x->shape[i] = shape[i];
    x->count = count;
    return TREAD_OK;
}

tread_status tread_tensor_init_owned(tread_tensor *x, tread_dtype dtype, int rank, const int64_t *shape) {
    tread_tensor made = {0};
    TREAD_TRY(tread_tensor_init(&made, dtype, rank, shape));
    made.storage = storage_create(tread_tensor_bytes(&made), "a tensor");
    if (made.storage == NULL)
        return TREAD_ERROR_MEMORY;
    made.data = storage_data(made.storage);
    *x = made;
    return TREAD_OK;
}

size_t tread_tensor_bytes(const tread_tensor *x) { return (size_t)x->count * tread_dtype_size(x->dtype); }

bool tread_tensor_same_shape(const tread_tensor *a, const tread_tensor *b) {
    return a->rank == b->rank && memcmp(a->shape, b->shape, sizeof a->shape) == 0;
}

tread_tensor *tread_tensor_create(tread_dtype dtype, int rank, const int64_t *shape) {
    tread_tensor made = {0};
    if (tread_tensor_init_owned(&made, dtype, rank, shape) != TREAD_OK)
        return NULL;
    tread_tensor *x = tread_alloc(sizeof *x, "a tensor's description");
    if (x == NULL) {
        tread_storage_release(made.storage);
        return NULL;
    }
    *x = made;
    memset(x->data, 0, tread_tensor_bytes(x));
    return x;
}

tread_tensor *tread_tensor_wrap(tread_dtype dtype, int rank, const int64_t *shape, void *data) {
    tread_tensor made = {.data = data, .given = true};
    if (tread_tensor_init(&made, dtype, rank, shape) != TREAD_OK)
        return NULL;
    if (data == NULL && made.count > 0)
        return tread_fail_null(TREAD_ERROR_ARGUMENT, "tensor: data is NULL, and there are %lld elements to wrap",
                               (long long)made.count);
    if ((uintptr_t)data % tread_dtype_size(dtype) != 0)
        return tread_fail_null(TREAD_ERROR_ARGUMENT, "tensor: data at %p is not aligned to the %zu bytes of %s", data,
                               tread_dtype_size(dtype), tread_dtype_name(dtype));
    tread_tensor *x = tread_alloc(sizeof *x, "a tensor's description");
    if (x != NULL)
        *x = made;
    return x;
}

/* offset in bytes; made has the view's dtype and shape. */
static tread_tensor *share(const tread_tensor *x, tread_tensor made, size_t offset) {
    tread_tensor *view = tread_alloc(sizeof *view, "a tensor's description");
    if (view == NULL)
        return NULL;
    made.data = x->data != NULL ? (char *)x->data + offset : NULL;
    made.storage = x->storage;
    made.is_view = made.given = true;
    tread_tensor_give(x);
    if (made.storage != NULL)
        atomic_fetch_add_explicit(&made.storage->users, 1, memory_order_relaxed);
    *view = made;
    return view;
}

/* A tape's memory is used anew each step, so nothing outside it may keep a view. */
static bool may_share(const tread_tensor *x, const char *call) {
    if (x == NULL) {
        tread_fail(TREAD_ERROR_ARGUMENT, "%s: the tensor is NULL", call);
        return false;
    }
    if (x->owner == TREAD_OWNER_TAPE) {
        tread_fail(TREAD_ERROR_STATE, "%s: the tensor belongs to a tape; use tread_reshape or tread_slice on it", call);
        return false;
    }
    return true;
}

tread_tensor *tread_tensor_view(const tread_tensor *x, int rank, const int64_t *shape) {
    tread_tensor made = {0};
    if (!may_share(x, "view") || tread_tensor_init(&made, x->dtype, rank, shape) != TREAD_OK)
        return NULL;
    if (made.count != x->count) {
        char from[TREAD_SHAPE_TEXT], to[TREAD_SHAPE_TEXT];
        return tread_fail_null(TREAD_ERROR_SHAPE, "view: shape %s has %lld elements, and %s has %lld",
                               tread_shape_text(from, x->rank, x->shape), (long long)x->count,
                               tread_shape_text(to, rank, shape), (long long)made.count);
    }
    return share(x, made, 0);
}

tread_tensor *tread_tensor_rows(const tread_tensor *x, int64_t first, int64_t n) {
    if (!may_share(x, "rows"))
        return NULL;
    char text[TREAD_SHAPE_TEXT];
    if (x->rank == 0)
        return tread_fail_null(TREAD_ERROR_SHAPE, "rows: a scalar has no rows");
    if (first < 0 || n < 0 || first > x->shape[0] || n > x->shape[0] - first)
        return tread_fail_null(TREAD_ERROR_SHAPE, "rows: %lld rows from row %lld are not all in shape %s", (long long)n,
                               (long long)first, tread_shape_text(text, x->rank, x->shape));
    int64_t shape[TREAD_MAX_RANK];
    memcpy(shape, x->shape, sizeof shape);
    shape[0] = n;
    tread_tensor made = {0};
    if (tread_tensor_init(&made, x->dtype, x->rank, shape) != TREAD_OK)
        return NULL;
    size_t row_bytes = x->shape[0] > 0 ? tread_tensor_bytes(x) / (size_t)x->shape[0] : 0;
    return share(x, made, (size_t)first * row_bytes);
}

void tread_tensor_destroy(tread_tensor *x) {
    if (x == NULL || x->owner != TREAD_OWNER_CALLER)
        return;
    tread_storage_release(x->storage);
    tread_sparse_grad_free(x);
    tread_free(x->bf16);
    if (x->grad != NULL) {
        tread_storage_release(x->grad->storage);
        tread_free(x->grad);
    }
    tread_free(x);
}

tread_dtype tread_tensor_dtype(const tread_tensor *x) { return x != NULL ? x->dtype : TREAD_FLOAT32; }
int tread_tensor_rank(const tread_tensor *x) { return x != NULL ? x->rank : 0; }
const int64_t *tread_tensor_shape(const tread_tensor *x) { return x != NULL ? x->shape : NULL; }
int64_t tread_tensor_count(const tread_tensor *x) { return x != NULL ? x->count : 0; }

void *tread_tensor_data(const tread_tensor *x) {
    if (x == NULL)
        return NULL;
    tread_tensor_give(x);
    return x->data;
}

int64_t tread_tensor_dim(const tread_tensor *x, int axis) {
    int rank = tread_tensor_rank(x);
    if (axis < 0)
        axis += rank;
    return axis >= 0 && axis < rank ? x->shape[axis] : -1;
}
