#include <string.h>
#include <tread/data.h>

#include "core/memory.h"
#include "tests/test.h"

#define N 1000
static float x[N];
static int32_t labels[N];

/* n samples whose one feature is their number, with labels by a rule: two thirds 0, the rest 1, each 50th 2. */
static tread_dataset *numbered(int64_t n) {
    for (int i = 0; i < N; i++) {
        x[i] = (float)i;
        labels[i] = i % 50 == 0 ? 2 : i % 3 == 0;
    }
    return tread_dataset_from_labels(n, 1, x, 3, labels);
}

static uint64_t hash_rows(const tread_dataset *dataset) {
    uint64_t hash = 14695981039346656037u;
    const int32_t *rows = tread_dataset_rows(dataset);
    for (int64_t i = 0; i < tread_dataset_count(dataset); i++)
        hash = (hash ^ (uint64_t)rows[i]) * 1099511628211u;
    return hash;
}

/* Both parts ascend, and together they are every sample once. */
static void check_parts(int64_t n, const tread_dataset *train, const tread_dataset *validation) {
    bool seen[N] = {false};
    const tread_dataset *parts[] = {train, validation};
    ck_assert_int_eq(tread_dataset_count(train) + tread_dataset_count(validation), n);
    for (int part = 0; part < 2; part++) {
        const int32_t *rows = tread_dataset_rows(parts[part]);
        for (int64_t i = 0; i < tread_dataset_count(parts[part]); i++) {
            ck_assert(rows[i] >= 0 && rows[i] < n && !seen[rows[i]] && (i == 0 || rows[i] > rows[i - 1]));
            seen[rows[i]] = true;
        }
    }
}

START_TEST(parts_are_disjoint_and_whole) {
    static const double fractions[] = {0.2, 0.5, 0.001, 0.999, 0.3333};
    for (int64_t n = 2; n <= N; n = n < 12 ? n + 1 : n * 3)
        for (size_t f = 0; f < 5; f++)
            for (int stratified = 0; stratified < 2; stratified++) {
                tread_dataset *whole = numbered(n), *train, *validation;
                ck_assert_ok((stratified ? tread_dataset_split_stratified : tread_dataset_split)(whole, fractions[f], 7,
                                                                                                 &train, &validation));
                check_parts(n, train, validation);
                double exact = fractions[f] * (double)n, got = (double)tread_dataset_count(validation);
                ck_assert((got - exact <= 0.5 && exact - got <= 0.5) || got == 1 || got == (double)n - 1);
                tread_dataset_destroy(train);
                tread_dataset_destroy(validation);
                tread_dataset_destroy(whole);
            }
}
END_TEST

START_TEST(a_function_of_seed_and_count) {
    tread_dataset *whole = numbered(N), *train, *validation, *again, *again_validation;
    ck_assert_ok(tread_dataset_split(whole, 0.2, 42, &train, &validation));
    ck_assert_ok(tread_dataset_split(whole, 0.2, 42, &again, &again_validation));
    ck_assert_uint_eq(hash_rows(train), hash_rows(again));
    ck_assert_uint_eq(hash_rows(validation), hash_rows(again_validation));
    ck_assert_uint_eq(hash_rows(validation), 15958257720256959948u); /* on every machine, for ever */
    tread_dataset_destroy(again);
    tread_dataset_destroy(again_validation);
    ck_assert_ok(tread_dataset_split(whole, 0.2, 43, &again, &again_validation));
    ck_assert_uint_ne(hash_rows(train), hash_rows(again));
    tread_dataset_destroy(again);
    tread_dataset_destroy(again_validation);
    tread_dataset_destroy(train);
    tread_dataset_destroy(validation);
    tread_dataset_destroy(whole);
}
END_TEST

START_TEST(classes_keep_their_shares) {
    tread_dataset *whole = numbered(N), *train, *validation;
    ck_assert_ok(tread_dataset_split_stratified(whole, 0.25, 3, &train, &validation));
    int all[3] = {0}, part[3] = {0};
    for (int i = 0; i < N; i++)
        all[labels[i]]++;
    for (int64_t i = 0; i < tread_dataset_count(validation); i++)
        part[labels[tread_dataset_rows(validation)[i]]]++;
    for (int c = 0; c < 3; c++) {
        double exact = 0.25 * all[c];
        ck_assert_msg(part[c] > exact - 1 && part[c] < exact + 1, "class %d: %d of %d", c, part[c], all[c]);
    }
    ck_assert_int_eq(part[0] + part[1] + part[2], 250);
    /* Another order of samples than without: which of a class is the seed's matter. */
    tread_dataset_destroy(train);
    tread_dataset_destroy(validation);
    ck_assert_ok(tread_dataset_split_stratified(whole, 1 - 1e-16, 3, &train, &validation));
    ck_assert_int_eq(tread_dataset_count(train), 1);
    tread_dataset_destroy(train);
    tread_dataset_destroy(validation);
    tread_dataset_destroy(whole);
}
END_TEST

START_TEST(batches_of_a_part_are_its_samples) {
    tread_dataset *whole = numbered(N), *train, *validation, *inner, *rest;
    ck_assert_ok(tread_dataset_normalize(whole, 0, 2));
    ck_assert_ok(tread_dataset_split(whole, 0.4, 1, &train, &validation));
    ck_assert_ok(tread_dataset_split(train, 0.5, 1, &rest, &inner)); /* a part of a part */
    ck_assert_int_eq(tread_dataset_count(inner), 300);
    for (int prefetch = 0; prefetch < 2; prefetch++) {
        tread_batches_options o = tread_batches_defaults();
        o.batch_size = 70;
        o.prefetch = prefetch == 1;
        tread_batches *batches = tread_batches_create(NULL, inner, &o);
        bool seen[N] = {false};
        int64_t count = 0;
        for (tread_batch batch; tread_batches_next(batches, &batch);)
            for (int64_t i = 0; i < batch.count; i++, count++) {
                int32_t number = tread_dataset_rows(inner)[batch.rows[i]];
                ck_assert_float_eq(tread_tensor_float(batch.x)[i], (float)number / 2);
                ck_assert_int_eq(((int32_t *)tread_tensor_data(batch.y))[i], labels[number]);
                ck_assert(!seen[number]);
                seen[number] = true;
            }
        ck_assert_int_eq(count, 300);
        tread_batches_destroy(batches);
    }
    double mean, std, expected = 0;
    for (int64_t i = 0; i < 300; i++)
        expected += tread_dataset_rows(inner)[i];
    ck_assert_ok(tread_dataset_measure(NULL, inner, &mean, &std));
    ck_assert_double_eq(mean, expected / 300); /* whole numbers: exact */
    tread_dataset_destroy(inner);
    tread_dataset_destroy(rest);
    tread_dataset_destroy(train);
    tread_dataset_destroy(validation);
    tread_dataset_destroy(whole);
}
END_TEST

START_TEST(subsets) {
    tread_dataset *whole = numbered(10);
    const int32_t rows[] = {3, 3, 9, 0};
    tread_dataset *part = tread_dataset_subset(whole, rows, 4),
                  *inner = tread_dataset_subset(part, (int32_t[]){2, 0}, 2);
    ck_assert_int_eq(tread_dataset_count(part), 4);
    ck_assert_int_eq(tread_dataset_classes(part), 3);
    ck_assert_mem_eq(tread_dataset_rows(inner), ((int32_t[]){9, 3}), 8);
    ck_assert_ptr_null(tread_dataset_rows(whole));
    ck_assert_ptr_eq(tread_tensor_data(tread_dataset_x(inner)), x);
    tread_dataset_destroy(inner);
    tread_dataset_destroy(part);
    const struct {
        const tread_dataset *dataset;
        const int32_t *rows;
        int64_t n;
        const char *sentence;
    } refused[] = {{NULL, rows, 4, "the data set is NULL"},
                   {whole, NULL, 4, "the list of rows is NULL"},
                   {whole, rows, 0, "n = 0 is outside 1..2147483647"},
                   {whole, rows, (int64_t)INT32_MAX + 1, "n = 2147483648"},
                   {whole, (int32_t[]){1, 10}, 2, "row 10, number 1 of the list, is outside 0..9"},
                   {whole, (int32_t[]){-1}, 1, "row -1, number 0"}};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        ck_assert_ptr_null(tread_dataset_subset(refused[i].dataset, refused[i].rows, refused[i].n));
        ck_assert_ptr_nonnull(strstr(tread_last_error(), refused[i].sentence));
    }
    tread_dataset_destroy(whole);
}
END_TEST

START_TEST(what_is_refused) {
    tread_dataset *whole = numbered(10), *one = numbered(1), *train = NULL, *validation = NULL;
    tread_dataset *targets = tread_dataset_from_targets(10, 1, x, 1, x);
    static const double fractions[] = {0, 1, -0.5, 1.5, 0.0 / 0.0};
    for (size_t i = 0; i < 5; i++)
        ck_assert_fails(tread_dataset_split(whole, fractions[i], 1, &train, &validation), TREAD_ERROR_ARGUMENT,
                        "is not between 0 and 1");
    ck_assert_fails(tread_dataset_split(one, 0.5, 1, &train, &validation), TREAD_ERROR_ARGUMENT,
                    "one sample cannot be split");
    ck_assert_fails(tread_dataset_split(NULL, 0.5, 1, &train, &validation), TREAD_ERROR_ARGUMENT,
                    "the dataset is NULL");
    ck_assert_fails(tread_dataset_split_stratified(targets, 0.5, 1, &train, &validation), TREAD_ERROR_ARGUMENT,
                    "needs class labels");
    uint64_t before = tread_memory_live_blocks(), k = 1;
    for (bool failed = true; failed; k++) {
        tread_memory_fail_at(k);
        tread_status status = tread_dataset_split_stratified(whole, 0.3, 1, &train, &validation);
        failed = tread_memory_failed();
        tread_memory_fail_at(0);
        ck_assert_int_eq(status, failed ? TREAD_ERROR_MEMORY : TREAD_OK);
        ck_assert(!failed || (tread_memory_live_blocks() == before && train == NULL && validation == NULL));
    }
    ck_assert_uint_gt(k, 8);
    tread_dataset_destroy(train);
    tread_dataset_destroy(validation);
    tread_dataset_destroy(targets);
    tread_dataset_destroy(whole);
    tread_dataset_destroy(one);
}
END_TEST

TEST_MAIN("split", parts_are_disjoint_and_whole, a_function_of_seed_and_count, classes_keep_their_shares,
          batches_of_a_part_are_its_samples, subsets, what_is_refused)
