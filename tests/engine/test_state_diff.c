/* Differences of two states, and of two files: each is named, by place, kind and sentence. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <tread/checkpoint.h>
#include <tread/state_diff.h>

#include "core/memory.h"
#include "core/tensor.h"
#include "tests/engine/files.h"
#include "tests/engine/forge.h"
#include "tests/optim/helpers.h"

typedef struct found {
    char text[4000];
    size_t n, limit;
    tread_difference_kind kinds[32];
    int64_t first[32], n_differ[32];
} found;

static bool gather(void *data, const tread_difference *d) {
    found *all = data;
    size_t length = strlen(all->text);
    snprintf(all->text + length, sizeof all->text - length, "%s: %s\n", d->path, d->text);
    all->kinds[all->n] = d->kind;
    all->first[all->n] = d->first;
    all->n_differ[all->n++] = d->n_differ;
    return all->limit == 0 || all->n < all->limit;
}

static found diff(const tread_state *a, const tread_state *b) {
    found all = {.n = 0};
    size_t n = 77;
    ck_assert_ok(tread_state_diff(a, b, gather, &all, &n));
    ck_assert_uint_eq(n, all.n);
    return all;
}

static tread_tensor *tensor(tread_dtype dtype, int rank, const int64_t *shape, double value) {
    tread_tensor *x = tread_tensor_create(dtype, rank, shape);
    ck_assert_ok(tread_tensor_fill(x, value));
    return x;
}

static tread_state *first_state(void) {
    tread_state *root = tread_state_create(), *tree = tread_state_add_tree(root, "t");
    ck_assert_ok(tread_state_add_real(tree, "real", 0.1));
    ck_assert_ok(tread_state_add_real(tree, "zero", 0.0));
    ck_assert_ok(tread_state_add_integer(tree, "integer", 5));
    ck_assert_ok(tread_state_add_string(tree, "string", "one"));
    ck_assert_ok(tread_state_add_integer(tree, "kind", 1));
    ck_assert_ok(tread_state_add_integer(tree, "gone", 1));
    ck_assert_ok(tread_state_add_tensor(tree, "x", tensor(TREAD_FLOAT32, 2, (int64_t[]){3, 2}, 0.5)));
    ck_assert_ok(tread_state_add_tensor(tree, "dtype", tensor(TREAD_FLOAT32, 1, (int64_t[]){2}, 1)));
    ck_assert_ok(tread_state_add_tensor(tree, "shape", tensor(TREAD_UINT8, 1, (int64_t[]){2}, 1)));
    tread_state *list = tread_state_add_list(root, "l");
    ck_assert_ok(tread_state_add_integer(list, NULL, 1));
    ck_assert_ok(tread_state_add_integer(list, NULL, 2));
    return root;
}

static tread_state *second_state(void) {
    tread_state *root = tread_state_create(), *list = tread_state_add_list(root, "l");
    ck_assert_ok(tread_state_add_integer(list, NULL, 1));
    tread_state *tree = tread_state_add_tree(root, "t");
    tread_tensor *x = tensor(TREAD_FLOAT32, 2, (int64_t[]){3, 2}, 0.5);
    tread_tensor_float(x)[3] = 0.25f;
    tread_tensor_float(x)[5] = NAN;
    ck_assert_ok(tread_state_add_tensor(tree, "x", x));
    ck_assert_ok(tread_state_add_real(tree, "real", 0.1 + 0x1p-56));
    ck_assert_ok(tread_state_add_real(tree, "zero", -0.0));
    ck_assert_ok(tread_state_add_integer(tree, "integer", -5));
    ck_assert_ok(tread_state_add_string(tree, "string", "two"));
    ck_assert_ok(tread_state_add_real(tree, "kind", 1));
    ck_assert_ok(tread_state_add_tensor(tree, "dtype", tensor(TREAD_INT32, 1, (int64_t[]){2}, 1)));
    ck_assert_ok(tread_state_add_tensor(tree, "shape", tensor(TREAD_UINT8, 2, (int64_t[]){2, 1}, 1)));
    tread_state_add_list(tree, "new");
    return root;
}

START_TEST(every_difference_is_told) {
    tread_state *a = first_state(), *b = second_state();
    found all = diff(a, b);
    ck_assert_str_eq(all.text, "t.real: 0.1, not 0.10000000000000002\n"
                               "t.zero: 0, not -0\n"
                               "t.integer: 5, not -5\n"
                               "t.string: 'one', not 'two'\n"
                               "t.kind: of kind integer, not real\n"
                               "t.gone: integer in the first alone\n"
                               "t.x: element (1, 1) is 0.5, not 0.25; 2 of 6 elements differ\n"
                               "t.dtype: of float32, not int32\n"
                               "t.shape: of shape (2), not (2, 1)\n"
                               "t.new: list in the second alone\n"
                               "l.1: integer in the first alone\n");
    const tread_difference_kind kinds[] = {TREAD_DIFFERENT_VALUE, TREAD_DIFFERENT_VALUE, TREAD_DIFFERENT_VALUE,
                                           TREAD_DIFFERENT_VALUE, TREAD_DIFFERENT_KIND,  TREAD_ONLY_IN_FIRST,
                                           TREAD_DIFFERENT_VALUE, TREAD_DIFFERENT_DTYPE, TREAD_DIFFERENT_SHAPE,
                                           TREAD_ONLY_IN_SECOND,  TREAD_ONLY_IN_FIRST};
    for (size_t i = 0; i < all.n; i++) {
        ck_assert_int_eq(all.kinds[i], kinds[i]);
        ck_assert_int_eq(all.first[i], i == 6 ? 3 : -1);
        ck_assert_int_eq(all.n_differ[i], i == 6 ? 2 : 0);
    }
    ck_assert_uint_eq(diff(b, a).n, 11);
    ck_assert_uint_eq(diff(a, a).n, 0);
    ck_assert_uint_eq(diff(b, b).n, 0); /* the NaN too */
    found few = {.limit = 3};
    size_t n = 0;
    ck_assert_ok(tread_state_diff(a, b, gather, &few, &n));
    ck_assert_uint_eq(few.n, 3);
    ck_assert_uint_eq(n, 3);
    ck_assert_ok(tread_state_diff(a, b, NULL, NULL, &n));
    ck_assert_uint_eq(n, 11);
    ck_assert_fails(tread_state_diff(a, NULL, NULL, NULL, &n), TREAD_ERROR_ARGUMENT, "NULL");
    tread_state_destroy(a);
    tread_state_destroy(b);
}
END_TEST

typedef struct pair {
    tread_state *a, *b;
} pair;
static void *diff_pair(void *data) {
    pair *p = data;
    size_t n;
    return tread_state_diff(p->a, p->b, NULL, NULL, &n) == TREAD_OK ? p : NULL;
}
static void keep(void *data, void *made) {
    (void)data;
    (void)made;
}

START_TEST(failing_allocations) {
    pair p = {tread_state_create(), tread_state_create()};
    char name[200];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    ck_assert_ok(tread_state_add_integer(p.a, name, 1));
    fail_every_allocation(diff_pair, keep, &p);
    tread_state_destroy(p.a);
    tread_state_destroy(p.b);
}
END_TEST

/* ---- Files ---- */

static found diff_files(const char *a, const char *b) {
    found all = {.n = 0};
    size_t n = 77;
    tread_tensor_file *first = tread_tensor_file_open(a), *second = tread_tensor_file_open(b);
    ck_assert_msg(first != NULL && second != NULL, "%s", tread_last_error());
    ck_assert_ok(tread_tensor_file_diff(first, second, gather, &all, &n));
    ck_assert_uint_eq(n, all.n);
    tread_tensor_file_close(first);
    tread_tensor_file_close(second);
    return all;
}

START_TEST(files_of_any_program) {
    static const uint16_t half[] = {0x3c00, 0x7bff, 0x0001, 0x7e00}, other[] = {0x3c00, 0x7bff, 0x8001, 0x7e01};
    test_folder_create();
    forge_plain(test_path("a"),
                "{\"h\":{\"dtype\":\"F16\",\"shape\":[2,2],\"data_offsets\":[0,8]},"
                "\"x\":{\"dtype\":\"I64\",\"shape\":[0],\"data_offsets\":[8,8]},"
                "\"y\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[8,16]},"
                "\"z\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[16,18]}}",
                (uint16_t[9]){half[0], half[1], half[2], half[3], 1, 0, 0, 0x8000, 7}, 18);
    forge_plain(test_path("b"),
                "{\"h\":{\"dtype\":\"F16\",\"shape\":[2,2],\"data_offsets\":[0,8]},"
                "\"x\":{\"dtype\":\"I64\",\"shape\":[0,3],\"data_offsets\":[8,8]},"
                "\"y\":{\"dtype\":\"U64\",\"shape\":[],\"data_offsets\":[8,16]},"
                "\"w\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[16,18]}}",
                (uint16_t[9]){other[0], other[1], other[2], other[3], 1, 0, 0, 0x8000, 7}, 18);
    found all = diff_files(test_path("a"), test_path("b"));
    ck_assert_str_eq(all.text,
                     "h: element (1, 0) is 5.9604644775390625e-08, not -5.9604644775390625e-08; 2 of 4 elements "
                     "differ\n"
                     "x: of shape (0), not (0, 3)\n"
                     "y: of I64, not U64\n"
                     "z: a tensor (1) of BF16 in the first alone\n"
                     "w: a tensor (2) of U8 in the second alone\n");
    ck_assert_uint_eq(diff_files(test_path("a"), test_path("a")).n, 0);
    test_folder_remove();
}
END_TEST

/* Over the parts in which files are read. */
START_TEST(large_tensors) {
    test_folder_create();
    int64_t n = (5 << 20) / 4 + 3;
    for (int i = 0; i < 2; i++) {
        tread_state *state = tread_state_create();
        tread_tensor *x = tensor(TREAD_FLOAT32, 1, &n, 1);
        if (i == 1)
            tread_tensor_float(x)[n - 1] = tread_tensor_float(x)[n - 2] = tread_tensor_float(x)[700000] = 2;
        ck_assert_ok(tread_state_add_tensor(state, "x", x));
        ck_assert_ok(tread_checkpoint_save(test_path(i == 0 ? "a" : "b"), state));
        tread_state_destroy(state);
    }
    found all = diff_files(test_path("a"), test_path("b"));
    ck_assert_str_eq(all.text, "x: element (700000) is 1, not 2; 3 of 1310723 elements differ\n");
    test_folder_remove();
}
END_TEST

/* ---- Scans ---- */

static tread_tensor_scan scan(const tread_tensor_file *file, const char *name) {
    tread_tensor_scan result;
    tread_tensor_entry entry;
    for (size_t i = 0; i < tread_tensor_file_count(file); i++) {
        ck_assert_ok(tread_tensor_file_entry(file, i, &entry));
        if (strcmp(entry.name, name) == 0) {
            ck_assert_ok(tread_tensor_file_scan(file, i, &result));
            return result;
        }
    }
    ck_abort_msg("there is no %s", name);
}

static void check_scan(const tread_tensor_file *file, const char *name, double min, double max, double mean,
                       int64_t n_not_finite) {
    tread_tensor_scan s = scan(file, name);
    ck_assert_msg(s.min == min && s.max == max && s.mean == mean && s.n_not_finite == n_not_finite,
                  "%s: min %g, max %g, mean %g, %d not finite", name, s.min, s.max, s.mean, (int)s.n_not_finite);
}

/* Two elements of each type of the format: bytes from its definition. */
START_TEST(every_type_is_read) {
    static const uint8_t data[] = {
        0,    0,    0,    0,    0,    0,    0xf8, 0x3f,
        0,    0,    0,    0,    0,    0,    0xf0, 0x7f, /* F64 1.5, inf */
        3,    0,    0,    0,    0,    0,    0,    0,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, /* I64 3, -1 */
        3,    0,    0,    0,    0,    0,    0,    0,
        0,    0,    0,    0,    0,    0,    0,    0x80, /* U64 3, 2^63 */
        0,    0,    0x20, 0xc0, 0,    0,    0xc0, 0x7f, /* F32 -2.5, nan */
        5,    0,    0,    0,    0xfe, 0xff, 0xff, 0xff, /* I32 5, -2 */
        5,    0,    0,    0,    0xff, 0xff, 0xff, 0xff, /* U32 5, 2^32 - 1 */
        0,    0x3e, 0xff, 0xfb,                         /* F16 1.5, -65504 */
        0xc0, 0x3f, 0x80, 0xff,                         /* BF16 1.5, -inf */
        1,    0,    0,    0x80,                         /* I16 1, -32768 */
        1,    0,    0xff, 0xff,                         /* U16 1, 65535 */
        7,    0x80, 200,  7,    1,    0,                /* I8 7, -128; U8 200, 7; BOOL 1, 0 */
        0x7e, 0x81, 0x7b, 0x7c,                         /* E4M3 448, -2^-9; E5M2 57344, inf */
    };
    static const struct {
        const char *type;
        int size;
        double min, max, mean;
        int64_t n_not_finite;
    } types[] = {{"F64", 8, 1.5, 1.5, 1.5, 1},
                 {"I64", 8, -1, 3, 1, 0},
                 {"U64", 8, 3, 0x1p63, 0x1p62, 0},
                 {"F32", 4, -2.5, -2.5, -2.5, 1},
                 {"I32", 4, -2, 5, 1.5, 0},
                 {"U32", 4, 5, 4294967295.0, 2147483650.0, 0},
                 {"F16", 2, -65504, 1.5, -32751.25, 0},
                 {"BF16", 2, 1.5, 1.5, 1.5, 1},
                 {"I16", 2, -32768, 1, -16383.5, 0},
                 {"U16", 2, 1, 65535, 32768, 0},
                 {"I8", 1, -128, 7, -60.5, 0},
                 {"U8", 1, 7, 200, 103.5, 0},
                 {"BOOL", 1, 0, 1, 0.5, 0},
                 {"F8_E4M3", 1, -0x1p-9, 448, 224 - 0x1p-10, 0},
                 {"F8_E5M2", 1, 57344, 57344, 57344, 1}};
    char header[3000] = "{";
    int offset = 0;
    for (size_t i = 0; i < sizeof types / sizeof *types; offset += 2 * types[i].size, i++)
        sprintf(header + strlen(header), "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[2],\"data_offsets\":[%d,%d]}",
                i > 0 ? "," : "", types[i].type, types[i].type, offset, offset + 2 * types[i].size);
    strcat(header, "}");
    test_folder_create();
    forge_plain(test_path("a"), header, data, sizeof data);
    tread_tensor_file *file = tread_tensor_file_open(test_path("a"));
    ck_assert_msg(file != NULL, "%s", tread_last_error());
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        check_scan(file, types[i].type, types[i].min, types[i].max, types[i].mean, types[i].n_not_finite);
    ck_assert(!tread_tensor_file_has_hashes(file) && !tread_tensor_file_has_state(file));
    tread_tensor_scan s;
    ck_assert_fails(tread_tensor_file_scan(file, 15, &s), TREAD_ERROR_ARGUMENT, "there is no tensor 15; there are 15");
    tread_tensor_file_close(file);
    tread_tensor_file_close(NULL);
    ck_assert_ptr_null(tread_tensor_file_open(test_path("absent")));
    test_folder_remove();
}
END_TEST

TEST_MAIN("state_diff", every_difference_is_told, failing_allocations, files_of_any_program, large_tensors,
          every_type_is_read)
