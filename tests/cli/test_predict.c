/* tread predict: from weights and from checkpoints, to CSV and NPY. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <tread/files.h>

#include "core/tensor.h"
#include "tests/cli/command.h"
#include "tests/engine/files.h"
#include "tests/test.h"

enum { ROWS = 120, CLASSES = 3 };
static const char *const quoted[CLASSES] = {"red", "\"green, say\"", "\"a \"\"blue\"\" one\""};

/* all.csv has the label in the middle; inputs.csv has the inputs alone. Both features are far from 0 and 1. */
static void setup(void) {
    test_folder_create();
    FILE *all = fopen(test_path("all.csv"), "w"), *inputs = fopen(test_path("inputs.csv"), "w");
    ck_assert(all != NULL && inputs != NULL);
    fprintf(all, "a,colour,b\n");
    fprintf(inputs, "a,b\n");
    for (int i = 0; i < ROWS; i++) {
        int k = i % CLASSES;
        double a = 500 + 40 * (k == 0) + (i * 7) % 10, b = 3 + 0.4 * (k == 1) + 0.01 * ((i * 3) % 10);
        fprintf(all, "%g,%s,%g\n", a, quoted[k], b);
        fprintf(inputs, "%g,%g\n", a, b);
    }
    fclose(all);
    fclose(inputs);
}

static void tear_down(void) {
    ck_assert_int_eq(command_shell("rm -rf ck*"), 0);
    test_folder_remove();
}

#define TRAIN                                                                                                          \
    "train --data all.csv --target colour --hidden 8 --activation tanh --standardize --batch-size 16 --epochs 60 "     \
    "--optimizer adam:lr=0.05 "

/* How many lines have the label of their row; every line is looked at. */
static int count_right(const char *path, double *ret_probabilities) {
    size_t n;
    char *text = (char *)test_read(test_path(path), &n), *line = strchr(text, '\n') + 1;
    int right = 0, i = 0;
    for (char *end; (end = strchr(line, '\n')) != NULL; line = end + 1, i++) {
        *end = '\0';
        ck_assert_int_lt(i, ROWS);
        size_t length = strlen(quoted[i % CLASSES]);
        right += strncmp(line, quoted[i % CLASSES], length) == 0 && line[length] == ',';
        double *p = ret_probabilities + (ptrdiff_t)i * CLASSES;
        const char *numbers = line[0] == '"' ? strstr(line, "\",") + 2 : strchr(line, ',') + 1;
        ck_assert_int_eq(sscanf(numbers, "%lf,%lf,%lf", &p[0], &p[1], &p[2]), 3);
        ck_assert_double_eq_tol(p[0] + p[1] + p[2], 1, 1e-6);
    }
    ck_assert_int_eq(i, ROWS);
    free(text);
    return right;
}

START_TEST(a_checkpoint_knows_all_that_is_needed) {
    static double all[ROWS * CLASSES], inputs[ROWS * CLASSES];
    setup();
    command_must_succeed(TRAIN "--checkpoint ck");
    command_must_succeed("predict --weights ck/best.safetensors --data all.csv --out all_out.csv");
    command_must_contain(command_output, "wrote  all_out.csv: 120 samples (model of ck/best.safetensors)", "said");
    command_must_succeed("predict --weights ck/best.safetensors --data inputs.csv --out inputs_out.csv");
    ck_assert_int_eq(count_right("all_out.csv", all), ROWS); /* standardised, or nothing would be right */
    ck_assert_int_eq(count_right("inputs_out.csv", inputs), ROWS);
    ck_assert_mem_eq(all, inputs, sizeof all);
    ck_assert_int_eq(command_shell("head -1 all_out.csv | grep -Fx "
                                   "'class,\"p_a \"\"blue\"\" one\",\"p_green, say\",p_red'"),
                     0); /* classes are in the order of bytes */
    command_must_succeed("predict --weights ck/best.safetensors --data inputs.csv --out p.npy");
    tread_tensor *p = tread_npy_read(test_path("p.npy"));
    ck_assert_msg(p != NULL && p->rank == 2 && p->shape[0] == ROWS && p->shape[1] == CLASSES, "%s", tread_last_error());
    for (int i = 0; i < ROWS * CLASSES; i++)
        ck_assert(tread_tensor_float(p)[i] == (float)inputs[i]);
    tread_tensor_destroy(p);
    command_must_succeed("predict --weights ck/best.safetensors --data inputs.csv --out c.npy --what class");
    p = tread_npy_read(test_path("c.npy"));
    ck_assert(p != NULL && p->rank == 1 && p->dtype == TREAD_INT32);
    for (int i = 0; i < ROWS; i++)
        ck_assert_int_eq(((int32_t *)p->data)[i], CLASSES - 1 - i % CLASSES);
    tread_tensor_destroy(p);
    command_must_succeed("predict --weights ck/best.safetensors --data inputs.csv --what class");
    char expected[64];
    snprintf(expected, sizeof expected, "class\n%s\n%s\n%s\n", quoted[0], quoted[1], quoted[2]);
    command_must_contain(command_output, expected, "standard output");
    tear_down();
}
END_TEST

/* The weights for use: what train writes is what predict finds in the checkpoint. */
/* Nobody needs what training left out: it may be there, in part or as a whole, or be missing. */
START_TEST(what_training_left_out_may_be_missing) {
    static const char *const files[] = {"id.csv", "all.csv", "inputs.csv", "id_inputs.csv"};
    setup();
    ck_assert_int_eq(command_shell("sed 's/^/\"row, one\",/; 1s/.*/id,a,colour,b/' all.csv > id.csv; "
                                   "sed 's/^/\"row, one\",/; 1s/.*/id,a,b/' inputs.csv > id_inputs.csv"),
                     0);
    command_must_succeed("train --data id.csv --drop id --target colour --hidden 8 --epochs 1 --checkpoint ck");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char line[256];
        snprintf(line, sizeof line, "predict --weights ck/best.safetensors --data %s --out %zu.npy", files[i], i);
        command_must_succeed(line);
        snprintf(line, sizeof line, "cmp 0.npy %zu.npy", i);
        ck_assert_int_eq(command_shell(line), 0);
    }
    ck_assert_int_eq(command_run("predict --weights ck/best.safetensors --data inputs.csv --drop id"), 1);
    command_must_contain(command_error, "no column \"", "what was asked for must be there");
    tear_down();
}
END_TEST

/* The network would take one for the other, and say something all the same. */
START_TEST(columns_that_changed_places_are_refused) {
    setup();
    command_must_succeed(TRAIN "--checkpoint ck --scheduler none");
    ck_assert_int_eq(command_shell("awk -F, '{print $2\",\"$1}' inputs.csv > turned.csv"), 0);
    ck_assert_int_eq(command_run("predict --weights ck/best.safetensors --data turned.csv --out p.csv"), 1);
    command_must_contain(command_error, "feature 0 is a, and the data set's is b", "predict");
    ck_assert_int_eq(command_shell("sed -i 's/^a,colour,b/b,colour,a/' all.csv"), 0);
    ck_assert_int_eq(command_run(TRAIN "--checkpoint ck --scheduler none --resume"), 1);
    command_must_contain(command_error, "data.set.names.0: 'a', not 'b'", "resume");
    tear_down();
}
END_TEST

START_TEST(averaged_and_best_weights_are_found) {
    static const struct {
        const char *options, *which;
    } kinds[] = {{"--ema 0.9", "ema"},
                 {"--early-stop 1000", "best"},
                 {"--ema 0.5 --early-stop 1000", "best"},
                 {"--optimizer schedule_free_adamw:lr=0.05 --split-decay", "averaged"}};
    setup();
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char line[512];
        snprintf(line, sizeof line,
                 "train --data all.csv --target colour --hidden 8 --batch-size 16 --epochs 3 --checkpoint ck%zu "
                 "--weights w%zu %s",
                 i, i, kinds[i].options);
        command_must_succeed(line);
        for (int k = 0; k < 2; k++) {
            if (k == 0)
                snprintf(line, sizeof line, "predict --weights w%zu --data inputs.csv --what probabilities --out 0.npy",
                         i);
            else
                snprintf(line, sizeof line,
                         "predict --weights ck%zu/step-000000000018.safetensors --data inputs.csv --out 1.npy", i);
            command_must_succeed(line);
        }
        command_must_contain(command_output, kinds[i].which, "which weights");
        ck_assert_msg(command_shell("cmp 0.npy 1.npy") == 0, "%s", kinds[i].options);
    }
    tear_down();
}
END_TEST

/* eval finds the same: what train said of its last evaluation. */
START_TEST(eval_takes_checkpoints) {
    setup();
    command_must_succeed("train --data all.csv --target colour --hidden 8,4 --activation tanh --standardize "
                         "--batch-size 16 --epochs 3 --ema 0.5 --checkpoint ck");
    const char *loss = strstr(command_output, "epoch 3   train loss");
    double expected, found;
    ck_assert(loss != NULL && sscanf(strstr(loss, "test loss"), "test loss %lf", &expected) == 1);
    command_must_succeed("eval --weights ck/step-000000000018.safetensors --data all.csv --target colour");
    loss = strstr(command_output, "samples, loss ");
    ck_assert(loss != NULL && sscanf(loss, "samples, loss %lf", &found) == 1);
    ck_assert_double_eq_tol(found, expected, 6e-6);
    tear_down();
}
END_TEST

/* A limit on the size of files stands for a disk that is full. */
START_TEST(a_file_is_replaced_whole_or_not_at_all) {
    setup();
    command_must_succeed("train --data all.csv --target colour --hidden 8 --epochs 1 --weights w");
    ck_assert_int_eq(command_shell("cat inputs.csv > long.csv; for i in 1 2 3; do tail -n +2 inputs.csv; done >> "
                                   "long.csv; echo old > p.csv; chmod 640 p.csv; ln -s p.csv link.csv"),
                     0);
    ck_assert_int_eq(command_shell("trap '' XFSZ; ulimit -f 2; \"$tread\" predict --weights w --data long.csv --out "
                                   "p.csv"),
                     1);
    command_must_contain(command_error, "--out: p.csv cannot be written: File too large", "what failed");
    ck_assert_int_eq(command_shell("echo old | cmp - p.csv && test -z \"$(ls | grep tmp)\""), 0);
    command_must_succeed("predict --weights w --data long.csv --out link.csv");
    ck_assert_int_eq(command_shell("test -L link.csv && test $(wc -l < p.csv) = 481 && "
                                   "test $(stat -c %a p.csv) = 640 && test -z \"$(ls | grep tmp)\""),
                     0);
    ck_assert_int_eq(command_shell("umask 027; \"$tread\" predict --weights w --data long.csv --out new.csv && "
                                   "test $(stat -c %a new.csv) = 640 && cmp new.csv p.csv"),
                     0);
    ck_assert_int_eq(
        command_shell("ln -sf /dev/stdout o.csv; \"$tread\" predict --weights w --data long.csv --out o.csv "
                      "| head -481 | cmp - p.csv && test -L o.csv"),
        0);
    tear_down();
}
END_TEST

START_TEST(numbers_are_predicted_too) {
    setup();
    command_must_succeed(
        "train --data inputs.csv --task regression --hidden none --epochs 1 --checkpoint ck --weights w");
    command_must_succeed("predict --weights ck/step-000000000001.safetensors --data inputs.csv --out y.csv");
    ck_assert_int_eq(command_shell("head -1 y.csv | grep -Fx y_0 && test $(wc -l < y.csv) = 121"), 0);
    command_must_succeed("predict --weights w --data inputs.csv --task regression");
    ck_assert_int_eq(command_shell("\"$tread\" predict --weights w --data inputs.csv --task regression | cmp - y.csv"),
                     0);
    tear_down();
}
END_TEST

START_TEST(what_does_not_fit_is_refused) {
    setup();
    command_must_succeed("train --data all.csv --target colour --hidden 8 --epochs 1 --weights w");
    ck_assert_int_eq(command_shell("echo 1,2,3,4,5 > wide.csv; echo nothing > broken"), 0);
    static const struct {
        const char *arguments, *part;
        int code;
    } wrong[] = {{"--data inputs.csv", "--weights FILE must be given", 2},
                 {"--weights w --data inputs.csv --out p.txt", "--out: p.txt does not end in .csv or .npy", 2},
                 {"--weights w --data wide.csv", "features a sample, and the network takes 2", 1},
                 {"--weights w --data absent.csv", "absent.csv", 1},
                 {"--weights broken --data inputs.csv", "broken", 1},
                 {"--weights w --data inputs.csv --out nowhere/p.csv", "--out: no file can be made in nowhere", 1}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char line[256];
        snprintf(line, sizeof line, "predict %s", wrong[i].arguments);
        command_must_fail(line, wrong[i].code, &wrong[i].part, 1);
    }
    ck_assert_int_eq(command_shell("for i in $(seq 50); do tail -n +2 inputs.csv; done > long.csv"),
                     0); /* over a buffer */
    ck_assert_int_eq(command_run("predict --weights w --data long.csv > /dev/full"), 1);
    command_must_contain(command_error, "standard output cannot be written: No space left", "a full device");
    tear_down();
}
END_TEST

TEST_MAIN("predict", a_checkpoint_knows_all_that_is_needed, columns_that_changed_places_are_refused,
          what_training_left_out_may_be_missing, averaged_and_best_weights_are_found, eval_takes_checkpoints,
          a_file_is_replaced_whole_or_not_at_all, numbers_are_predicted_too, what_does_not_fit_is_refused)
