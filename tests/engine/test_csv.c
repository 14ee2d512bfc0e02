#include <math.h>
#include <stdio.h>
#include <string.h>
#include <tread/files.h>

#include "core/memory.h"
#include "tests/engine/files.h"
#include "tests/test.h"

/* Loads text as a file named t.csv. */
static tread_dataset *load(const char *text, const tread_csv_options *options) {
    test_write(test_path("t.csv"), text, strlen(text));
    return tread_csv_load(test_path("t.csv"), options);
}

static tread_dataset *must_load(const char *text, const tread_csv_options *options) {
    tread_dataset *dataset = load(text, options);
    ck_assert_msg(dataset != NULL, "%s: %s", text, tread_last_error());
    return dataset;
}

static void must_fail(const char *text, const tread_csv_options *options, const char *part) {
    uint64_t before = tread_memory_live_blocks();
    tread_dataset *dataset = load(text, options);
    ck_assert_msg(dataset == NULL, "loaded: %s", text);
    ck_assert_msg(strstr(tread_last_error(), part) != NULL, "\"%s\" lacks \"%s\"", tread_last_error(), part);
    ck_assert_uint_eq(tread_memory_live_blocks(), before);
}

static float x_at(const tread_dataset *dataset, int64_t row, int64_t column) {
    return tread_tensor_float(tread_dataset_x(dataset))[row * tread_dataset_features(dataset) + column];
}
static int32_t label_at(const tread_dataset *dataset, int64_t row) {
    return ((const int32_t *)tread_tensor_data(tread_dataset_y(dataset)))[row];
}

static tread_csv_options with_task(tread_task task) {
    tread_csv_options options = tread_csv_defaults();
    options.task = task;
    return options;
}

START_TEST(a_table_with_header_and_text_labels) {
    test_folder_create();
    tread_dataset *dataset =
        must_load("length,width,species\n5.1,3.5,setosa\n-4.9,+3e1,virginica\n.5,7.,setosa\n", NULL);
    ck_assert_int_eq(tread_dataset_count(dataset), 3);
    ck_assert_int_eq(tread_dataset_features(dataset), 2);
    ck_assert_int_eq(tread_dataset_classes(dataset), 2);
    ck_assert_int_eq(tread_dataset_targets(dataset), 0);
    ck_assert_str_eq(tread_dataset_class_name(dataset, 0), "setosa");
    ck_assert_str_eq(tread_dataset_class_name(dataset, 1), "virginica");
    ck_assert_ptr_null(tread_dataset_class_name(dataset, 2));
    ck_assert_ptr_null(tread_dataset_class_name(dataset, -1));
    ck_assert_str_eq(tread_dataset_feature_name(dataset, 1), "width");
    ck_assert_str_eq(tread_dataset_target_name(dataset, 0), "species");
    const float expected[] = {5.1f, 3.5f, -4.9f, 30, 0.5f, 7};
    ck_assert_mem_eq(tread_tensor_data(tread_dataset_x(dataset)), expected, sizeof expected);
    const int32_t labels[] = {0, 1, 0};
    ck_assert_mem_eq(tread_tensor_data(tread_dataset_y(dataset)), labels, sizeof labels);
    tread_dataset_destroy(dataset);
    test_folder_remove();
}
END_TEST

/* The same table in every notation that RFC 4180 and habit allow. */
START_TEST(all_notations_of_one_table) {
    static const char *const texts[] = {
        "a,b,c\n1,2,x\n3,4,y\n",
        "a,b,c\r\n1,2,x\r\n3,4,y\r\n",
        "a,b,c\n1,2,x\n3,4,y",
        "a,b,c\n1,2,x\n3,4,y\n\n\r\n",
        "\xef\xbb\xbf"
        "a,b,c\n1,2,x\n3,4,y\n",
        "\"a\",\"b\",\"c\"\n\"1\",\"2\",\"x\"\n\"3\",\"4\",\"y\"",
        "a,b,c\n 1 ,\t2,x\n3, 4,y\n",
        "a,b,c\r\n1,2,x\n3,4,y\r\n",
    };
    test_folder_create();
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        for (int gzip = 0; gzip < 2; gzip++) {
            (gzip ? test_write_gzip : test_write)(test_path("t.csv"), texts[i], strlen(texts[i]));
            tread_dataset *dataset = tread_csv_load(test_path("t.csv"), NULL);
            ck_assert_msg(dataset != NULL, "%zu: %s", i, tread_last_error());
            const float expected[] = {1, 2, 3, 4};
            ck_assert_int_eq(tread_dataset_count(dataset), 2);
            ck_assert_mem_eq(tread_tensor_data(tread_dataset_x(dataset)), expected, sizeof expected);
            ck_assert_str_eq(tread_dataset_class_name(dataset, 1), "y");
            ck_assert_str_eq(tread_dataset_feature_name(dataset, 0), "a");
            tread_dataset_destroy(dataset);
        }
    test_folder_remove();
}
END_TEST

START_TEST(quotes) {
    test_folder_create();
    tread_dataset *dataset =
        must_load("\"a,1\",\"b\"\"q\"\"\"\n1,\"two\nlines, \"\"and\"\" a comma\"\n2,\"\"\"\"\n", NULL);
    ck_assert_str_eq(tread_dataset_feature_name(dataset, 0), "a,1");
    ck_assert_str_eq(tread_dataset_target_name(dataset, 0), "b\"q\"");
    ck_assert_str_eq(tread_dataset_class_name(dataset, 0), "\"");
    ck_assert_str_eq(tread_dataset_class_name(dataset, 1), "two\nlines, \"and\" a comma");
    tread_dataset_destroy(dataset);
    must_fail("a,b\n1,\"x\n\n\n2,y", NULL, "t.csv:2: column 2: \"x???2,y\": the quote that begins here is not closed");
    must_fail("a,b\n1,x\"y\n", NULL, "t.csv:2: column 2: \"x\": a quote within a field");
    must_fail("a,b\n\"1\"2,x\n", NULL, "t.csv:2: column 1: \"1\": text behind the closing quote");
    must_fail("a,b\n1,x\r2,y\n", NULL, "t.csv:2: column 2: \"x\": a carriage return without a line feed");
    must_fail("a,b\n1,x\r", NULL, "a carriage return without a line feed");
    /* Lines are those of an editor: a quoted line feed counts. */
    must_fail("a,b\n1,\"x\ny\"\nz,x\n", NULL, "t.csv:4: column 1: \"z\" is not a number");
    test_write(test_path("t.csv"), "a,b\n1,x\0y\n", 10);
    ck_assert_ptr_null(tread_csv_load(test_path("t.csv"), NULL));
    ck_assert_ptr_nonnull(strstr(tread_last_error(), "t.csv:2: column 2: \"x\": a zero byte"));
    test_write(test_path("t.csv"), "a,b\n1,\"x\0y\"\n", 12);
    ck_assert_ptr_null(tread_csv_load(test_path("t.csv"), NULL));
    ck_assert_ptr_nonnull(strstr(tread_last_error(), "a zero byte"));
    test_write(test_path("t.csv"),
               "\xff\xfe"
               "1\0,\0",
               6);
    ck_assert_ptr_null(tread_csv_load(test_path("t.csv"), NULL));
    ck_assert_ptr_nonnull(strstr(tread_last_error(), "UTF-16"));
    test_folder_remove();
}
END_TEST

START_TEST(what_is_wrong_is_said_with_its_place) {
    test_folder_create();
    must_fail("a,b,c\n1,2,x\n3,oops,y\n", NULL, "t.csv:3: column 2: \"oops\" is not a number");
    must_fail("a,b,c\n1,2,x\n3,,y\n", NULL, "t.csv:3: column 2: \"\": the value is missing");
    must_fail("a,b,c\n1,2,x\n3,NA,y\n", NULL, "t.csv:3: column 2: \"NA\": the value is missing");
    must_fail("a,b,c\n1,2,x\n3,4,\n", NULL, "t.csv:3: column 3: \"\": the label is missing");
    must_fail("a,b,c\n1,2,x\n3,4\n", NULL, "t.csv:3: 2 columns, expected 3");
    must_fail("a,b,c\n1,2,x\n3,4,5,6\n", NULL, "t.csv:3: more than 3 columns, expected 3");
    must_fail("a,b,c\n1,2,x\n\n3,4,y\n", NULL, "t.csv:3: the line is blank, and records follow it");
    must_fail("a,b,c\n1,nan,x\n", NULL, "t.csv:2: column 2: \"nan\" is not finite");
    must_fail("a,b,c\n1,-inf,x\n", NULL, "\"-inf\" is not finite");
    must_fail("a,b,c\n1,1e39,x\n", NULL, "\"1e39\" is beyond float32");
    must_fail("a,b,c\n1,1e400,x\n", NULL, "\"1e400\" is beyond float32");
    must_fail("a,b,c\n1, -.5e999 ,x\n", NULL, "\" -.5e999 \" is beyond float32");
    must_fail("a,b,c\n1,+Infinity,x\n", NULL, "\"+Infinity\" is not finite");
    must_fail("a,b,c\n1,2,3.5\n", NULL, "\"3.5\" is no label, but a number: for those the task is regression");
    must_fail("a,b,c\n1,2,gr\xc3\xbcn\n1,2,gr\xfcn\n", NULL, "t.csv:3: column 3: ");
    must_fail("a,b,c\n1,2,gr\xc3\xbcn\n1,2,gr\xfcn\n", NULL, " is not UTF-8");
    must_fail("a,b,c\n1,2,\xc3\n", NULL, " is not UTF-8");
    must_fail("", NULL, "t.csv: the file is empty");
    must_fail("\n1,2\n", NULL, "t.csv: the first line is blank");
    must_fail("a,b,c\n", NULL, "t.csv: there are no samples");
    must_fail("a,b,c\n\n\n", NULL, "t.csv: there are no samples");
    must_fail("a\nx\n", NULL, "1 column, and none is left for features; is the delimiter ',' right?");
    must_fail("a,a,c\n1,2,x\n", NULL, "columns 1 and 2 are both named \"a\"");
    must_fail("a,b\n1,x\ntoo long a text to be shown as it stands here,y\n", NULL,
              "\"too long a text to be shown as it stands...\" is not a number");
    static const char *const not_numbers[] = {"0x10", "1e",    "1e+", "--1", "1.2.3", ".",
                                              "-",    "1_000", "1 2", "e5",  "infin"};
    for (size_t i = 0; i < sizeof not_numbers / sizeof *not_numbers; i++) {
        char text[64];
        snprintf(text, sizeof text, "a,b\n1,x\n%s,y\n", not_numbers[i]);
        must_fail(text, NULL, "is not a number");
    }
    ck_assert_ptr_null(tread_csv_load(test_path("absent"), NULL));
    ck_assert_ptr_nonnull(strstr(tread_last_error(), "cannot open"));
    ck_assert_ptr_null(tread_csv_load(NULL, NULL));
    test_folder_remove();
}
END_TEST

START_TEST(header_or_not) {
    test_folder_create();
    tread_csv_options options = tread_csv_defaults();
    tread_dataset *dataset = must_load("1,2,x\n3,4,y\n", NULL);
    ck_assert_int_eq(tread_dataset_count(dataset), 2);
    ck_assert_ptr_null(tread_dataset_feature_name(dataset, 0));
    ck_assert_float_eq(x_at(dataset, 0, 1), 2);
    tread_dataset_destroy(dataset);
    dataset =
        must_load("\"1\",\"a \"\"quoted\"\" one\"\n3,y\n", NULL); /* no header, and the first record is taken again */
    ck_assert_str_eq(tread_dataset_class_name(dataset, 0), "a \"quoted\" one");
    tread_dataset_destroy(dataset);
    options.header = TREAD_CSV_HEADER_YES;
    dataset = must_load("1,2,3\n4,5,6\n", &options);
    ck_assert_int_eq(tread_dataset_count(dataset), 1);
    ck_assert_str_eq(tread_dataset_feature_name(dataset, 0), "1");
    tread_dataset_destroy(dataset);
    options.header = TREAD_CSV_HEADER_NO;
    must_fail("a,b,c\n1,2,3\n", &options, "t.csv:1: column 1: \"a\" is not a number");
    options.header = TREAD_CSV_HEADER_AUTO;
    must_fail("a,2,c\n1,2,3\n", &options,
              "t.csv:1: column 1: \"a\" is not a number; the line is no header, as another");
    must_fail("1,2,3\n4,5\n", &options, "t.csv:2: 2 columns, expected 3");
    test_folder_remove();
}
END_TEST

START_TEST(columns_by_name_and_number) {
    test_folder_create();
    tread_csv_options options = tread_csv_defaults();
    options.target = "kind";
    options.drop = "id,-1";
    tread_dataset *dataset = must_load("id,kind,a,b,note\nq7,cat,1,2,none\nq8,dog,3,4,some\n", &options);
    ck_assert_int_eq(tread_dataset_features(dataset), 2);
    ck_assert_str_eq(tread_dataset_feature_name(dataset, 1), "b");
    ck_assert_int_eq(label_at(dataset, 1), 1);
    tread_dataset_destroy(dataset);
    options.drop = NULL;
    options.task = TREAD_TASK_REGRESSION;
    options.target = "3,\"x,y\"";
    dataset = must_load("a,\"x,y\",c\n1,2,3\n4,5,6\n", &options);
    const float targets[] = {3, 2, 6, 5};
    ck_assert_int_eq(tread_dataset_targets(dataset), 2);
    ck_assert_int_eq(tread_dataset_classes(dataset), 0);
    ck_assert_mem_eq(tread_tensor_data(tread_dataset_y(dataset)), targets, sizeof targets);
    ck_assert_str_eq(tread_dataset_target_name(dataset, 1), "x,y");
    tread_dataset_destroy(dataset);
    options.target = "2"; /* a column of that name goes before the second one */
    options.header = TREAD_CSV_HEADER_YES;
    dataset = must_load("a,b,2,d\n1,2,3,4\n", &options);
    ck_assert_int_eq(tread_dataset_features(dataset), 3);
    ck_assert_float_eq(tread_tensor_float(tread_dataset_y(dataset))[0], 3);
    tread_dataset_destroy(dataset);
    options.target = "z";
    must_fail("a,b\n1,2\n", &options, "no column \"z\", which target names, among 2");
    options.target = "3";
    must_fail("a,b\n1,2\n", &options, "no column \"3\"");
    options.target = "0";
    must_fail("a,b\n1,2\n", &options, "no column \"0\"");
    options.target = "-3";
    options.header = TREAD_CSV_HEADER_AUTO;
    must_fail("1,2\n", &options, "no column \"-3\", which target names, among 2 without names");
    options.target = "a,1";
    must_fail("a,b\n1,2\n", &options, "target names column 1 (\"1\"), which is named before");
    options.target = "a";
    options.drop = "a";
    must_fail("a,b\n1,2\n", &options, "target names column 1");
    options.drop = "";
    must_fail("a,b\n1,2\n", &options, "drop names no column");
    options.drop = "\"a";
    must_fail("a,b\n1,2\n", &options, "drop:1: column 1: \"a\": the quote that begins here is not closed");
    options = with_task(TREAD_TASK_CLASSIFICATION);
    options.target = "a,b";
    must_fail("a,b,c\n1,2,3\n", &options, "target names 2 columns; several targets are for regression");
    options = with_task(TREAD_TASK_NONE);
    dataset = must_load("a,b\n1,2\n", &options);
    ck_assert_int_eq(tread_dataset_features(dataset), 2);
    ck_assert_ptr_null(tread_dataset_y(dataset));
    tread_dataset_destroy(dataset);
    test_folder_remove();
}
END_TEST

START_TEST(classes) {
    test_folder_create();
    tread_dataset *dataset = must_load("1,10\n2,9\n3,-1\n4,10\n", NULL); /* integers: in numeric order */
    const int32_t labels[] = {2, 1, 0, 2};
    ck_assert_int_eq(tread_dataset_classes(dataset), 3);
    ck_assert_mem_eq(tread_tensor_data(tread_dataset_y(dataset)), labels, sizeof labels);
    ck_assert_str_eq(tread_dataset_class_name(dataset, 0), "-1");
    tread_dataset_destroy(dataset);
    dataset = must_load("1,10\n2,9\n3,b\n", NULL); /* not all integers: in byte order */
    ck_assert_str_eq(tread_dataset_class_name(dataset, 0), "10");
    ck_assert_str_eq(tread_dataset_class_name(dataset, 1), "9");
    tread_dataset_destroy(dataset);
    enum { n = 70000 };
    char *text = malloc(n * 32);
    size_t length = 0;
    for (int i = 0; i < n / 2; i++) /* many classes, found again */
        length += (size_t)sprintf(text + length, "%d,c%05d\n%d,c%05d\n", i, i, i, n / 2 - 1 - i);
    dataset = must_load(text, NULL);
    ck_assert_int_eq(tread_dataset_classes(dataset), n / 2);
    for (int i = 0; i < n / 2; i++)
        ck_assert(label_at(dataset, 2 * i) == i && label_at(dataset, 2 * i + 1) == n / 2 - 1 - i);
    tread_dataset_destroy(dataset);
    length = 0;
    for (int i = 0; i < n; i++)
        length += (size_t)sprintf(text + length, "%d,%d\n", i, i);
    must_fail(text, NULL, "t.csv:65537: column 2: \"65536\": more than 65536 different labels");
    free(text);
    test_folder_remove();
}
END_TEST

START_TEST(a_second_file_like_the_first) {
    test_folder_create();
    tread_csv_options options = tread_csv_defaults(), like = tread_csv_defaults();
    options.target = "kind";
    options.drop = "id";
    tread_dataset *train = must_load("id,a,kind,b\n9,1,dog,2\n8,3,cat,4\n", &options);
    like.like = train;
    tread_dataset *test = must_load("b,extra,kind,a\n20,?,dog,10\n", &like); /* by name, in another order */
    ck_assert_int_eq(tread_dataset_classes(test), 2);
    ck_assert_int_eq(label_at(test, 0), 1);
    ck_assert(x_at(test, 0, 0) == 10 && x_at(test, 0, 1) == 20);
    ck_assert_str_eq(tread_dataset_class_name(test, 0), "cat");
    tread_dataset_destroy(test);
    test = must_load("7,10,cat,20\n", &like); /* without names, in the same order */
    ck_assert(x_at(test, 0, 0) == 10 && x_at(test, 0, 1) == 20 && label_at(test, 0) == 0);
    tread_dataset_destroy(test);
    must_fail("7,10,cow,20\n", &like, "t.csv:1: column 3: \"cow\" is none of the other data set's classes");
    must_fail("a,kind\n1,dog\n", &like, "no column \"b\", which the other data set has");
    must_fail("a,b\n1,2\n", &like, "no column \"kind\"");
    must_fail("1,2,3\n", &like, "3 columns, and the other data set's file had 4");
    like.task = TREAD_TASK_NONE; /* to predict: without the target */
    test = must_load("b,a\n20,10\n", &like);
    ck_assert(x_at(test, 0, 0) == 10 && tread_dataset_y(test) == NULL);
    tread_dataset_destroy(test);
    test = must_load("10,20\n", &like);
    ck_assert(x_at(test, 0, 0) == 10 && x_at(test, 0, 1) == 20);
    tread_dataset_destroy(test);
    test = must_load("7,10,dog,20\n", &like); /* and with it */
    ck_assert(tread_dataset_features(test) == 2 && x_at(test, 0, 1) == 20 && tread_dataset_y(test) == NULL);
    tread_dataset_destroy(test);
    like.task = TREAD_TASK_REGRESSION;
    must_fail("a,b\n1,2\n", &like, "task is regression, and like has labels");
    like.task = TREAD_TASK_AUTO;
    like.target = "a";
    must_fail("a,b\n1,2\n", &like, "target is given, and like");
    like.target = NULL;
    like.drop = "a";
    must_fail("a,b\n1,2\n", &like, "drop is given, and like");
    tread_dataset_destroy(train);
    const float values[] = {1, 2};
    train = tread_dataset_from_targets(1, 1, values, 1, values + 1);
    like = tread_csv_defaults();
    like.like = train;
    must_fail("a,b\n1,2\n", &like, "like is not of a CSV file");
    tread_dataset_destroy(train);
    options = with_task(TREAD_TASK_REGRESSION);
    train = must_load("a,b\n1,2.5\n", &options);
    like.like = train;
    test = must_load("b,a\n0.5,9\n", &like);
    ck_assert_float_eq(tread_tensor_float(tread_dataset_y(test))[0], 0.5f);
    tread_dataset_destroy(test);
    tread_dataset_destroy(train);
    options = with_task(TREAD_TASK_NONE);
    train = must_load("a,b\n1,2\n", &options);
    like.like = train;
    test = must_load("b,a\n5,9\n", &like);
    ck_assert(x_at(test, 0, 0) == 9 && tread_dataset_y(test) == NULL);
    tread_dataset_destroy(test);
    tread_dataset_destroy(train);
    test_folder_remove();
}
END_TEST

START_TEST(missing_values_and_those_not_finite) {
    static const char text[] = "a,b,c\n1,,x\n2,5,y\n?, NA ,x\n4,6,\n";
    test_folder_create();
    tread_csv_options options = tread_csv_defaults();
    options.missing = TREAD_MISSING_SKIP;
    tread_dataset *dataset = must_load(text, &options);
    ck_assert_int_eq(tread_dataset_count(dataset), 1);
    ck_assert_float_eq(x_at(dataset, 0, 0), 2);
    tread_dataset_destroy(dataset);
    options.missing = TREAD_MISSING_FILL;
    options.missing_value = -7;
    dataset = must_load(text, &options);
    ck_assert_int_eq(tread_dataset_count(dataset), 3); /* a label cannot be filled in */
    ck_assert(x_at(dataset, 0, 1) == -7 && x_at(dataset, 2, 0) == -7 && x_at(dataset, 2, 1) == -7);
    tread_dataset_destroy(dataset);
    options.missing_value = NAN;
    must_fail(text, &options, "missing_value = nan is not finite");
    options.allow_not_finite = true;
    dataset = must_load("a,b,c\n1,,x\n2,-Infinity,y\n3,1e40,x\n4,NaN,x\n", &options);
    ck_assert(isnan(x_at(dataset, 0, 1)) && x_at(dataset, 1, 1) == -INFINITY && x_at(dataset, 2, 1) == INFINITY);
    ck_assert(isnan(x_at(dataset, 3, 1)));
    tread_dataset_destroy(dataset);
    options = tread_csv_defaults();
    options.missing = TREAD_MISSING_SKIP;
    must_fail("a,b\n,x\n", &options, "there are no samples, or each lacks a value");
    options.task = TREAD_TASK_REGRESSION;
    dataset = must_load("a,b\n1,\n2,3\n", &options);
    ck_assert_int_eq(tread_dataset_count(dataset), 1);
    tread_dataset_destroy(dataset);
    options.missing = TREAD_MISSING_FILL; /* features alone */
    dataset = must_load("a,b\n1,\n,3\n", &options);
    ck_assert(tread_dataset_count(dataset) == 1 && x_at(dataset, 0, 0) == 0);
    tread_dataset_destroy(dataset);
    test_folder_remove();
}
END_TEST

START_TEST(options_out_of_range) {
    test_folder_create();
    static const char refused[] = "\n\r\"0a.+-?_";
    for (size_t i = 0; i < sizeof refused; i++) { /* with the zero at its end */
        tread_csv_options options = tread_csv_defaults();
        options.delimiter = refused[i];
        must_fail("1,2\n", &options, "is not a comma, semicolon, tab or the like");
    }
    tread_csv_options options = tread_csv_defaults();
    options.delimiter = ';';
    tread_dataset *dataset = must_load("a;b\n1;\"x;y\"\n2;z,w\n", &options);
    ck_assert_str_eq(tread_dataset_class_name(dataset, 1), "z,w");
    tread_dataset_destroy(dataset);
    options.delimiter = '\t';
    dataset = must_load("1\t2\tx\n", &options);
    ck_assert_int_eq(tread_dataset_features(dataset), 2);
    tread_dataset_destroy(dataset);
    options = tread_csv_defaults();
    options.header = (tread_csv_header)3;
    must_fail("1,2\n", &options, "header = 3 is outside 0..2");
    options = with_task((tread_task)4);
    must_fail("1,2\n", &options, "task = 4 is outside 0..3");
    options = tread_csv_defaults();
    options.missing = (tread_missing)-1;
    must_fail("1,2\n", &options, "missing = -1 is outside 0..2");
    options = with_task(TREAD_TASK_NONE);
    options.target = "1";
    must_fail("1,2\n", &options, "target = \"1\", and the task is to have none");
    options.size = 3;
    must_fail("1,2\n", &options, "options.size is 3");
    test_folder_remove();
}
END_TEST

/* Records and fields longer than the buffer, and fields that end where it ends: every byte of the file is once the last
 * of a read. */
START_TEST(long_fields_and_many_bytes) {
    test_folder_create();
    enum { limit = TREAD_CSV_MAX_FIELD };
    char *text = malloc(5 * limit);
    for (int quoted = 0; quoted < 2; quoted++)
        for (int over = 0; over < 2; over++) {
            size_t length = (size_t)sprintf(text, "1,%s", quoted ? "\"" : "");
            memset(text + length, 'z', limit + (size_t)over);
            length += limit + (size_t)over;
            strcpy(text + length, quoted ? "\"\n2,y\n" : "\n2,y\n");
            if (over) {
                must_fail(text, NULL,
                          "t.csv:1: column 2: \"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz...\": a field of more than a "
                          "million bytes");
                continue;
            }
            tread_dataset *dataset = must_load(text, NULL);
            ck_assert_uint_eq(strlen(tread_dataset_class_name(dataset, 1)), limit);
            tread_dataset_destroy(dataset);
        }
    const int lines = 500000; /* of 6 to 13 bytes: more than two buffers, cut anywhere */
    size_t length = 0;
    for (int i = 0; i < lines; i++)
        length += (size_t)sprintf(text + length, i % 7 == 0 ? "%d,\"c\"\r\n" : "%d,c\n", i % 100 == 0 ? i : i % 10);
    ck_assert_uint_gt(length, 2 * (size_t)limit);
    tread_dataset *dataset = must_load(text, NULL);
    ck_assert_int_eq(tread_dataset_count(dataset), lines);
    ck_assert_int_eq(tread_dataset_classes(dataset), 1);
    for (int i = 0; i < lines; i++)
        ck_assert_float_eq(x_at(dataset, i, 0), (float)(i % 100 == 0 ? i : i % 10));
    tread_dataset_destroy(dataset);
    for (int64_t i = 0; i <= TREAD_CSV_MAX_COLUMNS; i++)
        memcpy(text + 2 * i, "1,", 2);
    strcpy(text + 2 * TREAD_CSV_MAX_COLUMNS + 1, "\n");
    must_fail(text, NULL, "t.csv:1: column 1048577: \"1\": more than a million columns");
    text[2 * TREAD_CSV_MAX_COLUMNS - 1] = '\n';
    text[2 * TREAD_CSV_MAX_COLUMNS] = '\0';
    dataset = must_load(text, NULL);
    ck_assert_int_eq(tread_dataset_features(dataset), TREAD_CSV_MAX_COLUMNS - 1);
    tread_dataset_destroy(dataset);
    for (int pad = 0; pad < 10;
         pad++) { /* a buffer ends at each byte of a record and its line end, and another follows */
        length = (size_t)sprintf(text, "1,%.*sc\n", pad, "zzzzzzzzzzzz");
        while (length < 4 * (size_t)limit + 100)
            length += (size_t)sprintf(text + length, "\"7.25\",c\r\n7.5,c\r\n");
        dataset = must_load(text, NULL);
        ck_assert_int_eq(tread_dataset_classes(dataset), pad > 0 ? 2 : 1);
        for (int64_t i = 1; i < tread_dataset_count(dataset); i++)
            ck_assert(x_at(dataset, i, 0) == (i % 2 == 1 ? 7.25f : 7.5f));
        tread_dataset_destroy(dataset);
    }
    free(text);
    test_folder_remove();
}
END_TEST

/* What gzip makes small is limited too. */
START_TEST(a_first_record_without_end) {
    test_folder_create();
    size_t n = 65 * ((size_t)1 << 20);
    char *text = malloc(n);
    memset(text, 'z', n);
    for (size_t i = 100000; i < n; i += 100000)
        text[i] = ',';
    test_write_gzip(test_path("t.csv"), text, n);
    ck_assert_ptr_null(tread_csv_load(test_path("t.csv"), NULL));
    ck_assert_ptr_nonnull(strstr(tread_last_error(), "a first record of more than 64 MiB"));
    free(text);
    test_folder_remove();
}
END_TEST

START_TEST(every_truncation_loads_or_says_why) {
    static const char text[] = "a,\"b\"\"\",c\r\n1,2,\"x\ny\"\r\n-3.5e1,4,\"\"\"z\"\r\n";
    test_folder_create();
    int loaded = 0;
    for (size_t n = 0; n <= strlen(text); n++) {
        uint64_t before = tread_memory_live_blocks();
        test_write(test_path("t.csv"), text, n);
        tread_dataset *dataset = tread_csv_load(test_path("t.csv"), NULL);
        loaded += dataset != NULL;
        ck_assert(dataset != NULL || strstr(tread_last_error(), "t.csv") != NULL);
        tread_dataset_destroy(dataset);
        ck_assert_uint_eq(tread_memory_live_blocks(), before);
    }
    ck_assert_int_ge(loaded, 3);
    test_folder_remove();
}
END_TEST

START_TEST(every_allocation_failing) {
    static const char text[] = "id,a,\"b\"\"\",c\nq,1,2,x\nq,3,4,y\n";
    test_folder_create();
    test_write_gzip(test_path("t.csv"), text, strlen(text));
    tread_csv_options options = tread_csv_defaults();
    options.drop = "id";
    tread_dataset *train = tread_csv_load(test_path("t.csv"), &options), *dataset = NULL;
    ck_assert_ptr_nonnull(train);
    for (int like = 0; like < 2; like++, dataset = NULL) {
        tread_csv_options with_like = tread_csv_defaults();
        with_like.like = train;
        uint64_t before = tread_memory_live_blocks(), k = 1;
        for (; dataset == NULL; k++) {
            tread_memory_fail_at(k);
            dataset = tread_csv_load(test_path("t.csv"), like ? &with_like : &options);
            bool failed = tread_memory_failed();
            tread_memory_fail_at(0);
            ck_assert_int_eq(dataset == NULL, failed);
            ck_assert_msg(dataset != NULL || strstr(tread_last_error(), "out of memory") != NULL, "%s",
                          tread_last_error());
            ck_assert(dataset != NULL || tread_memory_live_blocks() == before);
        }
        ck_assert_uint_gt(k, 15);
        tread_dataset_destroy(dataset);
    }
    tread_dataset_destroy(train);
    test_folder_remove();
}
END_TEST

/* Columns that changed places are another set, whatever the numbers. */
START_TEST(features_in_a_state) {
    test_folder_create();
    tread_dataset *first = must_load("a,b,y\n1,2,cat\n2,3,dog\n", NULL), *bare = must_load("1,2,cat\n2,3,dog\n", NULL);
    tread_dataset *turned = must_load("b,a,y\n1,2,cat\n2,3,dog\n", NULL),
                  *latin = must_load("\xe4,b,y\n1,2,cat\n", NULL);
    ck_assert_ok(tread_dataset_standardize(NULL, first));
    tread_state *state = tread_dataset_state_dict(first), *nameless = tread_dataset_state_dict(latin);
    ck_assert_uint_eq(tread_state_count(tread_state_find(state, "names")), 2);
    ck_assert_fails(tread_dataset_load_state_dict(turned, state), TREAD_ERROR_ARGUMENT,
                    "feature 0 is a, and the data set's is b");
    ck_assert_ptr_null(tread_dataset_feature_means(turned));
    ck_assert_ok(tread_dataset_load_state_dict(first, state));
    ck_assert_ok(tread_dataset_load_state_dict(bare, state)); /* without names, the order is all there is */
    ck_assert_ptr_null(tread_state_find(nameless, "names"));  /* no UTF-8: it could not be saved */
    tread_state_destroy(state);
    tread_state_destroy(nameless);
    tread_dataset_destroy(first);
    tread_dataset_destroy(bare);
    tread_dataset_destroy(turned);
    tread_dataset_destroy(latin);
    test_folder_remove();
}
END_TEST

/* What a checkpoint keeps: the names, which must be those of the data that it is used with. */
START_TEST(classes_in_a_state) {
    test_folder_create();
    tread_dataset *first = must_load("1,cat\n2,dog\n", NULL), *same = must_load("1,dog\n5,cat\n", NULL);
    tread_dataset *other = must_load("1,cat\n2,cow\n", NULL), *more = must_load("1,cat\n2,dog\n3,owl\n", NULL);
    ck_assert_ok(tread_dataset_standardize(NULL, first));
    tread_state *state = tread_dataset_state_dict(first);
    const char *name;
    ck_assert_uint_eq(tread_state_count(tread_state_find(state, "classes")), 2);
    ck_assert_ok(tread_state_as_string(tread_state_at(tread_state_find(state, "classes"), 1), &name));
    ck_assert_str_eq(name, "dog");
    ck_assert_ok(tread_dataset_load_state_dict(same, state));
    ck_assert_double_eq(tread_dataset_feature_means(same)[0], 1.5);
    ck_assert_fails(tread_dataset_load_state_dict(other, state), TREAD_ERROR_ARGUMENT,
                    "class 1 is dog, and the data set's is cow");
    ck_assert_fails(tread_dataset_load_state_dict(more, state), TREAD_ERROR_ARGUMENT,
                    "2 classes, and the data set has 3");
    ck_assert_ptr_null(tread_dataset_feature_means(other));
    tread_state_destroy(state);
    tread_dataset_destroy(first);
    tread_dataset_destroy(same);
    tread_dataset_destroy(other);
    tread_dataset_destroy(more);
    test_folder_remove();
}
END_TEST

TEST_MAIN("csv", a_table_with_header_and_text_labels, all_notations_of_one_table, quotes,
          what_is_wrong_is_said_with_its_place, header_or_not, columns_by_name_and_number, classes,
          a_second_file_like_the_first, missing_values_and_those_not_finite, options_out_of_range,
          long_fields_and_many_bytes, a_first_record_without_end, every_truncation_loads_or_says_why,
          every_allocation_failing, classes_in_a_state, features_in_a_state)
