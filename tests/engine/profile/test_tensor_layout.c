#include "engine/profile/tensor_layout.h"

#include <inttypes.h>
#include <string.h>

#include "tests/test.h"

static tread_tensor_layout read_layout(const char *text) {
    tread_tensor_layout layout;
    ck_assert_msg(tread_tensor_layout_read(text, &layout) == TREAD_OK, "%s: %s", text, tread_last_error());
    ck_assert_ptr_eq(layout.text, text);
    return layout;
}

static void must_be(const char *text, int64_t tensors, int64_t elements, size_t runs) {
    const tread_tensor_layout l = read_layout(text);
    ck_assert_msg(l.tensors == tensors && l.elements == elements && l.n_runs == runs,
                  "%s: %" PRId64 " tensors of %" PRId64 " elements in %zu runs", text, l.tensors, l.elements, l.n_runs);
}

START_TEST(all_forms_are_read) {
    must_be("big:7", 1, 7, 1);
    must_be("big:64Mi", 1, 64 << 20, 1);
    must_be("big:3k", 1, 3000, 1);
    must_be("big:2M", 1, 2000000, 1);
    must_be("big:1G", 1, 1000000000, 1);
    must_be("big:1Gi", 1, 1 << 30, 1);
    must_be("big:1Ti", 1, (int64_t)1 << 40, 1);
    must_be("big:1T", 1, 1000000000000, 1);
    must_be("equal:1000x64Ki", 1000, 1000 * 65536, 1);
    must_be("tiny:10kx256", 10000, 2560000, 1);
    must_be("mlp:784-512-256-10", 6, 784 * 512 + 512 + 512 * 256 + 256 + 2560 + 10, 6);
    must_be("sizes:5+3x7+2Ki", 5, 5 + 21 + 2048, 3);
    const tread_tensor_layout l = read_layout("mlp:784-512-10");
    ck_assert(l.runs[0].rank == 2 && l.runs[0].shape[0] == 512 && l.runs[0].shape[1] == 784 && l.runs[0].count == 1);
    ck_assert(l.runs[1].rank == 1 && l.runs[1].shape[0] == 512);
    ck_assert(l.runs[2].rank == 2 && l.runs[2].shape[0] == 10 && l.runs[2].shape[1] == 512);
}
END_TEST

START_TEST(what_is_wrong_is_quoted) {
    static const struct {
        const char *text, *part;
    } wrong[] = {
        {"", "there is no colon; the forms are big:N"},
        {"big", "layout \"big\": there is no colon"},
        {"bigg:4", "there is no kind \"bigg\"; the forms are big:N, equal:COUNTxN"},
        {":4", "there is no kind \"\""},
        {"big:", "layout \"big:\": \"\" is not a whole number from 1 to 1Ti, as in big:4096, big:1000k, big:16Mi"},
        {"big:0", "\"0\" is not a whole number from 1 to 1Ti"},
        {"big:-4", "\"-4\" is not a whole number"},
        {"big:4.5", "\"4.5\" is not a whole number"},
        {"big:4Q", "\"4Q\" is not a whole number from 1 to 1Ti"},
        {"big:4 ", "\"4 \" is not a whole number"},
        {"big:99999999999999999999", "\"99999999999999999999\" is more than 1Ti"},
        {"big:9223372036854775807Gi", "is more than 1Ti"},
        {"big:2048Gi", "is more than 1Ti, which is 1099511627776"},
        {"big:16Ti", "layout \"big:16Ti\": \"16Ti\" is more than 1Ti"},
        {"big:2T", "\"2T\" is more than 1Ti"},
        {"mlp:784x10", "\"784x10\" is not a whole number from 1 to 1Ti, as in mlp:784-512-256-10, with dashes between"},
        {"equal:64Ki", "\"64Ki\" is not COUNTxN, such as 1000x64Ki"},
        {"tiny:x4", "\"\" is not a whole number"},
        {"tiny:4x", "\"\" is not a whole number"},
        {"tiny:4x4x4", "\"4x4\" is not a whole number"},
        {"tiny:10000001x4", "it has more than 10000000 tensors"},
        {"equal:10Mx1Gi", "it has more than 1099511627776 elements"},
        {"mlp:784", "mlp needs two widths or more"},
        {"mlp:784-", "\"\" is not a whole number"},
        {"mlp:784--10", "\"\" is not a whole number"},
        {"mlp:1000000k-1000000k", "it has more than 1099511627776 elements"},
        {"sizes:4++4", "\"\" is not a whole number"},
        {"sizes:4+", "\"\" is not a whole number"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        tread_tensor_layout layout = {.tensors = 77};
        ck_assert_fails(tread_tensor_layout_read(wrong[i].text, &layout), TREAD_ERROR_ARGUMENT, wrong[i].part);
        ck_assert_int_eq(layout.tensors, 77);
    }
    ck_assert_fails(tread_tensor_layout_read(NULL, NULL), TREAD_ERROR_ARGUMENT, "NULL");
    char many[1024] = "sizes:1";
    for (int i = 0; i < TREAD_LAYOUT_RUNS; i++)
        strcat(many, "+1");
    tread_tensor_layout layout;
    ck_assert_fails(tread_tensor_layout_read(many, &layout), TREAD_ERROR_ARGUMENT, "more than 128 parts");
}
END_TEST

TEST_MAIN("profile layout", all_forms_are_read, what_is_wrong_is_quoted)
