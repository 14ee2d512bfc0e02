#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <tread/weights.h>
#include <unistd.h>

#include "core/memory.h"
#include "core/tensor.h"
#include "tests/engine/files.h"
#include "tests/test.h"

#define N 4

/* Parameters "0.weight" (3, 5), "0.bias" (3), one without a name (2, 2, 2) and a scalar "s". */
static tread_parameter *made[N];

static tread_parameter_list create(float first) {
    made[0] = tread_parameter_create("0.weight", 2, (int64_t[]){3, 5});
    made[1] = tread_parameter_create("0.bias", 1, (int64_t[]){3});
    made[2] = tread_parameter_create(NULL, 3, (int64_t[]){2, 2, 2});
    made[3] = tread_parameter_create("s", 0, NULL);
    for (int p = 0; p < N; p++)
        for (int64_t i = 0; i < tread_tensor_count(tread_parameter_tensor(made[p])); i++)
            tread_tensor_float(tread_parameter_tensor(made[p]))[i] = first + (float)(p * 100) + (float)i / 3;
    return (tread_parameter_list){made, N};
}

static void destroy(tread_parameter_list list) {
    for (size_t i = 0; i < list.count; i++)
        tread_parameter_destroy(list.items[i]);
}

static void set(tread_parameter_list list, float value) {
    for (size_t i = 0; i < list.count; i++)
        ck_assert_ok(tread_tensor_fill(tread_parameter_tensor(list.items[i]), value));
}

static void check_all(tread_parameter_list list, bool loaded, float first) {
    for (size_t p = 0; p < list.count; p++)
        for (int64_t i = 0; i < tread_tensor_count(tread_parameter_tensor(list.items[p])); i++) {
            float value = tread_tensor_float(tread_parameter_tensor(list.items[p]))[i];
            ck_assert(value == (loaded ? first + (float)(p * 100) + (float)i / 3 : first));
        }
}

static int files_in_folder(void) {
    char command[600];
    int n = -1;
    snprintf(command, sizeof command, "ls -A '%s' | wc -l", test_path("."));
    FILE *pipe = popen(command, "r");
    ck_assert_int_eq(fscanf(pipe, "%d", &n), 1);
    pclose(pipe);
    return n;
}

START_TEST(round_trip) {
    test_folder_create();
    tread_parameter_list list = create(1);
    const char *path = test_path("w");
    ck_assert_ok(tread_weights_save(list, path));
    ck_assert_int_eq(files_in_folder(), 1);
    set(list, -1);
    uint32_t version = made[0]->tensor.version;
    tread_weights_report report;
    ck_assert_ok(tread_weights_load(list, path, &report));
    check_all(list, true, 1);
    ck_assert(made[0]->tensor.version != version); /* a tape that used the old values would say so */
    ck_assert_uint_eq(report.n_tensors, 4);
    ck_assert_int_eq(report.n_values, 15 + 3 + 8 + 1);
    ck_assert_int_eq(report.n_not_finite, 0);
    tread_tensor_float(tread_parameter_tensor(made[2]))[3] = NAN;
    tread_tensor_float(tread_parameter_tensor(made[3]))[0] = INFINITY;
    ck_assert_ok(tread_weights_save(list, path));
    ck_assert_ok(tread_weights_load(list, path, &report));
    ck_assert_int_eq(report.n_not_finite, 2);
    destroy(list);
    test_folder_remove();
    ck_assert_uint_eq(tread_memory_live_blocks(), 0);
}
END_TEST

START_TEST(the_bytes_are_the_format_s) {
    test_folder_create();
    tread_parameter_list list = create(1);
    ck_assert_ok(tread_weights_save(list, test_path("w")));
    size_t n;
    uint8_t *bytes = test_read(test_path("w"), &n);
    uint64_t header = bytes[0] | (uint64_t)bytes[1] << 8;
    ck_assert_uint_eq((8 + header) % 64, 0);
    ck_assert_uint_eq(n, 8 + header + 27 * 4);
    char text[2048] = "";
    memcpy(text, bytes + 8, header);
    ck_assert_ptr_nonnull(strstr(text, "\"0.weight\":{\"dtype\":\"F32\",\"shape\":[3,5],\"data_offsets\":[0,60]}"));
    ck_assert_ptr_nonnull(strstr(text, "\"param.2\":{\"dtype\":\"F32\",\"shape\":[2,2,2],\"data_offsets\":[72,104]}"));
    ck_assert_ptr_nonnull(strstr(text, "\"s\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[104,108]}"));
    ck_assert_mem_eq(bytes + 8 + header, tread_tensor_data(tread_parameter_tensor(made[0])), 60);
    free(bytes);
    destroy(list);
    test_folder_remove();
}
END_TEST

START_TEST(every_truncation_and_header_damage_is_refused) {
    test_folder_create();
    tread_parameter_list list = create(1);
    ck_assert_ok(tread_weights_save(list, test_path("w")));
    size_t n;
    uint8_t *bytes = test_read(test_path("w"), &n);
    size_t header = bytes[0] | (size_t)bytes[1] << 8;
    set(list, 7);
    for (size_t cut = 0; cut < n; cut++) {
        test_write(test_path("d"), bytes, cut);
        ck_assert_fails(tread_weights_load(list, test_path("d"), NULL), TREAD_ERROR_FORMAT, "/d: ");
    }
    check_all(list, false, 7);
    for (size_t i = 0; i < 8 + header; i++)
        for (int bit = 0; bit < 8; bit++) {
            bytes[i] ^= (uint8_t)(1 << bit);
            test_write(test_path("d"), bytes, n);
            bytes[i] ^= (uint8_t)(1 << bit);
            ck_assert_fails(tread_weights_load(list, test_path("d"), NULL), TREAD_ERROR_FORMAT, "/d: ");
        }
    check_all(list, false, 7);
    bytes = realloc(bytes, n + 1);
    bytes[n] = 0;
    test_write(test_path("d"), bytes, n + 1);
    ck_assert_fails(tread_weights_load(list, test_path("d"), NULL), TREAD_ERROR_FORMAT,
                    "109 bytes of data, the tensors need 108");
    free(bytes);
    destroy(list);
    test_folder_remove();
}
END_TEST

static tread_status load_text(tread_parameter_list list, const char *header, size_t n_data) {
    static uint8_t bytes[4096];
    size_t length = strlen(header);
    memset(bytes, 0, sizeof bytes);
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)((uint64_t)length >> 8 * i);
    memcpy(bytes + 8, header, length);
    test_write(test_path("t"), bytes, 8 + length + n_data);
    return tread_weights_load(list, test_path("t"), NULL);
}

START_TEST(crafted_headers) {
    test_folder_create();
    tread_parameter *one = tread_parameter_create("a", 1, (int64_t[]){2});
    tread_parameter_list list = {&one, 1};
    const struct {
        const char *header;
        size_t n_data;
        const char *sentence;
    } bad[] = {
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"a\":{\"dtype\":\"F32\",\"shape\":[2],"
         "\"data_offsets\":[0,8]}}",
         8, "duplicate object key"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"x\":1}}", 8,
         "a: is not an object of dtype, shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}", 12,
         "a: data begins at 4, the tensor before it ends at 0"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"F32\",\"shape\":[1],"
         "\"data_offsets\":[4,8]}}",
         8, "data begins at 4, the tensor before it ends at 8"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4,
         "a: 4 bytes of data, its shape and type need 8"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 4,
         "data_offsets end at 8, the file has 4"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8,
         "not two whole numbers from 0 in order"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]}}", 8, "not two whole numbers"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8,
         "shape[0] is not a whole number from 0"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]}}", 8,
         "shape[0] is not a whole number from 0"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,8]}}", 8,
         "the shape overflows"},
        {"{\"a\":{\"dtype\":\"Q4\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "a: unknown dtype Q4"},
        {"{\"a\":7}", 8, "a: is not an object"},
        {"{\"__metadata__\":{\"x\":1},\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8,
         "__metadata__: x is not a string"},
        {"{\"__metadata__\":[]}", 8, "__metadata__ is not an object"},
        {"[1,2,3]", 8, "begins with byte 5b"},
        {"{\"a\":}", 8, "the header is not JSON"},
        {"{}", 8, "8 bytes of data, the tensors need 0"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_fails(load_text(list, bad[i].header, bad[i].n_data), TREAD_ERROR_FORMAT, bad[i].sentence);
    ck_assert_ok(load_text(list, "{\"a\":{\"data_offsets\":[0,8],\"shape\":[2],\"dtype\":\"F32\"}}   ", 8));
    ck_assert_fails(load_text(list, "{\"a\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[0,16]}}", 16),
                    TREAD_ERROR_SHAPE, "a is F64 in the file, expected F32");
    ck_assert_fails(
        load_text(list, "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,2],\"data_offsets\":[0,8]}}", 8),
        TREAD_ERROR_SHAPE, "a is of too high a rank in the file, (2) in the model");
    uint8_t huge[16] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, '{'};
    test_write(test_path("t"), huge, sizeof huge);
    ck_assert_fails(tread_weights_load(list, test_path("t"), NULL), TREAD_ERROR_FORMAT, "expected 2 to 100000000");
    ck_assert_fails(tread_weights_load(list, test_path("absent"), NULL), TREAD_ERROR_IO,
                    "absent: cannot open: No such file");
    ck_assert_fails(tread_weights_load(list, test_path("."), NULL), TREAD_ERROR_IO, "is not a regular file");
    tread_parameter_destroy(one);
    test_folder_remove();
    ck_assert_uint_eq(tread_memory_live_blocks(), 0);
}
END_TEST

START_TEST(every_difference_is_listed) {
    test_folder_create();
    tread_parameter_list list = create(1);
    ck_assert_ok(tread_weights_save(list, test_path("w")));
    destroy(list);
    tread_parameter *other[3] = {tread_parameter_create("0.weight", 2, (int64_t[]){5, 3}),
                                 tread_parameter_create("0.bias", 1, (int64_t[]){3}),
                                 tread_parameter_create("1.weight", 1, (int64_t[]){2})};
    list = (tread_parameter_list){other, 3};
    set(list, 3);
    ck_assert_fails(tread_weights_load(list, test_path("w"), NULL), TREAD_ERROR_SHAPE, "w does not fit the model: ");
    const char *parts[] = {"0.weight is (3, 5) in the file, (5, 3) in the model", "1.weight (2) is not in the file",
                           "param.2 of the file is not in the model", "s of the file is not in the model"};
    for (int i = 0; i < 4; i++)
        ck_assert_msg(strstr(tread_last_error(), parts[i]) != NULL, "%s", tread_last_error());
    ck_assert_ptr_null(strstr(tread_last_error(), "0.bias"));
    check_all(list, false, 3);
    tread_parameter *twice[2] = {other[1], other[1]};
    list = (tread_parameter_list){twice, 2};
    ck_assert_fails(tread_weights_load(list, test_path("w"), NULL), TREAD_ERROR_ARGUMENT,
                    "two parameters are named 0.bias");
    ck_assert_fails(tread_weights_save(list, test_path("w2")), TREAD_ERROR_ARGUMENT, "two tensors are named 0.bias");
    ck_assert_fails(tread_weights_save((tread_parameter_list){NULL, 0}, test_path("w2")), TREAD_ERROR_ARGUMENT,
                    "is empty");
    for (int i = 0; i < 3; i++)
        tread_parameter_destroy(other[i]);
    ck_assert_int_eq(files_in_folder(), 1);
    test_folder_remove();
}
END_TEST

START_TEST(a_long_list_of_differences_is_cut) {
    enum { n = 200 };
    static tread_parameter *many[n];
    test_folder_create();
    for (int i = 0; i < n; i++) {
        char name[64];
        snprintf(name, sizeof name, "a.rather.long.name.of.a.parameter.%d", i);
        many[i] = tread_parameter_create(name, 1, (int64_t[]){1});
    }
    ck_assert_ok(tread_weights_save((tread_parameter_list){many, 1}, test_path("w")));
    tread_status status = tread_weights_load((tread_parameter_list){many, n}, test_path("w"), NULL);
    ck_assert_int_eq(status, TREAD_ERROR_SHAPE);
    ck_assert_msg(strstr(tread_last_error(), " more") != NULL, "%s", tread_last_error());
    for (int i = 0; i < n; i++)
        tread_parameter_destroy(many[i]);
    test_folder_remove();
}
END_TEST

START_TEST(a_failed_save_leaves_the_older_file) {
    test_folder_create();
    tread_parameter_list list = create(1);
    const char *path = test_path("w");
    ck_assert_ok(tread_weights_save(list, path));
    ck_assert_int_eq(chmod(path, 0640), 0);
    set(list, 9);
    struct rlimit before, small;
    getrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_IGN);
    for (rlim_t limit = 0; limit < 480; limit += 96) { /* reserving the space fails, at every limit */
        small = (struct rlimit){limit, before.rlim_max};
        setrlimit(RLIMIT_FSIZE, &small);
        tread_status status = tread_weights_save(list, path);
        setrlimit(RLIMIT_FSIZE, &before);
        ck_assert_fails(status, TREAD_ERROR_IO, "w: cannot ");
        ck_assert_int_eq(files_in_folder(), 1);
        ck_assert_ok(tread_weights_load(list, path, NULL));
        check_all(list, true, 1);
        set(list, 9);
    }
    ck_assert_ok(tread_weights_save(list, path));
    struct stat status;
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_int_eq(status.st_mode & 0777, 0640);
    ck_assert_fails(tread_weights_save(list, test_path("no/such/folder")), TREAD_ERROR_IO,
                    "cannot create: No such file");
    ck_assert_fails(tread_weights_save(list, "/dev/full"), TREAD_ERROR_IO, "/dev/full: is not a regular file");
    ck_assert_fails(tread_weights_save(list, test_path(".")), TREAD_ERROR_IO, "is not a regular file");
    ck_assert_int_eq(symlink("w", test_path("link")), 0);
    set(list, 5);
    ck_assert_ok(tread_weights_save(list, test_path("link"))); /* the link stays one */
    ck_assert_int_eq(lstat(test_path("link"), &status), 0);
    ck_assert(S_ISLNK(status.st_mode));
    set(list, 0);
    ck_assert_ok(tread_weights_load(list, path, NULL));
    check_all(list, false, 5);
    destroy(list);
    test_folder_remove();
}
END_TEST

START_TEST(every_allocation_failing) {
    test_folder_create();
    tread_parameter_list list = create(1);
    const char *path = test_path("w");
    uint64_t before = tread_memory_live_blocks();
    bool failed = true;
    for (uint64_t k = 1; failed; k++) {
        tread_memory_fail_at(k);
        tread_status status = tread_weights_save(list, path);
        failed = tread_memory_failed();
        tread_memory_fail_at(0);
        ck_assert_int_eq(status, failed ? TREAD_ERROR_MEMORY : TREAD_OK);
        ck_assert_uint_eq(tread_memory_live_blocks(), before);
        ck_assert_int_eq(files_in_folder(), failed ? 0 : 1);
    }
    failed = true;
    set(list, 2);
    for (uint64_t k = 1; failed; k++) {
        tread_memory_fail_at(k);
        tread_status status = tread_weights_load(list, path, NULL);
        failed = tread_memory_failed();
        tread_memory_fail_at(0);
        ck_assert_int_eq(status, failed ? TREAD_ERROR_MEMORY : TREAD_OK);
        ck_assert_uint_eq(tread_memory_live_blocks(), before);
        check_all(list, !failed, failed ? 2 : 1);
    }
    destroy(list);
    test_folder_remove();
}
END_TEST

TEST_MAIN("weights", round_trip, the_bytes_are_the_format_s, every_truncation_and_header_damage_is_refused,
          crafted_headers, every_difference_is_listed, a_long_list_of_differences_is_cut,
          a_failed_save_leaves_the_older_file, every_allocation_failing)
