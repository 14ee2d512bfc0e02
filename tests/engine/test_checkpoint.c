/* Checkpoints: what comes back is what was saved, to the bit; what another reader finds in the file; what is refused.
 */
#include <float.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <tread/checkpoint.h>
#include <tread/state_diff.h>
#include <tread/weights.h>
#include <xxhash.h>

#include "core/memory.h"
#include "core/tensor.h"
#include "tests/engine/files.h"
#include "tests/engine/forge.h"
#include "tests/engine/independent_reader.h"
#include "tests/optim/helpers.h"

static void add_counted(tread_state *tree, const char *name, tread_dtype dtype, int rank, const int64_t *shape) {
    tread_tensor *x = tread_tensor_create(dtype, rank, shape);
    uint8_t *bytes = tread_tensor_data(x);
    for (size_t i = 0; i < tread_tensor_bytes(x); i++)
        bytes[i] = (uint8_t)(i * 37 + rank);
    ck_assert_ok(tread_state_add_tensor(tree, name, x));
}

static const double reals[] = {0.0,
                               -0.0,
                               1,
                               -1.5,
                               0.1,
                               1.0 / 3,
                               DBL_MAX,
                               -DBL_MAX,
                               DBL_MIN,
                               0x1p-1074,
                               -0x1.8p-1060,
                               0x1p53,
                               0x1.fffffffffffffp-1,
                               1e22,
                               1e23,
                               5e-324};
static const int64_t integers[] = {0, 1, -1, INT64_MAX, INT64_MIN, (INT64_C(1) << 53) + 1};

/* Every kind, every type of tensor, awkward names and values. */
static tread_state *make_state(void) {
    tread_state *root = tread_state_create(), *model = tread_state_add_tree(root, "model");
    add_counted(model, "0.weight", TREAD_FLOAT32, 2, (int64_t[]){3, 5});
    add_counted(model, "0.bias", TREAD_FLOAT32, 1, (int64_t[]){3});
    tread_state *deep = tread_state_add_tree(root, "deep"), *list = tread_state_add_list(deep, "list");
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++)
        ck_assert_ok(tread_state_add_real(list, NULL, reals[i]));
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++)
        ck_assert_ok(tread_state_add_integer(list, NULL, integers[i]));
    ck_assert_ok(tread_state_add_string(list, NULL, ""));
    ck_assert_ok(tread_state_add_string(list, NULL,
                                        "a \"quote\", a \\, a line\nand a tab\t, \x01\x7f, \xe2\x82\xac, "
                                        "\xf0\x9f\x8c\xb1"));
    add_counted(list, NULL, TREAD_UINT8, 1, (int64_t[]){7});
    tread_state_add_tree(list, NULL);
    tread_state_add_list(list, NULL);
    add_counted(deep, "double", TREAD_FLOAT64, 3, (int64_t[]){2, 1, 2});
    add_counted(deep, "int", TREAD_INT32, 0, NULL);
    add_counted(deep, "empty", TREAD_FLOAT64, 2, (int64_t[]){0, 4});
    add_counted(deep, "a.b", TREAD_UINT8, 1, (int64_t[]){1}); /* three tensors whose plain name is deep.a.b */
    tread_state *a = tread_state_add_tree(deep, "a");
    add_counted(a, "b", TREAD_UINT8, 1, (int64_t[]){2});
    add_counted(root, "deep.a.b", TREAD_UINT8, 1, (int64_t[]){3});
    add_counted(root, "__metadata__", TREAD_UINT8, 1, (int64_t[]){4});
    ck_assert_ok(tread_state_add_string(root, "tread_header_hash", "{\"__metadata__\":{\"tread_header_hash\":\""));
    ck_assert_ok(tread_state_add_integer(root, "\xc3\xa4 $HASH \"", 3));
    return root;
}

static bool print(void *data, const tread_difference *d) {
    (void)data;
    fprintf(stderr, "%s: %s\n", d->path, d->text);
    return true;
}

static void check_same(const tread_state *a, const tread_state *b) {
    size_t n = 99;
    ck_assert_ok(tread_state_diff(a, b, print, NULL, &n));
    ck_assert_uint_eq(n, 0);
}

/* By the readers of state.h alone, bits by memcmp. */
static void check_values(const tread_state *state) {
    const tread_state *list = tread_state_find(tread_state_find(state, "deep"), "list");
    size_t n = sizeof reals / sizeof *reals;
    for (size_t i = 0; i < n; i++) {
        double value = 7;
        ck_assert_int_eq(tread_state_kind_of(tread_state_at(list, i)), TREAD_STATE_REAL);
        ck_assert_ok(tread_state_as_real(tread_state_at(list, i), &value));
        ck_assert_msg(memcmp(&value, &reals[i], sizeof value) == 0, "%a is not %a", value, reals[i]);
    }
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++) {
        int64_t value = 7;
        ck_assert_ok(tread_state_as_integer(tread_state_at(list, n + i), &value));
        ck_assert_int_eq(value, integers[i]);
    }
}

START_TEST(round_trip) {
    test_folder_create();
    uint64_t live = tread_memory_live_blocks();
    tread_state *saved = make_state(), *loaded = NULL;
    ck_assert_ok(tread_checkpoint_save(test_path("c"), saved));
    ck_assert_ok(tread_checkpoint_load(test_path("c"), &loaded));
    check_same(saved, loaded);
    check_values(loaded);
    ck_assert_str_eq(tread_state_name(tread_state_at(loaded, 1)), "deep"); /* the order stays */
    size_t n, n_again;
    uint8_t *bytes = test_read(test_path("c"), &n);
    ck_assert_ok(tread_checkpoint_save(test_path("d"), loaded));
    uint8_t *again = test_read(test_path("d"), &n_again);
    ck_assert_uint_eq(n, n_again);
    ck_assert_mem_eq(bytes, again, n);
    free(bytes);
    free(again);
    tread_state_destroy(saved);
    tread_state_destroy(loaded);
    saved = tread_state_create(); /* nothing at all */
    ck_assert_ok(tread_checkpoint_save(test_path("c"), saved));
    ck_assert_ok(tread_checkpoint_load(test_path("c"), &loaded));
    ck_assert_uint_eq(tread_state_count(loaded), 0);
    tread_state_destroy(saved);
    tread_state_destroy(loaded);
    ck_assert_uint_eq(tread_memory_live_blocks(), live);
    test_folder_remove();
}
END_TEST

static void check_hash(const void *data, size_t n, const char *expected) {
    XXH128_hash_t hash = XXH3_128bits(data, n);
    char text[33];
    snprintf(text, sizeof text, "%016" PRIx64 "%016" PRIx64, (uint64_t)hash.high64, (uint64_t)hash.low64);
    ck_assert_str_eq(text, expected);
}

/* The hash of the header and of every tensor, by what checkpoint.h says of them. */
static void check_hashes(independent_file *file) {
    uint8_t *bytes = malloc(8 + file->header);
    memcpy(bytes, file->bytes, 8 + file->header);
    ck_assert_mem_eq(bytes + 46, file->hash, 32);
    memset(bytes + 46, '0', 32);
    check_hash(bytes, 8 + file->header, file->hash);
    free(bytes);
    for (size_t i = 0; i < file->n_tensors; i++) {
        char key[300], hash[33];
        snprintf(key, sizeof key, "\"%s\":\"", file->tensors[i].name);
        const char *at = strstr(strstr(file->tread, "\"tensor_hashes\""), key);
        ck_assert_msg(at != NULL, "%s", key);
        snprintf(hash, sizeof hash, "%s", at + strlen(key));
        check_hash(file->tensors[i].data, file->tensors[i].bytes, hash);
    }
}

START_TEST(another_reader_finds_all) {
    static const struct {
        const char *name, *dtype;
        size_t bytes;
    } expected[] = {{"deep.double", "F64", 32},  {"deep.empty", "F64", 0}, {"model.0.weight", "F32", 60},
                    {"model.0.bias", "F32", 12}, {"deep.int", "I32", 4},   {"deep.list.24", "U8", 7},
                    {"deep.a.b", "U8", 1},       {"deep.a.b~2", "U8", 2},  {"deep.a.b~3", "U8", 3},
                    {"__metadata__~2", "U8", 4}};
    test_folder_create();
    tread_state *state = make_state();
    ck_assert_ok(tread_checkpoint_save(test_path("c"), state));
    independent_file file;
    independent_open(&file, test_path("c"));
    ck_assert_uint_eq(file.n_tensors, 10);
    size_t offset = 8 + file.header;
    for (size_t i = 0; i < 10; i++) { /* in this order, one behind the other, each aligned */
        ck_assert_str_eq(file.tensors[i].name, expected[i].name);
        ck_assert_str_eq(file.tensors[i].dtype, expected[i].dtype);
        ck_assert_uint_eq(file.tensors[i].bytes, expected[i].bytes);
        ck_assert_uint_eq((size_t)(file.tensors[i].data - file.bytes), offset);
        offset += expected[i].bytes;
    }
    ck_assert_uint_eq(offset, file.n);
    const independent_tensor *weight = independent_find(&file, "model.0.weight");
    ck_assert(weight->rank == 2 && weight->shape[0] == 3 && weight->shape[1] == 5);
    for (size_t i = 0; i < weight->bytes; i++)
        ck_assert_uint_eq(weight->data[i], (uint8_t)(i * 37 + 2));
    check_hashes(&file);
    ck_assert_str_eq(independent_value(file.tread, "format_version"), "1");
    ck_assert_str_eq(independent_value(file.tread, "state.deep.list.1"), "-0.0");
    ck_assert_str_eq(independent_value(file.tread, "state.deep.list.19"), "9223372036854775807");
    ck_assert_str_eq(independent_value(file.tread, "state.deep.double"), "null");
    ck_assert(strtod(independent_value(file.tread, "state.deep.list.5"), NULL) == 1.0 / 3);
    independent_close(&file);
    tread_state_destroy(state);
    test_folder_remove();
}
END_TEST

/* Weights written here read there, and what another program would write reads here. */
START_TEST(weights_pass_between_programs) {
    test_folder_create();
    params p = params_make(3, (const int64_t[]){3, 1, 40}), q = params_make(3, (const int64_t[]){3, 1, 40});
    ck_assert_ok(tread_weights_save(params_list(&p), test_path("w")));
    independent_file file;
    independent_open(&file, test_path("w"));
    ck_assert_uint_eq(file.n_tensors, 3);
    ck_assert_mem_eq(independent_find(&file, "p2")->data, param_data(&p, 2), 160);
    check_hashes(&file);
    independent_close(&file);
    float values[44];
    for (int i = 0; i < 44; i++)
        values[i] = (float)i;
    forge_plain(
        test_path("w"),
        " {\"p2\" : {\"shape\":[40], \"dtype\":\"F32\",\"data_offsets\":[4,164]},\n"
        "\"p0\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[164,176]}, \"__metadata__\":{\"format\":\"pt\"},"
        "\"p1\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}  " +
            1,
        values, sizeof values);
    ck_assert_ok(tread_weights_load(params_list(&q), test_path("w"), NULL));
    ck_assert_mem_eq(param_data(&q, 2), values + 1, 160);
    ck_assert_mem_eq(param_data(&q, 0), values + 41, 12);
    tread_state *none = NULL;
    ck_assert_fails(tread_checkpoint_load(test_path("w"), &none), TREAD_ERROR_FORMAT, "of another program");
    ck_assert_ok(tread_weights_save(params_list(&p), test_path("w")));
    ck_assert_fails(tread_checkpoint_load(test_path("w"), &none), TREAD_ERROR_FORMAT, "weights alone");
    ck_assert_ptr_null(none);
    params_destroy(&p);
    params_destroy(&q);
    test_folder_remove();
}
END_TEST

START_TEST(weights_load_from_a_checkpoint) {
    test_folder_create();
    params p = params_make(2, (const int64_t[]){3, 40}), q = params_make(2, (const int64_t[]){3, 40});
    tread_run_parts parts = tread_run_parts_defaults();
    parts.parameters = params_list(&p);
    parts.optimizer = tread_optimizer_from_spec(NULL, params_list(&p), "adam");
    params_set_grads(&p, 1, 0);
    ck_assert_ok(tread_optimizer_step(parts.optimizer, NULL));
    tread_state *state = tread_run_state(&parts);
    ck_assert_ok(tread_checkpoint_save(test_path("c"), state));
    tread_weights_report report;
    ck_assert_ok(tread_weights_load(params_list(&q), test_path("c"), &report));
    ck_assert(params_equal(&p, &q));
    ck_assert_uint_eq(report.n_tensors, 2);
    ck_assert_int_eq(report.n_values, 43);
    ck_assert_fails(tread_weights_load(params_part(&q, 0, 1), test_path("c"), NULL), TREAD_ERROR_SHAPE,
                    "c does not fit the model: model.p1 of the file is not in the model");
    tread_state_destroy(state);
    tread_optimizer_destroy(parts.optimizer);
    params_destroy(&p);
    params_destroy(&q);
    test_folder_remove();
}
END_TEST

START_TEST(what_cannot_be_saved) {
    test_folder_create();
    tread_state *state = tread_state_create();
    ck_assert_ok(tread_state_add_string(state, "s", "\xff"));
    ck_assert_fails(tread_checkpoint_save(test_path("c"), state), TREAD_ERROR_ARGUMENT, "the string 's' is not UTF-8");
    tread_state_destroy(state);
    const char *bad[] = {"\x80",         "\xc0\xaf",         "\xc3", "\xe0\x80\x80",
                         "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf5", "a\xe2\x82"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        state = tread_state_create();
        ck_assert_ok(tread_state_add_integer(state, bad[i], 1));
        ck_assert_fails(tread_checkpoint_save(test_path("c"), state), TREAD_ERROR_ARGUMENT,
                        "the name of part 0 of '' is not UTF-8");
        tread_state_destroy(state);
    }
    state = tread_state_create();
    tread_state *at = state, *loaded;
    for (int i = 1; i < TREAD_CHECKPOINT_MAX_DEPTH; i++)
        at = i % 2 ? tread_state_add_list(at, "t") : tread_state_add_tree(at, NULL);
    ck_assert_ok(tread_checkpoint_save(test_path("c"), state));
    ck_assert_ok(tread_checkpoint_load(test_path("c"), &loaded));
    check_same(state, loaded);
    tread_state_destroy(loaded);
    tread_state_add_tree(at, NULL);
    ck_assert_fails(tread_checkpoint_save(test_path("c"), state), TREAD_ERROR_ARGUMENT,
                    "deeper than 64 trees and lists");
    ck_assert_fails(tread_checkpoint_save(test_path("c"), tread_state_at(state, 0)), TREAD_ERROR_ARGUMENT,
                    "no tree, but of kind list");
    ck_assert_fails(tread_checkpoint_save(test_path("c"), NULL), TREAD_ERROR_ARGUMENT, "NULL");
    ck_assert_fails(tread_checkpoint_save(NULL, state), TREAD_ERROR_ARGUMENT, "NULL");
    ck_assert_fails(tread_checkpoint_load(test_path("c"), NULL), TREAD_ERROR_ARGUMENT, "NULL");
    ck_assert_fails(tread_checkpoint_save(test_path("no/c"), tread_state_at(tread_state_at(state, 0), 0)),
                    TREAD_ERROR_IO, "No such file");
    tread_state_destroy(state);
    test_folder_remove();
}
END_TEST

/* ---- Memory that cannot be had ---- */

static void *save(void *state) { return tread_checkpoint_save(test_path("c"), state) == TREAD_OK ? state : NULL; }
static void *load(void *data) {
    tread_state *state = NULL;
    (void)data;
    return tread_checkpoint_load(test_path("c"), &state) == TREAD_OK ? state : NULL;
}
static void keep(void *data, void *made) {
    (void)data;
    (void)made;
}
static void drop(void *data, void *made) {
    (void)data;
    tread_state_destroy(made);
}

/* jansson's memory is not the library's. Its parser (2.14) has a buffer for the word it reads, of 32, 64, ... bytes,
 * and where that cannot grow it goes on with a character less, or ends the process: such sizes do not fail here. */
static long jansson_countdown, jansson_live;
static bool jansson_reads;
static void *jansson_alloc(size_t size) {
    bool word = jansson_reads && size >= 32 && (size & (size - 1)) == 0;
    if (jansson_countdown > 0 && !word && --jansson_countdown == 0)
        return NULL;
    jansson_live++;
    return malloc(size);
}
static void jansson_free(void *block) {
    jansson_live -= block != NULL;
    free(block);
}

static void fail_every_json(void *(*make)(void *), void (*unmake)(void *, void *), void *data) {
    for (long k = 1;; k++) {
        uint64_t live = tread_memory_live_blocks();
        long before = jansson_live;
        jansson_countdown = k;
        void *made = make(data);
        bool failed = jansson_countdown == 0;
        jansson_countdown = 0;
        ck_assert_msg((made == NULL) == failed, "allocation %ld: %s", k, tread_last_error());
        if (!failed) {
            unmake(data, made);
            ck_assert_int_gt(k, 50);
            return;
        }
        /* jansson calls it a mistake in the text where there was no memory for a string. */
        ck_assert_msg(strstr(tread_last_error(), "out of memory") != NULL ||
                          strstr(tread_last_error(), "is not JSON") != NULL,
                      "%s", tread_last_error());
        ck_assert_int_eq(jansson_live, before);
        ck_assert_uint_eq(tread_memory_live_blocks(), live);
    }
}

START_TEST(every_allocation_failing) {
    test_folder_create();
    tread_state *state = make_state();
    fail_every_allocation(save, keep, state);
    fail_every_allocation(load, drop, NULL);
    json_malloc_t malloc_before;
    json_free_t free_before;
    json_get_alloc_funcs(&malloc_before, &free_before);
    json_set_alloc_funcs(jansson_alloc, jansson_free);
    fail_every_json(save, keep, state);
    jansson_reads = true;
    fail_every_json(load, drop, NULL);
    ck_assert_int_eq(jansson_live, 0);
    json_set_alloc_funcs(malloc_before, free_before);
    tread_state_destroy(state);
    test_folder_remove();
}
END_TEST

TEST_MAIN("checkpoint", round_trip, another_reader_finds_all, weights_pass_between_programs,
          weights_load_from_a_checkpoint, what_cannot_be_saved, every_allocation_failing)
