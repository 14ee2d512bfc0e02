/* Damaged and lying files: refused, each with a sentence that says where, and nothing comes of them. */
#include <stdio.h>
#include <string.h>
#include <tread/checkpoint.h>
#include <tread/weights.h>

#include "core/memory.h"
#include "core/tensor.h"
#include "tests/engine/files.h"
#include "tests/engine/forge.h"
#include "tests/optim/helpers.h"

static tread_status load(const char *path) {
    static char untouched;
    tread_state *state = (tread_state *)(void *)&untouched;
    uint64_t live = tread_memory_live_blocks();
    tread_status status = tread_checkpoint_load(path, &state);
    if (status == TREAD_OK)
        tread_state_destroy(state);
    else
        ck_assert((void *)state == (void *)&untouched);
    ck_assert_uint_eq(tread_memory_live_blocks(), live);
    return status;
}

/* A model, its optimizer after a step; gives the bytes of the checkpoint. */
static uint8_t *make_bytes(params *p, size_t *ret_n) {
    *p = params_make(2, (const int64_t[]){3, 9});
    tread_run_parts parts = tread_run_parts_defaults();
    parts.parameters = params_list(p);
    parts.optimizer = tread_optimizer_from_spec(NULL, params_list(p), "adam");
    params_set_grads(p, 1, 0);
    ck_assert_ok(tread_optimizer_step(parts.optimizer, NULL));
    tread_state *state = tread_run_state(&parts);
    ck_assert_ok(tread_checkpoint_save(test_path("c"), state));
    ck_assert_ok(load(test_path("c")));
    tread_state_destroy(state);
    tread_optimizer_destroy(parts.optimizer);
    return test_read(test_path("c"), ret_n);
}

static void check_refused(const params *p, const params *before, const uint8_t *bytes, size_t n) {
    const char *path = test_path("d");
    test_write(path, bytes, n);
    ck_assert_fails(load(path), TREAD_ERROR_FORMAT, "/d: ");
    ck_assert_fails(tread_weights_load(params_list(p), path, NULL), TREAD_ERROR_FORMAT, "/d: ");
    ck_assert(params_equal(p, before));
}

START_TEST(every_truncation_is_refused) {
    test_folder_create();
    size_t n;
    params p, before = params_make(2, (const int64_t[]){3, 9});
    uint8_t *bytes = make_bytes(&p, &n);
    params_set_values(&p);
    for (size_t cut = 0; cut < n; cut++)
        check_refused(&p, &before, bytes, cut);
    bytes = realloc(bytes, n + 1);
    bytes[n] = 0;
    check_refused(&p, &before, bytes, n + 1);
    free(bytes);
    params_destroy(&p);
    params_destroy(&before);
    test_folder_remove();
}
END_TEST

START_TEST(every_flipped_bit_of_the_header_is_refused) {
    test_folder_create();
    size_t n;
    params p, before = params_make(2, (const int64_t[]){3, 9});
    uint8_t *bytes = make_bytes(&p, &n);
    size_t header = bytes[0] | (size_t)bytes[1] << 8;
    params_set_values(&p);
    for (size_t i = 0; i < 8 + header; i++)
        for (int bit = 0; bit < 8; bit++) {
            bytes[i] ^= (uint8_t)(1 << bit);
            check_refused(&p, &before, bytes, n);
            bytes[i] ^= (uint8_t)(1 << bit);
        }
    free(bytes);
    params_destroy(&p);
    params_destroy(&before);
    test_folder_remove();
}
END_TEST

START_TEST(damaged_values_are_refused) {
    test_folder_create();
    size_t n;
    params p;
    uint8_t *bytes = make_bytes(&p, &n), *copy = malloc(n);
    size_t data = 8 + (bytes[0] | (size_t)bytes[1] << 8);
    for (size_t i = data; i < n; i++)
        for (int bit = 0; bit < 8; bit++) {
            bytes[i] ^= (uint8_t)(1 << bit);
            test_write(test_path("d"), bytes, n);
            bytes[i] ^= (uint8_t)(1 << bit);
            ck_assert_fails(load(test_path("d")), TREAD_ERROR_FORMAT, "the data are damaged: their hash is ");
        }
    tread_rng rng = tread_rng_create(5, 0);
    for (int trial = 0; trial < 3000; trial++) { /* anything from one byte to a page, anywhere: noise, or zeros */
        memcpy(copy, bytes, n);
        size_t at = tread_rng_below(&rng, (uint32_t)n), length = 1 + tread_rng_below(&rng, trial % 2 ? 8 : 4096);
        for (size_t i = at; i < at + length && i < n; i++)
            copy[i] = trial % 3 == 0 ? 0 : (uint8_t)tread_rng_bits(&rng);
        test_write(test_path("d"), copy, n);
        if (memcmp(copy, bytes, n) != 0)
            ck_assert_fails(load(test_path("d")), TREAD_ERROR_FORMAT, "/d: ");
    }
    free(copy);
    free(bytes);
    params_destroy(&p);
    test_folder_remove();
}
END_TEST

#define ONE(name) ",\"" name "\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}"
#define HASHED(state) "{\"format_version\":1,\"tensor_hashes\":{\"a\":\"$HASH\"},\"state\":" state "}"

/* Trees and tensors that do not go together, under a right hash. */
static const struct {
    const char *tree, *entries, *sentence;
} lies[] = {
    {NULL, ONE("a"), "there is no tread"},
    {"", ONE("a"), "tread in the metadata is not JSON"},
    {"{\"format_version\":1", ONE("a"), "tread in the metadata is not JSON"},
    {"[]", ONE("a"), "format_version is missing"},
    {"{}", ONE("a"), "format_version is missing"},
    {"{\"format_version\":0}", ONE("a"), "format_version is missing, or not a whole number from 1"},
    {"{\"format_version\":1.0}", ONE("a"), "format_version is missing, or not"},
    {"{\"format_version\":2,\"what\":[]}", ONE("a"), "is of format version 2, this library reads up to 1"},
    {"{\"format_version\":1}", ONE("a"), "0 hashes for 1 tensors"},
    {"{\"format_version\":1,\"tensor_hashes\":{\"b\":\"$HASH\"},\"state\":{}}", ONE("a"), "no hash of tensor a"},
    {"{\"format_version\":1,\"tensor_hashes\":{\"a\":7},\"state\":{}}", ONE("a"), "no hash of tensor a"},
    {"{\"format_version\":1,\"tensor_hashes\":{\"a\":\"0\"},\"state\":{\"a\":null}}", ONE("a"), "expected 0"},
    {HASHED("[null]"), ONE("a"), "state is not an object"},
    {HASHED("{}"), ONE("a"), "the file has a tensor a, the state has none"},
    {HASHED("{\"a\":null,\"b\":null}"), ONE("a"), "the state has a tensor b, the file has none"},
    {HASHED("{\"a\":null,\"a\":null}"), ONE("a"), "duplicate object key"},
    {HASHED("{\"a\":null,\"t\":{\"x\":1,\"x\":1}}"), ONE("a"), "duplicate object key"},
    {HASHED("{\"a\":[null]}"), ONE("a"), "the state has a tensor a.0, the file has none"},
    {HASHED("{\"a\":true}"), ONE("a"), "'a' is true, which no part"},
    {HASHED("{\"a\":null,\"t\":[[false]]}"), ONE("a"), "'t.0.0' is false"},
    {HASHED("{\"a\":null,\"\":1}"), ONE("a"), "a part of '' has an empty name"},
    {HASHED("{\"a\":null,\"x\":NaN}"), ONE("a"), "is not JSON"},
    {HASHED("{\"a\":null,\"x\":Infinity}"), ONE("a"), "is not JSON"},
    {HASHED("{\"a\":null,\"x\":1e999}"), ONE("a"), "real number overflow"},
    {HASHED("{\"a\":null,\"x\":9223372036854775808}"), ONE("a"), "too big integer"},
    {HASHED("{\"a\":null,\"x\":\"\\u0000\"}"), ONE("a"), "is not JSON"},
    {HASHED("{\"a\":null,\"x\":\"\xff\"}"), ONE("a"), "is not JSON"},
    {HASHED("{\"a\":null}"), ",\"a\":{\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[0,8]}", "a is of type F16"},
    {HASHED("{\"a\":null}"), ",\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,8],\"data_offsets\":[0,8]}",
     "a is of a rank above 6"},
    {HASHED("{\"a\":null}"), ",\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}",
     "a: 8 bytes of data, its shape and type need 12"},
    {HASHED("{\"a\":null}"), ",\"a\":{\"dtype\":\"F32\",\"shape\":[2305843009213693952],\"data_offsets\":[0,8]}",
     "a: 8 bytes of data, its shape and type need 9223372036854775808"},
    {HASHED("{\"a\":null}"), ",\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,8]}",
     "the shape overflows"},
    {HASHED("{\"a\":null}"), ",\"a\":{\"dtype\":\"F32\",\"shape\":[1000000000],\"data_offsets\":[0,4000000000]}",
     "data_offsets end at 4000000000, the file has 8 bytes of data"},
    {HASHED("{\"a\":null}"), ONE("a") ONE("a"), "duplicate object key"},
    {HASHED("{\"a\":null}"), ONE("a") ",\"__metadata__\":{}", "duplicate object key"},
    {"{\"format_version\":1,\"tensor_hashes\":{\"a\":\"\",\"b\":\"\"},\"state\":{\"a\":null}}", ONE("a") ONE("b"),
     "b: data begins at 0, the tensor before it ends at 8"},
    {"{\"format_version\":1,\"tensor_hashes\":{\"a\":\"\",\"b\":\"\"},\"state\":{\"a\":null}}",
     ",\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},\"b\":{\"dtype\":\"U8\",\"shape\":[4],"
     "\"data_offsets\":[4,8]}",
     "b: data begins at 4, the tensor before it ends at 3"},
    {HASHED("{\"a\":null}"), ",\"a\":{\"dtype\":\"U8\",\"shape\":[7],\"data_offsets\":[0,7]}",
     "8 bytes of data, the tensors need 7"},
};

START_TEST(lies_are_refused) {
    test_folder_create();
    forge_marked(test_path("t"), HASHED("{\"a\":null,\"x\":[1,2.0,\"s\",{}]}"), ONE("a"), "01234567", 8);
    ck_assert_ok(load(test_path("t")));
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        forge_marked(test_path("t"), lies[i].tree, lies[i].entries, "01234567", 8);
        ck_assert_fails(load(test_path("t")), TREAD_ERROR_FORMAT, lies[i].sentence);
    }
    /* The mark of Tread's that is not where it should be. */
    forge_plain(test_path("t"), "{\"__metadata__\":{\"tread\":\"{}\"}" ONE("a") "}", NULL, 8);
    ck_assert_fails(load(test_path("t")), TREAD_ERROR_FORMAT, "does not begin with its hash");
    test_folder_remove();
}
END_TEST

START_TEST(depth_is_limited) {
    test_folder_create();
    static char tree[20000];
    for (int depth = 60; depth <= 3000; depth += depth < 70 ? 1 : 2930) {
        char *at = tree + sprintf(tree, "{\"format_version\":1,\"tensor_hashes\":{},\"state\":{\"a\":");
        for (int i = 1; i < depth; i++)
            *at++ = '[';
        for (int i = 1; i < depth; i++)
            *at++ = ']';
        strcpy(at, "}}");
        forge_marked(test_path("t"), tree, "", NULL, 0);
        if (depth <= TREAD_CHECKPOINT_MAX_DEPTH)
            ck_assert_ok(load(test_path("t")));
        else
            ck_assert_fails(load(test_path("t")), TREAD_ERROR_FORMAT,
                            depth < 100 ? "lies deeper than 64 trees and lists" : "maximum parsing depth reached");
    }
    test_folder_remove();
}
END_TEST

/* A header that claims more than the file has asks for no memory: even one allocation of it would fail here. */
START_TEST(lying_sizes_allocate_nothing) {
    test_folder_create();
    uint64_t lengths[] = {2000, 99999999, 100000001, UINT64_C(1) << 40, UINT64_MAX, UINT64_MAX - 7};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        uint8_t bytes[1000] = {0};
        for (int b = 0; b < 8; b++)
            bytes[b] = (uint8_t)(lengths[i] >> 8 * b);
        bytes[8] = '{';
        test_write(test_path("t"), bytes, sizeof bytes);
        uint64_t calls = tread_memory_calls();
        ck_assert_fails(load(test_path("t")), TREAD_ERROR_FORMAT, "header of");
        ck_assert_uint_eq(tread_memory_calls(), calls);
    }
    ck_assert_fails(load(test_path("absent")), TREAD_ERROR_IO, "absent: cannot open: No such file");
    ck_assert_fails(load(test_path(".")), TREAD_ERROR_IO, "is not a regular file");
    test_folder_remove();
}
END_TEST

TEST_MAIN("checkpoint_damage", every_truncation_is_refused, every_flipped_bit_of_the_header_is_refused,
          damaged_values_are_refused, lies_are_refused, depth_is_limited, lying_sizes_allocate_nothing)
