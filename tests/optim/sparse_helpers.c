#include "tests/optim/sparse_helpers.h"

/* Two in three entries go to the first eighth of the rows, as words do, so that there are duplicates and gaps. */
static int32_t index_of(size_t place, int64_t rows, int64_t entry, int64_t step) {
    float where = fabsf(param_value(place + 100 * (size_t)(step + 1), entry));
    float range = entry % 3 == 0 ? (float)rows : (float)rows / 8;
    int64_t index = (int64_t)(where * range);
    return (int32_t)(index < rows ? index : rows - 1);
}

entries entries_make(size_t place, int64_t rows, int64_t width, int64_t n, int64_t step) {
    entries e = {n, width, calloc((size_t)n + 1, sizeof(int32_t)), calloc((size_t)(n * width) + 1, sizeof(float))};
    for (int64_t i = 0; i < n; i++)
        e.indices[i] = index_of(place, rows, i, step);
    for (int64_t i = 0; i < n * width; i++)
        e.rows[i] = param_grad(place, i, step);
    return e;
}

void entries_free(entries *e) {
    free(e->indices);
    free(e->rows);
}

void entries_set_sparse(const entries *e, tread_parameter *parameter) {
    ck_assert_ok(tread_tensor_set_sparse_grad(&parameter->tensor, e->n, e->indices, e->rows));
}

bool entries_sum(const entries *e, int64_t row, float *ret_sum) {
    bool any = false;
    for (int64_t i = 0; i < e->n; i++) {
        if (e->indices[i] != row)
            continue;
        for (int64_t c = 0; c < e->width; c++)
            ret_sum[c] = any ? ret_sum[c] + e->rows[i * e->width + c] : e->rows[i * e->width + c];
        any = true;
    }
    return any;
}

void entries_set_dense(const entries *e, tread_parameter *parameter) {
    tread_tensor *x = &parameter->tensor;
    float *g = x->grad->data;
    bool *there = calloc((size_t)x->shape[0], sizeof *there);
    memset(g, 0, tread_tensor_bytes(x));
    for (int64_t i = 0; i < e->n; i++) {
        float *row = g + e->indices[i] * e->width;
        for (int64_t c = 0; c < e->width; c++)
            row[c] = there[e->indices[i]] ? row[c] + e->rows[i * e->width + c] : e->rows[i * e->width + c];
        there[e->indices[i]] = true;
    }
    free(there);
    x->grad_state = TREAD_GRAD_DENSE;
}

tread_parameter *table_make(const char *name, size_t place, int64_t rows, int64_t width) {
    tread_parameter *table = tread_parameter_create(name, 2, (const int64_t[]){rows, width});
    ck_assert_ptr_nonnull(table);
    for (int64_t i = 0; i < rows * width; i++)
        table_data(table)[i] = param_value(place, i);
    return table;
}

bool tables_equal(const tread_parameter *a, const tread_parameter *b) {
    return tread_tensor_same_shape(&a->tensor, &b->tensor) &&
           memcmp(a->tensor.data, b->tensor.data, tread_tensor_bytes(&a->tensor)) == 0;
}

const float *slot_of(const tread_optimizer *optimizer, size_t item, int s) {
    size_t g = 0;
    while (item >= optimizer->groups[g].first + optimizer->groups[g].count)
        g++;
    const float *slot = optimizer->groups[g].memory.slots[s];
    return slot != NULL ? slot + optimizer->items[item].offset : NULL;
}

bool states_equal(const tread_optimizer *a, const tread_optimizer *b) {
    bool equal = a->n_items == b->n_items;
    for (size_t i = 0; i < a->n_items && equal; i++) {
        equal = tread_item_progress(a, i)->step == tread_item_progress(b, i)->step && a->items[i].n == b->items[i].n;
        for (int s = 0; s < a->type->n_slots && equal; s++) {
            const float *x = slot_of(a, i, s), *y = slot_of(b, i, s);
            equal =
                (x == NULL) == (y == NULL) && (x == NULL || memcmp(x, y, (size_t)a->items[i].n * sizeof(float)) == 0);
        }
    }
    return equal;
}
