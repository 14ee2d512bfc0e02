/* tread train and tread eval on files: CSV, TSV, NPY and NPZ. */
#include <stdio.h>
#include <string.h>

#include "tests/cli/command.h"
#include "tests/engine/arrays.h"
#include "tests/engine/files.h"
#include "tests/test.h"

#define SMALL " --hidden 16 --batch-size 16 --optimizer adam:lr=0.01 --threads 1 "

/* Three kinds of points on a plane, far apart on scales that differ by a thousand, with an id in front; and a number to
 * be predicted. */
static void write_table(const char *name, int n, char delimiter, const char *const kinds[3]) {
    char *text = malloc((size_t)n * 64 + 64);
    const char d = delimiter;
    size_t length = (size_t)sprintf(text, "id%cheight%cwidth%ckind%cprice\n", d, d, d, d);
    uint32_t noise = (uint32_t)n;
    for (int i = 0; i < n; i++) {
        int kind = i % 3;
        double values[2];
        for (int k = 0; k < 2; k++) {
            noise = noise * 1664525 + 1013904223;
            values[k] = (double)(noise >> 8) / 16777216;
        }
        double height = 1000 * (kind == 0) + 300 * values[0], width = 0.001 * (kind == 1) + 0.0003 * values[1];
        length += (size_t)sprintf(text + length, "q%d%c%.3f%c%.7f%c%s%c%.4f\n", i, d, height, d, width, d, kinds[kind],
                                  d, height / 1000 + 1000 * width);
    }
    test_write(test_path(name), text, length);
    free(text);
}

static const char *const kinds[] = {"cat", "dog", "owl"};

/* The number behind a text in what the command said. */
static double said(const char *text) {
    const char *at = strstr(command_output, text);
    ck_assert_msg(at != NULL, "no \"%s\" in: %s", text, command_output);
    while (strstr(at + 1, text) != NULL)
        at = strstr(at + 1, text);
    return strtod(at + strlen(text), NULL);
}

START_TEST(a_table_is_learned_and_evaluated) {
    test_folder_create();
    write_table("t.csv", 300, ',', kinds);
    command_must_succeed(
        "train --data t.csv --target kind --drop id,price --standardize --epochs 20 --seed 3 --weights w" SMALL);
    command_must_contain(command_output, "data   t.csv: 240 samples to train on, 60 to test", "train");
    command_must_contain(command_output, "mlp 2-16-3, relu", "train");
    double accuracy = said("; test accuracy ");
    ck_assert_double_ge(accuracy, 98); /* without --standardize the widths are lost beside the heights */
    command_must_succeed("eval --data t.csv --target kind --drop 1,5 --standardize --seed 3 --weights w --hidden 16");
    ck_assert_double_eq(said("accuracy "), accuracy);
    command_must_contain(command_output, "60 samples, loss ", "eval");
    command_must_succeed(
        "eval --data t.csv --target kind --drop id,price --standardize --seed 3 --weights w --hidden 16 --set train");
    command_must_contain(command_output, "240 samples, loss ", "eval");
    command_must_succeed("train --data t.csv --target kind --drop id,price --epochs 3 --validation 0.5" SMALL);
    command_must_contain(command_output, "150 samples to train on, 150 to test", "train");
    ck_assert_double_lt(said("; test accuracy "), 98);
    test_folder_remove();
}
END_TEST

START_TEST(a_second_table_to_test_on) {
    static const char *const others[] = {"cat", "cow", "owl"};
    test_folder_create();
    write_table("t.tsv", 300, '\t', kinds);
    write_table("u.tsv", 90, '\t', kinds);
    write_table("v.tsv", 90, '\t', others);
    command_must_succeed(
        "train --data t.tsv --test u.tsv --target kind --drop id,price --standardize --epochs 10" SMALL);
    command_must_contain(command_output, "300 samples to train on, 90 to test", "train");
    ck_assert_double_ge(said("; test accuracy "), 98);
    ck_assert_int_eq(command_run("train --data t.tsv --test v.tsv --target kind --drop id,price"), 1);
    command_must_contain(command_error, "v.tsv:3: column 4: \"cow\" is none of the other data set's classes", "train");
    ck_assert_int_eq(command_run("train --data t.tsv --target kind"), 1);
    command_must_contain(command_error, "t.tsv:2: column 1: \"q0\" is not a number", "train");
    test_folder_remove();
}
END_TEST

/* A table is the same, whatever stands between its fields. */
START_TEST(other_delimiters_are_taken) {
    static const struct {
        char delimiter;
        const char *typed;
    } others[] = {{';', "';'"}, {'|', "'|'"}, {'\t', "tab"}, {'\t', "'\\t'"}, {' ', "' '"}};
    test_folder_create();
    write_table("t.csv", 90, ',', kinds);
    write_table("v.csv", 30, ',', kinds);
#define OF_TABLE "--target kind --drop id,price"
    command_must_succeed("train --data t.csv --test v.csv --epochs 2 --weights ref " OF_TABLE SMALL);
    command_must_succeed("eval --data t.csv --set train --weights ref --hidden 16 " OF_TABLE);
    const double loss = said("samples, loss ");
    command_must_succeed("predict --data t.csv --weights ref --out ref.csv --drop id,kind,price");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char line[512];
        write_table("o.csv", 90, others[i].delimiter, kinds);
        write_table("v.csv", 30, others[i].delimiter, kinds);
        snprintf(
            line, sizeof line,
            "train --data o.csv --test v.csv --epochs 2 --weights w --checkpoint ck --delimiter %s " OF_TABLE SMALL,
            others[i].typed);
        command_must_succeed(line);
        ck_assert_msg(command_shell("cmp w ref") == 0, "%s", others[i].typed);
        snprintf(line, sizeof line, "eval --data o.csv --set train --weights w --hidden 16 --delimiter %s " OF_TABLE,
                 others[i].typed);
        command_must_succeed(line);
        ck_assert_double_eq(said("samples, loss "), loss);
        snprintf(line, sizeof line, "predict --data o.csv --weights w --out p.csv --drop id,kind,price --delimiter %s",
                 others[i].typed);
        command_must_succeed(line);
        ck_assert_msg(command_shell("cmp p.csv ref.csv") == 0, "%s", others[i].typed);
        command_must_succeed("predict --data o.csv --weights ck/best.safetensors"); /* it knows */
        ck_assert_int_eq(command_run("train --data o.csv " OF_TABLE), 1);
        ck_assert_int_eq(command_shell("rm -r ck"), 0);
    }
    ck_assert_int_eq(command_run("train --data o.csv"), 1);
    command_must_contain(command_error, "1 column, and none is left for features; is the delimiter ',' right?", "hint");
    ck_assert_int_eq(command_run("train --data t.csv --delimiter tab"), 1);
    command_must_contain(command_error, "; is the delimiter '\\t' right?", "hint");
    static const char *const wrong[] = {"train --data t.csv --delimiter ''",
                                        "eval --data t.csv --delimiter ';;'",
                                        "predict --weights w --data t.csv --delimiter x",
                                        "train --data t.csv --delimiter .",
                                        "train --data . --delimiter ';'",
                                        "predict --weights w --data t.npy --delimiter ';'",
                                        "train --data t.npz --delimiter ';'"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert_msg(command_run(wrong[i]) == 2, "%s", wrong[i]);
        command_must_contain(command_error, "--delimiter", wrong[i]);
    }
    test_folder_remove();
}
END_TEST

START_TEST(numbers_are_predicted) {
    test_folder_create();
    write_table("t.csv", 300, ',', kinds);
    command_must_succeed(
        "train --data t.csv --target price --drop id,kind --task regression --standardize --epochs 30 --log l" SMALL);
    command_must_contain(command_output, "mlp 2-16-1, relu", "train");
    ck_assert_ptr_null(strstr(command_output, "accuracy"));
    ck_assert_ptr_null(strstr(command_output, "nan"));
    ck_assert_double_lt(said("test loss "), 0.01); /* prices have a variance of 0.2 */
    size_t n;
    char *log = (char *)test_read(test_path("l"), &n);
    command_must_contain(log, "\"test_accuracy\":null", "the log");
    free(log);
    command_must_succeed(
        "train --data t.csv --target price,height --drop id,kind --task regression --epochs 1 --weights w" SMALL);
    command_must_contain(command_output, "mlp 1-16-2, relu", "train");
    command_must_succeed(
        "eval --data t.csv --target price,height --drop id,kind --task regression --weights w --hidden 16");
    ck_assert_ptr_null(strstr(command_output, "accuracy"));
    command_must_contain(command_output, "60 samples, loss ", "eval");
    test_folder_remove();
}
END_TEST

static void write_arrays(int n) {
    float *x = malloc((size_t)n * 2 * sizeof *x);
    uint8_t *y = malloc((size_t)n);
    char literal[128];
    for (int i = 0; i < n; i++) {
        y[i] = (uint8_t)(i % 2);
        x[2 * i] = (float)(i % 2) + (float)(i % 7) / 20;
        x[2 * i + 1] = (float)(i % 11) / 11;
    }
    snprintf(literal, sizeof literal, "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, 2), }", n);
    test_bytes x_file = test_npy(1, literal, x, (size_t)n * 2 * sizeof *x);
    snprintf(literal, sizeof literal, "{'descr': '|u1', 'fortran_order': False, 'shape': (%d,), }", n);
    test_bytes y_file = test_npy(1, literal, y, (size_t)n);
    const test_entry entries[] = {{"x.npy", x_file, true, false}, {"kind.npy", y_file, true, false}};
    test_bytes zip = test_zip(entries, 2, false);
    test_write(test_path("x.npy"), x_file.data, x_file.n);
    test_write(test_path("y.npy"), y_file.data, y_file.n);
    test_write(test_path("a.npz"), zip.data, zip.n);
    free(zip.data);
    free(x_file.data);
    free(y_file.data);
    free(x);
    free(y);
}

START_TEST(arrays_are_learned) {
    test_folder_create();
    write_arrays(200);
    command_must_succeed("train --data a.npz --target kind --epochs 10" SMALL);
    command_must_contain(command_output, "data   a.npz: 160 samples to train on, 40 to test", "train");
    ck_assert_double_ge(said("; test accuracy "), 98);
    command_must_succeed("train --data x.npy --target y.npy --epochs 10" SMALL);
    ck_assert_double_ge(said("; test accuracy "), 98);
    command_must_succeed("train --data a.npz --test a.npz --target kind --epochs 1" SMALL);
    command_must_contain(command_output, "200 samples to train on, 200 to test", "train");
    command_must_succeed("train --data a.npz --target kind --task regression --epochs 1" SMALL);
    command_must_contain(command_output, "mlp 2-16-1", "train");
    ck_assert_int_eq(command_run("train --data a.npz"), 1);
    command_must_contain(command_error, "a.npz: there is no y.npy among x.npy, kind.npy", "train");
    test_folder_remove();
}
END_TEST

START_TEST(combinations_that_make_no_sense) {
    static const struct {
        const char *arguments, *part;
    } cases[] = {
        {"train --target kind", "--target goes with a file as --data, and the data is a folder of IDX files"},
        {"train --data . --validation 0.2", "--validation goes with a file as --data"},
        {"train --data absent --test t.csv", "--test goes with a file"},
        {"train --data t.txt", "--data: t.txt ends in none of .csv, .tsv, .npy"},
        {"train --data x.npy", "--target must name the NPY file"},
        {"train --data x.npy --target y.npy --test x.npy", "--test needs samples and targets in one file"},
        {"train --data x.npy --target y.npy --drop a", "--drop names columns, which x.npy does not have"},
        {"train --data t.csv --test t.csv --validation 0.2", "--validation and --test both say what to test on"},
        {"train --data t.csv --validation 0", "--validation: 0 leaves nothing to test on"},
        {"train --data t.csv --validation 1", "--validation: 1 leaves nothing to train on"},
        {"train --data t.csv --validation 1.5", "--validation: 1.5 is not a number from 0 to 1"},
        {"train --data t.csv --validation nan", "--validation: nan is not a number from 0 to 1"},
        {"train --data t.csv --validation 0.2x", "--validation: 0.2x is not a number"},
        {"train --data t.csv --task guess", "--task: unknown name guess; allowed: classification, regression"},
        {"eval --weights w --data t.txt", "--data: t.txt ends in none of"},
    };
    test_folder_create();
    write_table("t.csv", 10, ',', kinds);
    write_table("t.txt", 10, ',', kinds);
    write_arrays(10);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_msg(command_run(cases[i].arguments) == 2, "tread %s: %s", cases[i].arguments, command_error);
        command_must_contain(command_error, cases[i].part, cases[i].arguments);
    }
    test_folder_remove();
}
END_TEST

/* The folder's images too: by feature instead of by one number for all. */
START_TEST(images_are_standardized) {
    test_folder_create();
    test_write_mnist(300, 70, 6, 6, 4, false);
    command_must_succeed("train --data . --epochs 1 --seed 1 --weights a" SMALL);
    command_must_succeed("train --data . --epochs 1 --seed 1 --weights b --standardize" SMALL);
    command_must_contain(command_output, "300 samples to train on, 70 to test", "train");
    ck_assert_int_eq(command_shell("cmp -s a b"), 1);
    test_folder_remove();
}
END_TEST

TEST_MAIN("data", a_table_is_learned_and_evaluated, other_delimiters_are_taken, a_second_table_to_test_on,
          numbers_are_predicted, arrays_are_learned, combinations_that_make_no_sense, images_are_standardized)
