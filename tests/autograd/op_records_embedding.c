#include <math.h>
#include <string.h>

#include "tests/autograd/op_records.h"
#include "tests/test.h"

/* padding_idx is integer[0], mode integer[1]. Sparse gradients: test_embedding.c. */

#define SLACK 1.01L

static void fill_indices(double *values, int64_t n, int64_t n_rows, tread_rng *rng) {
    for (int64_t i = 0; i < n; i++)
        values[i] = (double)tread_rng_below(rng, (uint32_t)n_rows);
}

/* --- embedding --- */

static const struct {
    int64_t n_rows, width;
    int rank;
    int64_t shape[3];
    int64_t padding_idx;
} tables[] = {
    {5, 3, 1, {12}, TREAD_NO_PADDING},
    {1, 1, 0, {0}, TREAD_NO_PADDING},
    {4, 70, 2, {3, 4}, 2},
    {6, 2, 3, {2, 1, 3}, TREAD_NO_PADDING},
    {3, 4, 1, {0}, 0},
    {2, 0, 1, {3}, TREAD_NO_PADDING},
    {300, 90, 2, {40, 60}, 7},
};
#define FIRST_LARGE_TABLE 6
#define MOST_PLACES 12 /* of the others: no row is named more often */

static void make_embedding(int number, tread_rng *rng, op_case *c) {
    op_case_uniform(c, 2, (int64_t[]){tables[number].n_rows, tables[number].width}, rng, -2, 2);
    double *indices = op_case_input(c, tables[number].rank, tables[number].shape);
    c->inputs[1].integer = true;
    fill_indices(indices, c->inputs[1].count, tables[number].n_rows, rng);
    c->integer[0] = tables[number].padding_idx;
    c->large = number >= FIRST_LARGE_TABLE;
    /* By differences the padding row has a gradient, where it is named. */
    for (int64_t i = 0; i < c->inputs[1].count && !c->large; i++)
        if ((int64_t)indices[i] == tables[number].padding_idx)
            indices[i] += 1;
}

static tread_tensor *apply_embedding(tread_tape *tape, const op_case *c, tread_tensor *const *x) {
    tread_embedding_options options = tread_embedding_defaults();
    options.padding_idx = c->integer[0];
    return tread_embedding(tape, x[0], x[1], &options);
}

/* Copies: exact. */
static void reference_embedding(const op_case *c, op_result *y) {
    const op_input *weight = &c->inputs[0], *indices = &c->inputs[1];
    const int64_t width = weight->shape[1];
    int64_t shape[TREAD_MAX_RANK];
    memcpy(shape, indices->shape, sizeof shape);
    shape[indices->rank] = width;
    op_result_shape(y, indices->rank + 1, shape);
    for (int64_t i = 0; i < indices->count; i++)
        for (int64_t k = 0; k < width; k++)
            y->values[i * width + k] = weight->values[(int64_t)indices->values[i] * width + k];
}

static void errors_embedding(tread_tape *tape) {
    tread_tensor *weight = tread_tensor_create(TREAD_FLOAT32, 2, (int64_t[]){4, 3});
    tread_tensor *doubles = tread_tensor_create(TREAD_FLOAT64, 2, (int64_t[]){4, 3});
    tread_tensor *flat = tread_tensor_create(TREAD_FLOAT32, 1, (int64_t[]){4});
    tread_tensor *indices = tread_tensor_create(TREAD_INT32, 2, (int64_t[]){2, 3});
    tread_tensor *full = tread_tensor_create(TREAD_INT32, 6, (int64_t[]){1, 1, 1, 1, 1, 1});
    tread_tensor *bytes = tread_tensor_create(TREAD_UINT8, 1, (int64_t[]){2});
    tread_embedding_options o = tread_embedding_defaults();
    expect_refused(tape, tread_embedding(tape, NULL, indices, NULL), TREAD_ERROR_ARGUMENT, "the weight is NULL");
    expect_refused(tape, tread_embedding(tape, weight, NULL, NULL), TREAD_ERROR_ARGUMENT, "the indices are NULL");
    expect_refused(tape, tread_embedding(tape, flat, indices, NULL), TREAD_ERROR_SHAPE, "weight (4): expected");
    expect_refused(tape, tread_embedding(tape, weight, full, NULL), TREAD_ERROR_SHAPE, "have rank 6 already");
    expect_refused(tape, tread_embedding(tape, weight, bytes, NULL), TREAD_ERROR_DTYPE, "the indices are uint8");
    expect_refused(tape, tread_embedding(tape, indices, indices, NULL), TREAD_ERROR_DTYPE, "the weight is int32");
    o.padding_idx = 4;
    expect_refused(tape, tread_embedding(tape, weight, indices, &o), TREAD_ERROR_ARGUMENT,
                   "padding_idx = 4 is neither in [0, 4)");
    o = tread_embedding_defaults();
    o.sparse = true;
    expect_refused(tape, tread_embedding(tape, doubles, indices, &o), TREAD_ERROR_DTYPE, "the weight is float64");
    ((int32_t *)tread_tensor_data(indices))[4] = 4;
    expect_refused(tape, tread_embedding(tape, weight, indices, NULL), TREAD_ERROR_ARGUMENT,
                   "embedding: index 4 at (1, 1) is outside [0, 4)");
    ((int32_t *)tread_tensor_data(indices))[2] = -1;
    expect_refused(tape, tread_embedding(tape, weight, indices, NULL), TREAD_ERROR_ARGUMENT, "index -1 at (0, 2)");
    tread_tensor *const all[] = {weight, doubles, flat, indices, full, bytes};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        tread_tensor_destroy(all[i]);
}

/* --- embedding_bag --- */

static const struct {
    int64_t n_rows, width, bags, length; /* length -1: offsets */
    int64_t offsets[6];
    int64_t n_entries;
    int64_t padding_idx;
    tread_bag_mode mode;
} bags[] = {
    {5, 3, 4, 3, {0}, 12, TREAD_NO_PADDING, TREAD_BAG_SUM},
    {3, 70, 3, 4, {0}, 12, 1, TREAD_BAG_MEAN},
    {6, 2, 2, 5, {0}, 10, 0, TREAD_BAG_MAX},
    {5, 3, 5, -1, {0, 0, 4, 4, 9}, 11, 4, TREAD_BAG_SUM},
    {4, 5, 4, -1, {0, 3, 3, 12}, 12, 3, TREAD_BAG_MEAN},
    {7, 67, 3, -1, {0, 2, 12}, 12, TREAD_NO_PADDING, TREAD_BAG_MAX},
    {2, 3, 3, 0, {0}, 0, TREAD_NO_PADDING, TREAD_BAG_MEAN},
    {3, 2, 0, 4, {0}, 0, TREAD_NO_PADDING, TREAD_BAG_MAX},
    {90, 67, 300, 20, {0}, 6000, 11, TREAD_BAG_MEAN},
    {90, 40, 200, 30, {0}, 6000, 11, TREAD_BAG_MAX},
    {90, 90, 300, 20, {0}, 6000, TREAD_NO_PADDING, TREAD_BAG_SUM},
};
#define N_BAGS ((int)(sizeof bags / sizeof *bags))
#define FIRST_LARGE_BAG 8

static void make_bag(int number, tread_rng *rng, op_case *c) {
    op_case_uniform(c, 2, (int64_t[]){bags[number].n_rows, bags[number].width}, rng, -2, 2);
    const bool fixed = bags[number].length >= 0;
    double *indices = fixed ? op_case_input(c, 2, (int64_t[]){bags[number].bags, bags[number].length})
                            : op_case_input(c, 1, &bags[number].n_entries);
    fill_indices(indices, bags[number].n_entries, bags[number].n_rows, rng);
    double *offsets = op_case_input(c, 1, &bags[number].bags);
    for (int64_t i = 0; i < bags[number].bags && !fixed; i++)
        offsets[i] = (double)bags[number].offsets[i];
    c->inputs[1].integer = c->inputs[2].integer = true;
    c->inputs[2].absent = fixed;
    c->integer[0] = bags[number].padding_idx;
    c->integer[1] = bags[number].mode;
    c->integer[2] = bags[number].length;
    c->large = number >= FIRST_LARGE_BAG;
}

static tread_tensor *apply_bag(tread_tape *tape, const op_case *c, tread_tensor *const *x) {
    tread_embedding_bag_options options = tread_embedding_bag_defaults();
    options.padding_idx = c->integer[0];
    options.mode = (tread_bag_mode)c->integer[1];
    return tread_embedding_bag(tape, x[0], x[1], x[2], &options);
}

/* A sum of n terms, one after the other, is off by n - 1 roundings of at most the sum of the terms' sizes; the mean's
 * division by one more. The largest is exact. */
static void reference_bag(const op_case *c, op_result *y) {
    const op_input *weight = &c->inputs[0], *indices = &c->inputs[1], *offsets = &c->inputs[2];
    const int64_t width = weight->shape[1], n = offsets->shape[0];
    op_result_shape(y, 2, (int64_t[]){n, width});
    for (int64_t bag = 0; bag < n; bag++) {
        int64_t begin = bag * c->integer[2], end = begin + c->integer[2];
        if (c->integer[2] < 0) {
            begin = (int64_t)offsets->values[bag];
            end = bag + 1 < n ? (int64_t)offsets->values[bag + 1] : indices->count;
        }
        for (int64_t k = 0; k < width; k++) {
            long double sum = 0, size = 0, largest = 0;
            int64_t count = 0;
            for (int64_t i = begin; i < end; i++) {
                const int64_t row = (int64_t)indices->values[i];
                const long double value = weight->values[row * width + k];
                if (row == c->integer[0])
                    continue;
                sum += value;
                size += fabsl(value);
                largest = count++ == 0 || value > largest ? value : largest;
            }
            const long double divisor = c->integer[1] == TREAD_BAG_MEAN && count > 0 ? count : 1;
            const int64_t at = bag * width + k;
            y->values[at] = c->integer[1] == TREAD_BAG_MAX ? largest : sum / divisor;
            y->errors[at] = c->integer[1] == TREAD_BAG_MAX || count == 0
                                ? 0
                                : SLACK * ((long double)(count - 1) * size / divisor + fabsl(y->values[at]));
        }
    }
}

static void errors_bag(tread_tape *tape) {
    tread_tensor *weight = tread_tensor_create(TREAD_FLOAT32, 2, (int64_t[]){4, 3});
    tread_tensor *flat = tread_tensor_create(TREAD_INT32, 1, (int64_t[]){6});
    tread_tensor *square = tread_tensor_create(TREAD_INT32, 2, (int64_t[]){2, 3});
    tread_tensor *offsets = tread_tensor_create(TREAD_INT32, 1, (int64_t[]){3});
    tread_tensor *none = tread_tensor_create(TREAD_INT32, 1, (int64_t[]){0});
    tread_embedding_bag_options o = tread_embedding_bag_defaults();
    expect_refused(tape, tread_embedding_bag(tape, NULL, square, NULL, NULL), TREAD_ERROR_ARGUMENT, "weight is NULL");
    expect_refused(tape, tread_embedding_bag(tape, weight, NULL, NULL, NULL), TREAD_ERROR_ARGUMENT, "indices are NULL");
    expect_refused(tape, tread_embedding_bag(tape, weight, flat, NULL, NULL), TREAD_ERROR_SHAPE,
                   "indices (6) and offsets NULL: expected (bags, length)");
    expect_refused(tape, tread_embedding_bag(tape, weight, square, offsets, NULL), TREAD_ERROR_SHAPE,
                   "indices (2, 3) and offsets (3)");
    expect_refused(tape, tread_embedding_bag(tape, weight, flat, weight, NULL), TREAD_ERROR_DTYPE,
                   "the offsets are float32");
    expect_refused(tape, tread_embedding_bag(tape, weight, flat, none, NULL), TREAD_ERROR_ARGUMENT, "no bag begins");
    int32_t *at = tread_tensor_data(offsets);
    memcpy(at, (int32_t[]){1, 2, 3}, 12);
    expect_refused(tape, tread_embedding_bag(tape, weight, flat, offsets, NULL), TREAD_ERROR_ARGUMENT,
                   "offset 1 of bag 0 is outside [0, 0]");
    memcpy(at, (int32_t[]){0, 4, 3}, 12);
    expect_refused(tape, tread_embedding_bag(tape, weight, flat, offsets, NULL), TREAD_ERROR_ARGUMENT,
                   "offset 3 of bag 2 is outside [4, 6]");
    memcpy(at, (int32_t[]){0, 4, 7}, 12);
    expect_refused(tape, tread_embedding_bag(tape, weight, flat, offsets, NULL), TREAD_ERROR_ARGUMENT,
                   "offset 7 of bag 2 is outside [4, 6]");
    memcpy(at, (int32_t[]){0, 4, 6}, 12);
    ((int32_t *)tread_tensor_data(flat))[5] = 4;
    expect_refused(tape, tread_embedding_bag(tape, weight, flat, offsets, NULL), TREAD_ERROR_ARGUMENT,
                   "embedding_bag: index 4 at (5) is outside [0, 4)");
    o.mode = (tread_bag_mode)3;
    expect_refused(tape, tread_embedding_bag(tape, weight, square, NULL, &o), TREAD_ERROR_ARGUMENT, "mode 3");
    o = tread_embedding_bag_defaults();
    o.padding_idx = -2;
    expect_refused(tape, tread_embedding_bag(tape, weight, square, NULL, &o), TREAD_ERROR_ARGUMENT, "padding_idx = -2");
    tread_tensor *const all[] = {weight, flat, square, offsets, none};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        tread_tensor_destroy(all[i]);
}

/* Gradients are sums of at most MOST_PLACES terms, one after the other; those of MEAN are products with a rounded
 * factor. */
const op_record op_records_embedding[] = {
    {.name = "embedding",
     .n_cases = sizeof tables / sizeof *tables,
     .make = make_embedding,
     .apply = apply_embedding,
     .reference = reference_embedding,
     .gradient_ulps = MOST_PLACES - 1,
     .check_errors = errors_embedding},
    {.name = "embedding_bag",
     .n_cases = N_BAGS,
     .make = make_bag,
     .apply = apply_bag,
     .reference = reference_bag,
     .gradient_ulps = MOST_PLACES - 1 + 2,
     .check_errors = errors_bag},
    {.name = NULL},
};
