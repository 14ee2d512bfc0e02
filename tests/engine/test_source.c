#include <string.h>
#include <tread/models.h>
#include <tread/trainer.h>

#include "core/memory.h"
#include "tests/test.h"

/* A source of n samples (2, 3) of bytes with labels i mod 5, or of floats with two targets, that also counts its calls
 * and can fail. */
typedef struct world {
    int calls;
    int fail_at;     /* call that fails; 0: none */
    int32_t bad_row; /* its label is out of range; -1: none */
    tread_dtype dtype;
    bool targets;
} world;

static tread_status read_rows(void *data, const int32_t *rows, int64_t n, void *ret_x, void *ret_y) {
    world *w = data;
    if (++w->calls == w->fail_at)
        return tread_fail(TREAD_ERROR_IO, "disk of row %d is on fire", rows[0]);
    for (int64_t i = 0; i < n; i++) {
        for (int j = 0; j < 6; j++) {
            int value = (rows[i] * 6 + j) % 256;
            if (w->dtype == TREAD_UINT8)
                ((uint8_t *)ret_x)[i * 6 + j] = (uint8_t)value;
            else if (w->dtype == TREAD_INT32)
                ((int32_t *)ret_x)[i * 6 + j] = value;
            else
                ((float *)ret_x)[i * 6 + j] = (float)value;
        }
        if (w->targets) {
            ((float *)ret_y)[2 * i] = (float)rows[i];
            ((float *)ret_y)[2 * i + 1] = (float)-rows[i];
        } else if (ret_y != NULL) {
            ((int32_t *)ret_y)[i] = rows[i] == w->bad_row ? 5 : rows[i] % 5;
        }
    }
    return TREAD_OK;
}

static tread_source source_of(world *w, int64_t count) {
    tread_source source = tread_source_defaults();
    source.count = count;
    source.x_dtype = w->dtype;
    source.x_rank = 2;
    source.x_shape[0] = 2;
    source.x_shape[1] = 3;
    source.classes = w->targets ? 0 : 5;
    source.y_rank = w->targets ? 1 : 0;
    source.y_shape[0] = 2;
    source.read = read_rows;
    source.data = w;
    return source;
}

/* The same samples in memory. */
static uint8_t bytes[1000 * 6];
static float floats[1000 * 6];
static int32_t ints[1000 * 6], labels[1000];
static float targets[2000];

static tread_dataset *in_memory(const world *w, int64_t n) {
    for (int i = 0; i < 6000; i++)
        floats[i] = (float)(ints[i] = bytes[i] = (uint8_t)i);
    for (int i = 0; i < 1000; i++) {
        labels[i] = i % 5;
        targets[2 * i] = (float)i;
        targets[2 * i + 1] = (float)-i;
    }
    void *const data[] = {[TREAD_FLOAT32] = floats, [TREAD_INT32] = ints, [TREAD_UINT8] = bytes};
    tread_tensor *x = tread_tensor_wrap(w->dtype, 3, (int64_t[]){n, 2, 3}, data[w->dtype]);
    tread_tensor *y = w->targets ? tread_tensor_wrap(TREAD_FLOAT32, 2, (int64_t[]){n, 2}, targets)
                                 : tread_tensor_wrap(TREAD_INT32, 1, &n, labels);
    tread_dataset *dataset = tread_dataset_from_tensors(x, y, w->targets ? 0 : 5);
    ck_assert_msg(dataset != NULL, "%s", tread_last_error());
    tread_tensor_destroy(x);
    tread_tensor_destroy(y);
    return dataset;
}

static void same_batch(const tread_batch *a, const tread_batch *b) {
    size_t size = 4 * (size_t)tread_tensor_count(a->x);
    ck_assert(a->count == b->count && a->index == b->index && a->epoch == b->epoch);
    ck_assert_mem_eq(a->rows, b->rows, (size_t)a->count * sizeof *a->rows);
    ck_assert_int_eq(tread_tensor_rank(a->x), tread_tensor_rank(b->x));
    ck_assert_mem_eq(tread_tensor_data(a->x), tread_tensor_data(b->x), size);
    ck_assert_mem_eq(tread_tensor_data(a->y), tread_tensor_data(b->y), 4 * (size_t)tread_tensor_count(a->y));
}

START_TEST(gives_what_a_set_in_memory_gives) {
    for (int kind = 0; kind < 6; kind++) {
        const tread_dtype dtypes[] = {TREAD_FLOAT32, TREAD_UINT8, TREAD_INT32};
        world w = {.dtype = dtypes[kind % 3], .targets = kind >= 3, .bad_row = -1};
        tread_source source = source_of(&w, 100);
        tread_dataset *from_source = tread_dataset_from_source(&source), *memory = in_memory(&w, 100);
        ck_assert_msg(from_source != NULL, "%s", tread_last_error());
        ck_assert_int_eq(tread_dataset_features(from_source), 6);
        ck_assert_int_eq(tread_dataset_targets(from_source), w.targets ? 2 : 0);
        ck_assert_ptr_null(tread_dataset_x(from_source));
        if (w.dtype != TREAD_INT32) {
            double mean, std, mean2, std2;
            ck_assert_ok(tread_dataset_measure(NULL, memory, &mean, &std));
            ck_assert_ok(tread_dataset_measure(NULL, from_source, &mean2, &std2));
            /* sums of 600 whole numbers, exact; the deviation's way is another one */
            ck_assert(mean == mean2);
            ck_assert_double_eq_tol(std, std2, 1e-13);
            ck_assert_ok(tread_dataset_normalize(memory, mean, std));
            ck_assert_ok(tread_dataset_normalize_like(from_source, memory));
        }
        for (int keep = 0; keep < 2; keep++) {
            tread_batches_options o = tread_batches_defaults();
            o.batch_size = 24;
            o.seed = 5;
            o.keep_shape = keep == 1;
            tread_batches *a = tread_batches_create(NULL, memory, &o), *b = tread_batches_create(NULL, from_source, &o);
            tread_batch x, y;
            ck_assert_ok(tread_batches_seek(a, 3, 2));
            ck_assert_ok(tread_batches_seek(b, 3, 2));
            for (int i = 0; i < 8; i++) {
                bool more = tread_batches_next(a, &x);
                ck_assert(more == tread_batches_next(b, &y));
                ck_assert_ok(tread_batches_status(b));
                if (more)
                    same_batch(&x, &y);
            }
            tread_batches_destroy(a);
            tread_batches_destroy(b);
        }
        tread_dataset_destroy(from_source);
        tread_dataset_destroy(memory);
    }
}
END_TEST

START_TEST(a_failing_read_is_the_batch_s_failure) {
    for (int prefetch = 0; prefetch < 2; prefetch++) {
        world w = {.dtype = TREAD_FLOAT32, .fail_at = 3, .bad_row = -1};
        tread_source source = source_of(&w, 100);
        tread_dataset *dataset = tread_dataset_from_source(&source);
        tread_batches_options o = tread_batches_defaults();
        o.batch_size = 10;
        o.shuffle = false;
        o.prefetch = prefetch == 1;
        tread_batches *batches = tread_batches_create(NULL, dataset, &o);
        tread_batch batch;
        ck_assert(tread_batches_next(batches, &batch) && tread_batches_next(batches, &batch));
        ck_assert(!tread_batches_next(batches, &batch));
        ck_assert_int_eq(tread_batches_status(batches), TREAD_ERROR_IO);
        ck_assert_str_eq(tread_last_error(), "disk of row 20 is on fire");
        int64_t epoch, index;
        tread_batches_position(batches, &epoch, &index);
        ck_assert(epoch == 0 && index == 2);
        ck_assert(tread_batches_next(batches, &batch)); /* again, and it goes well */
        ck_assert_ok(tread_batches_status(batches));
        ck_assert(batch.index == 2 && batch.rows[0] == 20);
        tread_batches_destroy(batches);
        w.bad_row = 55;
        w.fail_at = 0;
        batches = tread_batches_create(NULL, dataset, &o);
        int good = 0;
        while (tread_batches_next(batches, &batch))
            good++;
        ck_assert_int_eq(good, 5);
        ck_assert_int_eq(tread_batches_status(batches), TREAD_ERROR_ARGUMENT);
        ck_assert_str_eq(tread_last_error(), "data source: label 5 of sample 55 is outside 0..4");
        tread_batches_destroy(batches);
        tread_dataset_destroy(dataset);
    }
}
END_TEST

/* A run on a source ends with the source's failure, wherever it happens, and is the run on the same set in memory
 * where it does not. */
START_TEST(a_trainer_hands_the_failure_on) {
    for (int fail_at = 1; fail_at <= 12; fail_at++) {
        world w = {.dtype = TREAD_FLOAT32, .fail_at = fail_at, .bad_row = -1};
        tread_source source = source_of(&w, 50);
        tread_dataset *dataset = tread_dataset_from_source(&source);
        tread_batches_options o = tread_batches_defaults();
        o.batch_size = 20;
        tread_batches *batches = tread_batches_create(NULL, dataset, &o);
        tread_mlp_options mo = tread_mlp_defaults();
        mo.n_inputs = 6;
        mo.n_outputs = 5;
        tread_module *model = tread_mlp(NULL, &mo);
        tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, tread_module_parameters(model), "sgd:lr=1e-6");
        tread_trainer_options to = tread_trainer_defaults();
        to.model = model;
        to.optimizer = optimizer;
        to.train = batches;
        to.epochs = 2;
        tread_trainer *trainer = tread_trainer_create(NULL, &to);
        tread_status status = tread_trainer_run(trainer);
        /* two samples to plan with, and six batches */
        ck_assert_int_eq(status, fail_at <= 8 ? TREAD_ERROR_IO : TREAD_OK);
        if (status != TREAD_OK) {
            ck_assert_ptr_nonnull(strstr(tread_last_error(), "is on fire"));
            ck_assert_ok(tread_trainer_run(trainer));
        }
        ck_assert_int_eq(tread_trainer_result(trainer)->steps, 6);
        tread_trainer_destroy(trainer);
        tread_optimizer_destroy(optimizer);
        tread_module_destroy(model);
        tread_batches_destroy(batches);
        tread_dataset_destroy(dataset);
    }
}
END_TEST

static void refuse(const tread_source *source, const char *part) {
    ck_assert_ptr_null(tread_dataset_from_source(source));
    ck_assert_msg(strstr(tread_last_error(), part) != NULL, "\"%s\" lacks \"%s\"", tread_last_error(), part);
}

START_TEST(what_is_refused) {
    world w = {.dtype = TREAD_FLOAT32};
    tread_source good = source_of(&w, 10), source = good;
    refuse(NULL, "it is NULL");
    source.read = NULL, refuse(&source, "read is NULL"), source = good;
    source.count = 0, refuse(&source, "count = 0 is outside 1..2147483647"), source = good;
    source.count = (int64_t)INT32_MAX + 1, refuse(&source, "count = 2147483648"), source = good;
    source.x_dtype = TREAD_FLOAT64, refuse(&source, "x_dtype is float64"), source = good;
    source.x_rank = 0, refuse(&source, "x_rank = 0 is outside 1..5"), source = good;
    source.x_rank = 6, refuse(&source, "x_rank = 6"), source = good;
    source.x_shape[1] = 0, refuse(&source, "x_shape = (2, 0)"), source = good;
    source.x_shape[0] = source.x_shape[1] = INT64_MAX, refuse(&source, "is not of 1 to"), source = good;
    source.classes = -1, refuse(&source, "classes = -1 is below 0"), source = good;
    source.y_rank = 1, refuse(&source, "there are classes, and y_rank = 1"), source = good;
    source.classes = 0, source.y_rank = 6, refuse(&source, "y_rank = 6"), source = good;
    source.size = 1, refuse(&source, "options.size is 1");
    tread_memory_fail_at(1);
    refuse(&good, "out of memory");
    tread_memory_fail_at(0);
}
END_TEST

/* The plain arrays of the caller. */
START_TEST(raw_arrays) {
    tread_dataset_destroy(in_memory(&(world){.dtype = TREAD_UINT8}, 10)); /* fills the arrays */
    tread_dataset *dataset = tread_dataset_from_bytes(10, 6, bytes, 5, labels);
    ck_assert_msg(dataset != NULL, "%s", tread_last_error());
    tread_batches_options o = tread_batches_defaults();
    o.batch_size = 10;
    o.shuffle = false;
    tread_batches *batches = tread_batches_create(NULL, dataset, &o);
    tread_batch batch;
    ck_assert(tread_batches_next(batches, &batch));
    for (int i = 0; i < 60; i++)
        ck_assert_float_eq_tol(tread_tensor_float(batch.x)[i], (float)i / 255, 1e-7f); /* one product, rounded */
    tread_batches_destroy(batches);
    tread_dataset_destroy(dataset);
}
END_TEST

TEST_MAIN("source", gives_what_a_set_in_memory_gives, a_failing_read_is_the_batch_s_failure,
          a_trainer_hands_the_failure_on, what_is_refused, raw_arrays)
