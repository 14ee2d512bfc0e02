#include <float.h>
#include <math.h>

#include "core/lanes.h"
#include "core/memory.h"
#include "core/parallel.h"
#include "core/random.h"
#include "core/status.h"
#include "models/init.h"

/* `count` vectors of `length` numbers (count <= length), orthonormal one after the other: from each the parts along
 * those before it are taken away, twice, which leaves it orthogonal to rounding ("twice is enough": Giraud, Langou and
 * Rozloznik, "The loss of orthogonality in the Gram-Schmidt orthogonalization process", 2005). From normal vectors this
 * gives every orthonormal system with equal density, as a QR decomposition whose R has a positive diagonal does. */
typedef struct basis {
    double *vectors; /* (count, length) */
    double *parts;   /* (count) of the current vector, along each before it */
    int64_t count, length;
    int64_t current;
} basis;

TREAD_KERNEL_BODY void dots_body(const double *vectors, const double *vector, int64_t length, double *parts,
                                 int64_t begin, int64_t end) {
    const double *restrict b = vector;
    for (int64_t j = begin; j < end; j++) {
        const double *restrict a = vectors + j * length;
        TREAD_LANE_SUM(parts[j], length, i, a[i] * b[i]);
    }
}
TREAD_KERNEL(dots,
             (const double *vectors, const double *vector, int64_t length, double *parts, int64_t begin, int64_t end),
             (vectors, vector, length, parts, begin, end))

static void dots_range(void *argument, int64_t begin, int64_t end) {
    const basis *q = argument;
    TREAD_CALL(dots)(q->vectors, q->vectors + q->current * q->length, q->length, q->parts, begin, end);
}

TREAD_KERNEL_BODY void subtract_body(const double *vectors, const double *parts, int64_t n, int64_t length,
                                     double *vector, int64_t begin, int64_t end) {
    double *restrict to = vector;
    for (int64_t j = 0; j < n; j++) {
        const double *restrict a = vectors + j * length;
        const double part = parts[j];
        for (int64_t i = begin; i < end; i++)
            to[i] -= part * a[i];
    }
}
TREAD_KERNEL(subtract,
             (const double *vectors, const double *parts, int64_t n, int64_t length, double *vector, int64_t begin,
              int64_t end),
             (vectors, parts, n, length, vector, begin, end))

static void subtract_range(void *argument, int64_t begin, int64_t end) {
    const basis *q = argument;
    TREAD_CALL(subtract)(q->vectors, q->parts, q->current, q->length, q->vectors + q->current * q->length, begin, end);
}

static double norm(const double *vector, int64_t length) {
    double square = 0;
    TREAD_CALL(dots)(vector, vector, length, &square, 0, 1);
    return sqrt(square);
}

/* Makes the current vector; false where nothing is left of it: almost all of it lay along the others, so draw another.
 */
static bool orthogonalise(const tread_context *context, basis *q) {
    double *vector = q->vectors + q->current * q->length, before = norm(vector, q->length);
    for (int pass = 0; pass < 2; pass++) {
        tread_parallel_for(context, q->current, 16384 / q->length + 1, 8, dots_range, q);
        tread_parallel_for(context, q->length, 16384 / (q->current + 1) + 1, 8, subtract_range, q);
    }
    double after = norm(vector, q->length);
    if (!(after > 1e-10 * before))
        return false;
    for (int64_t i = 0; i < q->length; i++)
        vector[i] *= 1 / after;
    return true;
}

static void store(const basis *q, bool rows, double gain, tread_tensor *x) {
    int64_t n_columns = rows ? q->length : q->count;
    for (int64_t j = 0; j < q->count; j++)
        for (int64_t i = 0; i < q->length; i++) {
            int64_t to = rows ? j * n_columns + i : i * n_columns + j;
            double value = gain * q->vectors[j * q->length + i];
            if (x->dtype == TREAD_FLOAT32)
                ((float *)x->data)[to] = (float)value;
            else
                ((double *)x->data)[to] = value;
        }
}

tread_status tread_init_orthogonal(tread_context *context, tread_tensor *x, tread_rng *rng, double gain) {
    TREAD_TRY(tread_init_check("init_orthogonal", x, rng));
    TREAD_TRY(
        tread_init_check_range("init_orthogonal", "gain", gain, 0, x->dtype == TREAD_FLOAT32 ? FLT_MAX : DBL_MAX));
    char text[TREAD_SHAPE_TEXT];
    if (x->rank < 2)
        return tread_fail(TREAD_ERROR_SHAPE, "init_orthogonal: shape %s has rank %d, not 2 or more",
                          tread_shape_text(text, x->rank, x->shape), x->rank);
    if (x->count == 0)
        return TREAD_OK;
    int64_t n_rows = x->shape[0], n_columns = x->count / n_rows;
    bool rows = n_rows <= n_columns;
    basis q = {.count = rows ? n_rows : n_columns, .length = rows ? n_columns : n_rows};
    q.vectors = tread_calloc((size_t)x->count, sizeof(double), "an orthogonal matrix");
    q.parts = q.vectors == NULL ? NULL : tread_calloc((size_t)q.count, sizeof(double), "an orthogonal matrix");
    if (q.parts == NULL) {
        tread_free(q.vectors);
        return TREAD_ERROR_MEMORY;
    }
    for (; q.current < q.count; q.current++)
        do
            tread_random_fill_normal_f64(context, rng, 0, 1, q.vectors + q.current * q.length, q.length);
        while (!orthogonalise(context, &q));
    store(&q, rows, gain, x);
    tread_tensor_touch(x);
    tread_free(q.vectors);
    tread_free(q.parts);
    return TREAD_OK;
}
