#include <math.h>
#include <string.h>
#include <tread/data.h>

#include "core/isa.h"
#include "core/memory.h"
#include "engine/data/batches.h"
#include "tests/test.h"

/* A data set of bytes (n, 3, 7) with labels i mod 10, over static arrays. */
static uint8_t bytes[1000 * 21];
static int32_t labels[1000];

static tread_dataset *byte_set(int64_t n) {
    for (int i = 0; i < 1000 * 21; i++)
        bytes[i] = (uint8_t)(i * 31 + i / 255);
    for (int i = 0; i < 1000; i++)
        labels[i] = i % 10;
    tread_tensor *x = tread_tensor_wrap(TREAD_UINT8, 3, (int64_t[]){n, 3, 7}, bytes);
    tread_tensor *y = tread_tensor_wrap(TREAD_INT32, 1, (int64_t[]){n}, labels);
    tread_dataset *dataset = tread_dataset_from_tensors(x, y, 10);
    ck_assert_msg(dataset != NULL, "%s", tread_last_error());
    tread_tensor_destroy(x);
    tread_tensor_destroy(y);
    return dataset;
}

static tread_batches_options options_of(int64_t batch_size) {
    tread_batches_options options = tread_batches_defaults();
    options.batch_size = batch_size;
    return options;
}

START_TEST(order_is_a_permutation_and_a_function_of_seed_and_epoch) {
    enum { n = 997 };
    static int32_t first[n], second[n];
    char seen[n] = {0};
    tread_sampler_order(7, 3, true, first, n);
    tread_sampler_order(8, 3, true, second, n);
    ck_assert_mem_ne(first, second, sizeof first);
    tread_sampler_order(7, 4, true, second, n);
    ck_assert_mem_ne(first, second, sizeof first);
    tread_sampler_order(7, 3, true, second, n);
    ck_assert_mem_eq(first, second, sizeof first);
    for (int i = 0; i < n; i++)
        seen[first[i]]++;
    for (int i = 0; i < n; i++)
        ck_assert_int_eq(seen[i], 1);
    tread_sampler_order(7, 3, false, first, n);
    for (int i = 0; i < n; i++)
        ck_assert_int_eq(first[i], i);
}
END_TEST

START_TEST(every_sample_once_an_epoch) {
    tread_dataset *dataset = byte_set(100);
    for (int64_t size = 1; size <= 101; size++) {
        tread_batches_options options = options_of(size);
        tread_batches *batches = tread_batches_create(NULL, dataset, &options);
        int64_t whole = size < 100 ? size : 100, n_batches = (100 + whole - 1) / whole;
        ck_assert_int_eq(tread_batches_count(batches), n_batches);
        ck_assert_int_eq(tread_batches_samples(batches), 100);
        for (int64_t epoch = 0; epoch < 3; epoch++) {
            int seen[100] = {0};
            int64_t index = 0;
            for (tread_batch batch; tread_batches_next(batches, &batch); index++) {
                ck_assert_int_eq(batch.index, index);
                ck_assert_int_eq(batch.epoch, epoch);
                ck_assert_int_eq(batch.count, index < n_batches - 1 || 100 % whole == 0 ? whole : 100 % whole);
                ck_assert_int_eq(tread_tensor_dim(batch.x, 0), batch.count);
                ck_assert_int_eq(tread_tensor_dim(batch.x, 1), 21);
                ck_assert_int_eq(tread_tensor_dim(batch.y, 0), batch.count);
                for (int64_t i = 0; i < batch.count; i++) {
                    int32_t row = batch.rows[i];
                    seen[row]++;
                    ck_assert_int_eq(((int32_t *)tread_tensor_data(batch.y))[i], row % 10);
                    bool equal = true; /* one ck_assert a row: each takes a microsecond or more */
                    for (int j = 0; j < 21; j++)
                        equal &= tread_tensor_float(batch.x)[i * 21 + j] == (float)bytes[row * 21 + j] * (1.0f / 255);
                    ck_assert(equal);
                }
            }
            ck_assert_int_eq(index, n_batches);
            for (int i = 0; i < 100; i++)
                ck_assert_int_eq(seen[i], 1);
        }
        tread_batches_destroy(batches);
    }
    tread_dataset_destroy(dataset);
}
END_TEST

START_TEST(last_short_batch_can_be_dropped) {
    tread_dataset *dataset = byte_set(100);
    tread_batches_options options = options_of(32);
    options.drop_last = true;
    tread_batches *batches = tread_batches_create(NULL, dataset, &options);
    ck_assert_int_eq(tread_batches_count(batches), 3);
    ck_assert_int_eq(tread_batches_samples(batches), 96);
    tread_batch batch;
    ck_assert(!tread_batches_sample(batches, true, &batch));
    int n = 0;
    for (; tread_batches_next(batches, &batch); n++)
        ck_assert_int_eq(batch.count, 32);
    ck_assert_int_eq(n, 3);
    tread_batches_destroy(batches);
    options.batch_size = 101;
    ck_assert_ptr_null(tread_batches_create(NULL, dataset, &options));
    ck_assert_ptr_nonnull(strstr(tread_last_error(), "drop_last leaves nothing of 100 samples in batches of 101"));
    options = options_of(0);
    ck_assert_ptr_null(tread_batches_create(NULL, dataset, &options));
    ck_assert_ptr_nonnull(strstr(tread_last_error(), "batch_size = 0 is below 1"));
    ck_assert_ptr_null(tread_batches_create(NULL, NULL, NULL));
    tread_dataset_destroy(dataset);
}
END_TEST

START_TEST(going_anywhere_gives_the_same_batch) {
    tread_dataset *dataset = byte_set(100);
    tread_batches_options options = options_of(24);
    tread_batches *one = tread_batches_create(NULL, dataset, &options),
                  *other = tread_batches_create(NULL, dataset, &options);
    tread_batch expected, found;
    for (int64_t epoch = 0; epoch < 3; epoch++) {
        int64_t at_epoch, at_index;
        for (int64_t index = 0; tread_batches_next(one, &expected); index++) {
            ck_assert_ok(tread_batches_seek(other, 2, 1)); /* anywhere else first */
            ck_assert(tread_batches_next(other, &found));
            ck_assert_ok(tread_batches_seek(other, epoch, index));
            ck_assert(tread_batches_next(other, &found));
            ck_assert_mem_eq(tread_tensor_data(expected.x), tread_tensor_data(found.x),
                             (size_t)found.count * 21 * sizeof(float));
            ck_assert_mem_eq(expected.rows, found.rows, (size_t)found.count * sizeof(int32_t));
            tread_batches_position(other, &at_epoch, &at_index);
            ck_assert(at_epoch == epoch && at_index == index + 1);
        }
    }
    ck_assert_ok(tread_batches_seek(other, 1, 5)); /* the end of epoch 1: the call there ends it */
    ck_assert(!tread_batches_next(other, &found));
    ck_assert(tread_batches_next(other, &found) && found.epoch == 2 && found.index == 0);
    ck_assert_ok(tread_batches_start(other, 7));
    ck_assert(tread_batches_next(other, &found) && found.epoch == 7 && found.index == 0);
    ck_assert_fails(tread_batches_seek(other, 0, 6), TREAD_ERROR_ARGUMENT, "batch 6 is outside 0..5");
    ck_assert_fails(tread_batches_seek(other, 0, -1), TREAD_ERROR_ARGUMENT, "batch -1 is outside 0..5");
    ck_assert_fails(tread_batches_start(other, -1), TREAD_ERROR_ARGUMENT, "epoch -1 is below 0");
    ck_assert_ok(tread_batches_status(other));
    tread_batches_destroy(one);
    tread_batches_destroy(other);
    tread_dataset_destroy(dataset);
}
END_TEST

START_TEST(normalised_values_and_kept_shape) {
    tread_dataset *dataset = byte_set(50);
    tread_batches_options options = options_of(50);
    options.shuffle = false;
    options.keep_shape = true;
    ck_assert_ok(tread_dataset_normalize(dataset, 0.25, 0.5));
    tread_batches *batches = tread_batches_create(NULL, dataset, &options);
    tread_batch batch;
    ck_assert(tread_batches_next(batches, &batch));
    ck_assert_int_eq(tread_tensor_rank(batch.x), 3);
    ck_assert_int_eq(tread_tensor_dim(batch.x, 1), 3);
    ck_assert_int_eq(tread_tensor_dim(batch.x, 2), 7);
    for (int i = 0; i < 50 * 21; i++) {
        /* x = v a + b: a, the product and the sum are each rounded once, 2^-24 of at most 2 */
        double exact = (bytes[i] / 255.0 - 0.25) / 0.5;
        ck_assert_double_eq_tol(tread_tensor_float(batch.x)[i], exact, 3 * 2 * 0x1p-24);
    }
    tread_batches_destroy(batches);
    ck_assert_fails(tread_dataset_normalize(dataset, 0, 0), TREAD_ERROR_ARGUMENT,
                    "std = 0 is not a finite number above 0");
    ck_assert_fails(tread_dataset_normalize(dataset, 0, (double)NAN), TREAD_ERROR_ARGUMENT, "std = ");
    ck_assert_fails(tread_dataset_normalize(dataset, (double)INFINITY, 1), TREAD_ERROR_ARGUMENT,
                    "mean = inf is not finite");
    double mean, std;
    tread_dataset_normalization(dataset, &mean, &std);
    ck_assert(mean == 0.25 && std == 0.5);
    tread_dataset_destroy(dataset);
}
END_TEST

START_TEST(targets_and_floats) {
    static const float x[4][2] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}},
                       y[4][3] = {{0, 1, 2}, {3, 4, 5}, {6, 7, 8}, {9, 10, 11}};
    tread_dataset *dataset = tread_dataset_from_targets(4, 2, &x[0][0], 3, &y[0][0]);
    ck_assert_msg(dataset != NULL, "%s", tread_last_error());
    ck_assert_int_eq(tread_dataset_classes(dataset), 0);
    for (int normalised = 0; normalised < 2; normalised++) {
        if (normalised)
            ck_assert_ok(tread_dataset_normalize(dataset, 0.5, 0.25));
        tread_batches_options options = options_of(3);
        tread_batches *batches = tread_batches_create(NULL, dataset, &options);
        for (tread_batch batch; tread_batches_next(batches, &batch);)
            for (int64_t i = 0; i < batch.count; i++) {
                ck_assert_mem_eq(tread_tensor_float(batch.y) + i * 3, y[batch.rows[i]], sizeof y[0]);
                for (int j = 0; j < 2; j++) {
                    float expected = x[batch.rows[i]][j];
                    expected = normalised ? (expected - 0.5f) / 0.25f : expected;
                    ck_assert(tread_tensor_float(batch.x)[i * 2 + j] == expected);
                }
            }
        tread_batches_destroy(batches);
    }
    tread_dataset_destroy(dataset);
}
END_TEST

START_TEST(indices_stay_what_they_are) {
    enum { N = 11, LENGTH = 3 };
    int32_t x[N * LENGTH], y[N];
    for (int i = 0; i < N * LENGTH; i++)
        x[i] = i == 0 ? -1 : 16777217 + i; /* float32 has no such numbers */
    for (int i = 0; i < N; i++)
        y[i] = i % 2;
    tread_dataset *dataset = tread_dataset_from_indices(N, LENGTH, x, 2, y);
    ck_assert_ptr_nonnull(dataset);
    double mean = 0.5, std = 0.5;
    ck_assert_fails(tread_dataset_normalize(dataset, 0, 2), TREAD_ERROR_DTYPE, "indices");
    ck_assert_fails(tread_dataset_measure(NULL, dataset, &mean, &std), TREAD_ERROR_DTYPE, "indices");
    ck_assert(mean == 0.5 && std == 0.5);
    for (int keep_shape = 0; keep_shape < 2; keep_shape++) {
        tread_batches_options options = tread_batches_defaults();
        options.batch_size = 4;
        options.keep_shape = keep_shape == 1;
        tread_batches *batches = tread_batches_create(NULL, dataset, &options);
        int64_t seen = 0;
        tread_batch batch;
        while (tread_batches_next(batches, &batch)) {
            ck_assert_int_eq(tread_tensor_dtype(batch.x), TREAD_INT32);
            ck_assert(tread_tensor_dim(batch.x, 0) == batch.count && tread_tensor_dim(batch.x, 1) == LENGTH);
            for (int64_t i = 0; i < batch.count; i++, seen++)
                ck_assert_mem_eq((int32_t *)tread_tensor_data(batch.x) + i * LENGTH, x + batch.rows[i] * LENGTH,
                                 LENGTH * sizeof(int32_t));
        }
        ck_assert_int_eq(seen, N);
        tread_batches_destroy(batches);
    }
    tread_dataset_destroy(dataset);
}
END_TEST

START_TEST(what_a_data_set_refuses) {
    float x[6] = {0};
    int32_t y[3] = {0, 2, 1};
    ck_assert_ptr_null(tread_dataset_from_labels(3, 2, x, 2, y));
    ck_assert_ptr_nonnull(strstr(tread_last_error(), "label 2 of sample 1 is outside 0..1"));
    y[1] = -1;
    ck_assert_ptr_null(tread_dataset_from_labels(3, 2, x, 0, y));
    ck_assert_ptr_nonnull(strstr(tread_last_error(), "label -1 of sample 1"));
    ck_assert_ptr_null(tread_dataset_from_labels(3, 2, x, -4, y));
    ck_assert_ptr_null(tread_dataset_from_labels(0, 2, x, 0, y));
    ck_assert_ptr_null(tread_dataset_from_tensors(NULL, NULL, 0));
    tread_tensor *ints = tread_tensor_wrap(TREAD_INT32, 1, (int64_t[]){3}, y);
    tread_tensor *floats = tread_tensor_wrap(TREAD_FLOAT32, 2, (int64_t[]){2, 3}, x);
    tread_tensor *doubles = tread_tensor_create(TREAD_FLOAT64, 1, (int64_t[]){3});
    ck_assert_ptr_null(tread_dataset_from_tensors(doubles, NULL, 0));
    ck_assert_ptr_nonnull(strstr(tread_last_error(), "x is float64, expected float32, uint8 or int32"));
    tread_tensor_destroy(doubles);
    ck_assert_ptr_null(tread_dataset_from_tensors(floats, ints, 0));
    ck_assert_ptr_nonnull(strstr(tread_last_error(), "y is (3) for 2 samples"));
    tread_dataset *dataset = tread_dataset_from_tensors(floats, NULL, 0); /* no targets at all */
    tread_batches *batches = tread_batches_create(NULL, dataset, NULL);
    tread_batch batch;
    ck_assert(tread_batches_next(batches, &batch));
    ck_assert_ptr_null(batch.y);
    tread_batches_destroy(batches);
    tread_dataset_destroy(dataset);
    tread_tensor_destroy(ints);
    tread_tensor_destroy(floats);
}
END_TEST

/* Hash of all batches of two epochs, of 100 rows: enough for several threads. */
static uint64_t hash_epochs(int threads, const tread_dataset *dataset) {
    tread_context_options co = tread_context_defaults();
    co.threads = threads;
    tread_context *context = tread_context_create(&co);
    tread_batches_options options = options_of(100);
    tread_batches *batches = tread_batches_create(context, dataset, &options);
    uint64_t hash = 14695981039346656037u;
    for (int epoch = 0; epoch < 2; epoch++)
        for (tread_batch batch; tread_batches_next(batches, &batch);)
            for (int64_t i = 0; i < tread_tensor_count(batch.x); i++) {
                uint32_t bits;
                memcpy(&bits, tread_tensor_float(batch.x) + i, 4);
                hash = (hash ^ bits) * 1099511628211u;
            }
    tread_batches_destroy(batches);
    tread_context_destroy(context);
    return hash;
}

START_TEST(bits_do_not_depend_on_threads_or_instruction_set) {
    enum { n = 130, features = 784 };
    static uint8_t byte_values[n * features];
    static float float_values[n * features];
    for (int i = 0; i < n * features; i++) {
        byte_values[i] = (uint8_t)(i * 31 + i / 255);
        float_values[i] = (float)(i % 1013) / 7;
    }
    for (int dtype = 0; dtype < 2; dtype++) {
        tread_tensor *x = tread_tensor_wrap(dtype ? TREAD_UINT8 : TREAD_FLOAT32, 2, (int64_t[]){n, features},
                                            dtype ? (void *)byte_values : (void *)float_values);
        tread_dataset *dataset = tread_dataset_from_tensors(x, NULL, 0);
        tread_tensor_destroy(x);
        double mean, std;
        ck_assert_ok(tread_dataset_measure(NULL, dataset, &mean, &std));
        ck_assert_ok(tread_dataset_normalize(dataset, mean, std));
        uint64_t expected = hash_epochs(1, dataset);
        for (int isa = 0; isa < TREAD_ISA_COUNT; isa++) {
            tread_isa before = tread_isa_use((tread_isa)isa);
            for (int threads = 1; threads <= 8; threads = threads < 3 ? threads + 1 : threads + 5)
                ck_assert_uint_eq(hash_epochs(threads, dataset), expected);
            tread_isa_use(before);
        }
        tread_dataset_destroy(dataset);
    }
}
END_TEST

START_TEST(mean_and_deviation) {
    enum { n = 100003 };
    static float x[n];
    static uint8_t b[n];
    double sum = 0, square = 0, mean, std, first_mean = 0, first_std = 0;
    for (int i = 0; i < n; i++) {
        b[i] = (uint8_t)(i * 77 + i / 300);
        x[i] = b[i];
        sum += b[i];
        square += (double)b[i] * b[i]; /* whole numbers below 2^53: exact */
    }
    double exact_mean = sum / n, exact_std = sqrt((square - sum * sum / n) / n);
    tread_tensor *bytes_x = tread_tensor_wrap(TREAD_UINT8, 2, (int64_t[]){n, 1}, b);
    tread_dataset *of_bytes = tread_dataset_from_tensors(bytes_x, NULL, 0);
    ck_assert_ok(tread_dataset_measure(NULL, of_bytes, &mean, &std));
    /* a few roundings of double; the difference of squares loses two bits */
    ck_assert_double_eq_tol(mean, exact_mean / 255, 1e-15);
    ck_assert_double_eq_tol(std, exact_std / 255, 1e-14);
    tread_tensor *floats_x = tread_tensor_wrap(TREAD_FLOAT32, 2, (int64_t[]){n, 1}, x);
    tread_dataset *of_floats = tread_dataset_from_tensors(floats_x, NULL, 0);
    for (int threads = 1; threads <= 8; threads++) {
        tread_context_options co = tread_context_defaults();
        co.threads = threads;
        tread_context *context = tread_context_create(&co);
        ck_assert_ok(tread_dataset_measure(context, of_floats, &mean, &std));
        ck_assert_double_eq_tol(mean, exact_mean, 1e-12);
        ck_assert_double_eq_tol(std, exact_std, 1e-12); /* sums of 1e5 terms in double, each within 1e-16 */
        ck_assert(threads == 1 || (mean == first_mean && std == first_std));
        first_mean = mean;
        first_std = std;
        tread_context_destroy(context);
    }
    x[5] = NAN;
    ck_assert_fails(tread_dataset_measure(NULL, of_floats, &mean, &std), TREAD_ERROR_NUMERIC, "not all finite");
    tread_dataset_destroy(of_bytes);
    tread_dataset_destroy(of_floats);
    tread_tensor_destroy(bytes_x);
    tread_tensor_destroy(floats_x);
}
END_TEST

START_TEST(every_allocation_failing_and_none_later) {
    tread_dataset *dataset = byte_set(100);
    tread_batches_options options = options_of(24);
    uint64_t before = tread_memory_live_blocks();
    tread_batches *batches = NULL;
    for (uint64_t k = 1; batches == NULL; k++) {
        tread_memory_fail_at(k);
        batches = tread_batches_create(NULL, dataset, &options);
        ck_assert_int_eq(batches == NULL, tread_memory_failed());
        tread_memory_fail_at(0);
        ck_assert(batches != NULL || tread_memory_live_blocks() == before);
        ck_assert_uint_lt(k, 50);
    }
    uint64_t calls = tread_memory_calls();
    for (int epoch = 0; epoch < 3; epoch++)
        for (tread_batch batch; tread_batches_next(batches, &batch);)
            ;
    ck_assert_uint_eq(tread_memory_calls(), calls);
    tread_batches_destroy(batches);
    tread_dataset_destroy(dataset);
}
END_TEST

TEST_MAIN("batches", order_is_a_permutation_and_a_function_of_seed_and_epoch, every_sample_once_an_epoch,
          last_short_batch_can_be_dropped, going_anywhere_gives_the_same_batch, normalised_values_and_kept_shape,
          targets_and_floats, indices_stay_what_they_are, what_a_data_set_refuses,
          bits_do_not_depend_on_threads_or_instruction_set, mean_and_deviation, every_allocation_failing_and_none_later)
