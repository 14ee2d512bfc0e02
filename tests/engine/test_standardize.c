#include <float.h>
#include <math.h>
#include <string.h>
#include <tread/data.h>

#include "core/isa.h"
#include "core/memory.h"
#include "engine/data/dataset.h"
#include "tests/test.h"

enum { n = 3000, features = 37 };
static float x[n * features];
static uint8_t bytes[n * features];
static int32_t labels[n];

/* Feature j has about mean j and deviation j + 1; the last one is constant. */
static tread_dataset *make(bool of_bytes) {
    uint32_t noise = 1;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < features; j++) {
            noise = noise * 1664525 + 1013904223;
            x[i * features + j] = j == features - 1 ? 0.1f : (float)j + (float)(j + 1) * (float)(noise >> 8) / 8e6f;
            bytes[i * features + j] = j == features - 1 ? 77 : (uint8_t)(noise >> 24);
        }
    return of_bytes ? tread_dataset_from_bytes(n, features, bytes, 1, labels)
                    : tread_dataset_from_labels(n, features, x, 1, labels);
}

/* What the batch's value should be, in the plainest way. */
static double plain(bool of_bytes, int64_t count, int i, int j) {
    double sum = 0, square = 0;
    for (int64_t k = 0; k < count; k++)
        sum += of_bytes ? bytes[k * features + j] / 255.0 : x[k * features + j];
    double mean = j == features - 1 ? (of_bytes ? 77 / 255.0 : 0.1f) : sum / (double)count;
    for (int64_t k = 0; k < count; k++) {
        double value = of_bytes ? bytes[k * features + j] / 255.0 : x[k * features + j];
        square += (value - mean) * (value - mean);
    }
    double std = j == features - 1 ? 1 : sqrt(square / (double)count);
    return ((of_bytes ? bytes[i * features + j] / 255.0 : x[i * features + j]) - mean) / std;
}

static tread_batches *in_order(tread_context *context, const tread_dataset *dataset) {
    tread_batches_options o = tread_batches_defaults();
    o.batch_size = n;
    o.shuffle = false;
    return tread_batches_create(context, dataset, &o);
}

START_TEST(each_feature_gets_mean_0_and_deviation_1) {
    for (int of_bytes = 0; of_bytes < 2; of_bytes++) {
        tread_dataset *dataset = make(of_bytes == 1);
        ck_assert_ptr_null(tread_dataset_feature_means(dataset));
        ck_assert_ok(tread_dataset_standardize(NULL, dataset));
        ck_assert_double_eq(tread_dataset_feature_stds(dataset)[features - 1], 1);
        ck_assert_double_eq_tol(tread_dataset_feature_means(dataset)[features - 1], of_bytes ? 77 / 255.0 : 0.1f,
                                1e-16);
        tread_batches *batches = in_order(NULL, dataset);
        tread_batch batch;
        ck_assert(tread_batches_next(batches, &batch));
        for (int i = 0; i < n; i += 97)
            for (int j = 0; j < features; j++) /* values of order 1, rounded to float */
                ck_assert_double_eq_tol(tread_tensor_float(batch.x)[i * features + j], plain(of_bytes == 1, n, i, j),
                                        4e-7);
        for (int j = 0; j < features - 1; j++) {
            double sum = 0, square = 0;
            for (int i = 0; i < n; i++)
                sum += tread_tensor_float(batch.x)[i * features + j];
            for (int i = 0; i < n; i++)
                square += pow(tread_tensor_float(batch.x)[i * features + j], 2);
            ck_assert_double_eq_tol(sum / n, 0, 1e-8);
            ck_assert_double_eq_tol(square / n, 1, 1e-6);
        }
        for (int i = 0; i < n; i++)
            ck_assert_float_eq(tread_tensor_float(batch.x)[i * features + features - 1], 0);
        tread_batches_destroy(batches);
        tread_dataset_destroy(dataset);
    }
}
END_TEST

START_TEST(bits_do_not_depend_on_threads_or_instruction_set) {
    uint64_t expected = 0;
    for (int of_bytes = 0; of_bytes < 2; of_bytes++, expected = 0)
        for (int isa = 0; isa < TREAD_ISA_COUNT; isa++)
            for (int threads = 1; threads <= 4; threads++) {
                tread_isa before = tread_isa_use((tread_isa)isa);
                tread_context_options co = tread_context_defaults();
                co.threads = threads;
                tread_context *context = tread_context_create(&co);
                tread_dataset *dataset = make(of_bytes == 1);
                ck_assert_ok(tread_dataset_standardize(context, dataset));
                tread_batches *batches = in_order(context, dataset);
                tread_batch batch;
                ck_assert(tread_batches_next(batches, &batch));
                uint64_t hash = 14695981039346656037u;
                for (int i = 0; i < n * features; i++) {
                    uint32_t bits;
                    memcpy(&bits, tread_tensor_float(batch.x) + i, 4);
                    hash = (hash ^ bits) * 1099511628211u;
                }
                ck_assert(expected == 0 || hash == expected);
                expected = hash;
                tread_batches_destroy(batches);
                tread_dataset_destroy(dataset);
                tread_context_destroy(context);
                tread_isa_use(before);
            }
}
END_TEST

static tread_status read_floats(void *data, const int32_t *rows, int64_t count, void *ret_x, void *ret_y) {
    if (*(int *)data != 0 && --*(int *)data == 0)
        return tread_fail(TREAD_ERROR_IO, "no more");
    for (int64_t i = 0; i < count; i++) {
        memcpy((float *)ret_x + i * features, x + rows[i] * features, features * sizeof *x);
        ((int32_t *)ret_y)[i] = 0;
    }
    return TREAD_OK;
}

START_TEST(learned_on_a_part_or_a_source) {
    tread_dataset *whole = make(false), *train, *validation;
    ck_assert_ok(tread_dataset_split(whole, 0.3, 9, &train, &validation));
    ck_assert_ok(tread_dataset_standardize(NULL, train));
    double sum = 0;
    for (int64_t i = 0; i < tread_dataset_count(train); i++)
        sum += x[tread_dataset_rows(train)[i] * features + 3];
    ck_assert_double_eq_tol(tread_dataset_feature_means(train)[3], sum / (double)tread_dataset_count(train), 1e-12);
    ck_assert_ptr_null(tread_dataset_feature_means(whole)); /* not of the whole's samples, and not to it */
    ck_assert_ok(tread_dataset_normalize_like(validation, train));
    ck_assert_mem_eq(tread_dataset_feature_means(validation), tread_dataset_feature_means(train),
                     features * sizeof(double));
    tread_dataset *inner = tread_dataset_subset(train, (int32_t[]){0, 5}, 2); /* keeps it */
    ck_assert_mem_eq(tread_dataset_feature_stds(inner), tread_dataset_feature_stds(train), features * sizeof(double));
    tread_dataset_destroy(inner);
    tread_dataset_destroy(train);
    tread_dataset_destroy(validation);

    int fail = 0;
    tread_source source = tread_source_defaults();
    source.count = n;
    source.x_rank = 1;
    source.x_shape[0] = features;
    source.classes = 1;
    source.read = read_floats;
    source.data = &fail;
    tread_dataset *from_source = tread_dataset_from_source(&source);
    ck_assert_ok(tread_dataset_standardize(NULL, from_source));
    ck_assert_ok(tread_dataset_standardize(NULL, whole));
    ck_assert_mem_eq(tread_dataset_feature_means(from_source), tread_dataset_feature_means(whole),
                     features * sizeof(double));
    ck_assert_mem_eq(tread_dataset_feature_stds(from_source), tread_dataset_feature_stds(whole),
                     features * sizeof(double));
    fail = 2;
    double mean = tread_dataset_feature_means(from_source)[1];
    ck_assert_fails(tread_dataset_standardize(NULL, from_source), TREAD_ERROR_IO, "no more");
    ck_assert_double_eq(tread_dataset_feature_means(from_source)[1], mean); /* nothing has changed */
    tread_dataset_destroy(from_source);
    tread_dataset_destroy(whole);
}
END_TEST

START_TEST(what_is_refused) {
    tread_dataset *dataset = make(false), *other = tread_dataset_from_labels(n, features - 1, x, 1, labels);
    tread_dataset *indices = tread_dataset_from_indices(n, 1, labels, 1, labels);
    x[5 * features + 4] = NAN;
    ck_assert_fails(tread_dataset_standardize(NULL, dataset), TREAD_ERROR_NUMERIC,
                    "values of feature 4 are not all finite");
    x[5 * features + 4] = FLT_MAX;
    ck_assert_ok(tread_dataset_standardize(NULL, dataset)); /* squares in double */
    ck_assert_fails(tread_dataset_normalize_like(other, dataset), TREAD_ERROR_SHAPE,
                    "36 features, and the normalisation is of 37");
    ck_assert_fails(tread_dataset_standardize(NULL, indices), TREAD_ERROR_DTYPE, "indices, which are not normalised");
    ck_assert_fails(tread_dataset_standardize(NULL, NULL), TREAD_ERROR_ARGUMENT, "the dataset is NULL");
    ck_assert_fails(tread_dataset_normalize_like(NULL, dataset), TREAD_ERROR_ARGUMENT, "the dataset is NULL");
    ck_assert_fails(tread_dataset_normalize_like(dataset, NULL), TREAD_ERROR_ARGUMENT, "the learned is NULL");
    ck_assert_ok(tread_dataset_normalize(dataset, 1, 2)); /* takes its place */
    ck_assert_ptr_null(tread_dataset_feature_means(dataset));
    ck_assert_ok(tread_dataset_normalize_like(indices, indices));
    tread_dataset *column = tread_dataset_from_labels(n, 1, x, 1, labels);
    ck_assert_ok(tread_dataset_standardize(NULL, column));
    ck_assert_fails(tread_dataset_normalize_like(indices, column), TREAD_ERROR_DTYPE, "indices");
    tread_dataset_destroy(column);
    double mean, std;
    ck_assert_ok(tread_dataset_standardize(NULL, dataset));
    tread_dataset_normalization(dataset, &mean, &std);
    ck_assert(mean == 0 && std == 1);
    uint64_t before = tread_memory_live_blocks();
    for (uint64_t k = 1;; k++) {
        tread_memory_fail_at(k);
        tread_status status = tread_dataset_standardize(NULL, dataset);
        bool failed = tread_memory_failed();
        tread_memory_fail_at(0);
        ck_assert_int_eq(status, failed ? TREAD_ERROR_MEMORY : TREAD_OK);
        ck_assert_uint_eq(tread_memory_live_blocks(), before);
        if (!failed) {
            ck_assert_uint_ge(k, 4);
            break;
        }
    }
    tread_dataset_destroy(dataset);
    tread_dataset_destroy(other);
    tread_dataset_destroy(indices);
}
END_TEST

START_TEST(kept_in_a_state) {
    tread_dataset *dataset = make(true), *again = make(true), *fewer = tread_dataset_from_labels(n, 2, x, 1, labels);
    ck_assert_ok(tread_dataset_normalize(dataset, 0.25, 0.5));
    tread_state *scalars = tread_dataset_state_dict(dataset);
    ck_assert_ok(tread_dataset_standardize(NULL, dataset));
    tread_state *state = tread_dataset_state_dict(dataset);
    ck_assert_ok(tread_dataset_load_state_dict(again, state));
    ck_assert_mem_eq(again->standard.mean, dataset->standard.mean, 4 * features * sizeof(double)); /* all four */
    ck_assert_fails(tread_dataset_load_state_dict(fewer, state), TREAD_ERROR_SHAPE,
                    "37 features, and the data set has 2");
    double mean, std;
    ck_assert_ok(tread_dataset_load_state_dict(again, scalars));
    tread_dataset_normalization(again, &mean, &std);
    ck_assert(mean == 0.25 && std == 0.5 && tread_dataset_feature_means(again) == NULL);
    ck_assert_fails(tread_dataset_load_state_dict(NULL, state), TREAD_ERROR_ARGUMENT, "the dataset is NULL");
    ck_assert_fails(tread_dataset_load_state_dict(again, NULL), TREAD_ERROR_ARGUMENT, "the state is NULL");
    ck_assert_ptr_null(tread_dataset_state_dict(NULL));
    tread_state *made = NULL;
    uint64_t before = tread_memory_live_blocks();
    for (uint64_t k = 1; made == NULL; k++) {
        tread_memory_fail_at(k);
        made = tread_dataset_state_dict(dataset);
        ck_assert_int_eq(made == NULL, tread_memory_failed());
        tread_memory_fail_at(0);
        ck_assert(made != NULL || tread_memory_live_blocks() == before);
    }
    tread_state_destroy(made);
    tread_state_destroy(scalars);
    tread_state_destroy(state);
    tread_dataset_destroy(dataset);
    tread_dataset_destroy(again);
    tread_dataset_destroy(fewer);
}
END_TEST

/* A state for two features, of which one thing is not as it should be. */
static void refuse_state(tread_dataset *dataset, double mean, double std, tread_dtype dtype, int64_t count,
                         bool with_std, const char *part) {
    tread_state *state = tread_state_create();
    ck_assert_ok(tread_state_add_integer(state, "features", 2));
    for (int k = 0; k < (with_std ? 2 : 1); k++) {
        tread_tensor *tensor = tread_tensor_create(dtype, 1, &count);
        ck_assert_ok(tread_tensor_fill(tensor, 1));
        if (dtype == TREAD_FLOAT64 && count > 1)
            ((double *)tread_tensor_data(tensor))[1] = k == 0 ? mean : std;
        ck_assert_ok(tread_state_add_tensor(state, k == 0 ? "mean" : "std", tensor));
    }
    ck_assert_fails(tread_dataset_load_state_dict(dataset, state), TREAD_ERROR_FORMAT, part);
    tread_state_destroy(state);
}

START_TEST(states_that_are_refused) {
    tread_dataset *dataset = tread_dataset_from_labels(10, 2, x, 1, labels);
    ck_assert_ok(tread_dataset_standardize(NULL, dataset));
    double before[8];
    memcpy(before, dataset->standard.mean, sizeof before);
    refuse_state(dataset, NAN, 1, TREAD_FLOAT64, 2, true, "mean of feature 1 is nan");
    refuse_state(dataset, 0, 0, TREAD_FLOAT64, 2, true, "std of feature 1 is 0");
    refuse_state(dataset, 0, -1, TREAD_FLOAT64, 2, true, "std of feature 1 is -1");
    refuse_state(dataset, 0, INFINITY, TREAD_FLOAT64, 2, true, "std of feature 1 is inf");
    refuse_state(dataset, 0, 1, TREAD_FLOAT32, 2, true, "mean is float32 (2), expected float64 (2)");
    refuse_state(dataset, 0, 1, TREAD_FLOAT64, 3, true, "mean is float64 (3), expected float64 (2)");
    refuse_state(dataset, 0, 1, TREAD_FLOAT64, 2, false, "std");
    tread_state *state = tread_state_create();
    ck_assert_fails(tread_dataset_load_state_dict(dataset, state), TREAD_ERROR_FORMAT, "features");
    ck_assert_ok(tread_state_add_integer(state, "features", 2));
    ck_assert_fails(tread_dataset_load_state_dict(dataset, state), TREAD_ERROR_FORMAT, "mean");
    ck_assert_ok(tread_state_add_real(state, "mean", 0));
    ck_assert_ok(tread_state_add_real(state, "std", -3));
    ck_assert_fails(tread_dataset_load_state_dict(dataset, state), TREAD_ERROR_FORMAT, "mean 0 and std -3");
    tread_state_destroy(state);
    ck_assert_mem_eq(before, dataset->standard.mean, sizeof before);
    tread_dataset_destroy(dataset);
}
END_TEST

TEST_MAIN("standardize", each_feature_gets_mean_0_and_deviation_1, bits_do_not_depend_on_threads_or_instruction_set,
          learned_on_a_part_or_a_source, what_is_refused, kept_in_a_state, states_that_are_refused)
