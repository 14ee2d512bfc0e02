/* tread schedule without gnuplot: tables, csv, metrics, what is refused; and what is said where gnuplot is not there or
 * fails, with programs of that name made here. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <tread/lr_schedulers.h>
#include <tread/optimizers.h>
#include <unistd.h>

#include "tests/cli/command.h"
#include "tests/engine/files.h"
#include "tests/test.h"

typedef struct library {
    tread_parameter *parameter;
    tread_optimizer *optimizer;
    tread_lr_scheduler *scheduler;
} library;

static library open_library(const char *spec, double base_lr) {
    library l;
    l.parameter = tread_parameter_create("p", 1, (const int64_t[]){3});
    tread_sgd_options o = tread_sgd_defaults();
    o.lr = base_lr;
    l.optimizer = tread_sgd(NULL, (tread_parameter_list){&l.parameter, 1}, &o);
    l.scheduler = tread_lr_scheduler_from_spec(l.optimizer, spec);
    ck_assert_msg(l.scheduler != NULL, "%s: %s", spec, tread_last_error());
    return l;
}

static void close_library(library *l) {
    tread_lr_scheduler_destroy(l->scheduler);
    tread_optimizer_destroy(l->optimizer);
    tread_parameter_destroy(l->parameter);
}

/* The next line of csv, which must be that of the step; gives its lr. */
static double next_csv_line(char **at, int64_t step) {
    char *end;
    ck_assert_int_eq(strtoll(*at, &end, 10), step);
    ck_assert_int_eq(*end, ',');
    double lr = strtod(end + 1, &end);
    ck_assert_msg(*end == '\n', "after step %lld: %.20s", (long long)step, end);
    *at = end + 1;
    return lr;
}

static char *csv_body(void) {
    ck_assert_str_eq(command_error, "");
    ck_assert_int_eq(strncmp(command_output, "step,lr\n", 8), 0);
    return command_output + 8;
}

static void assert_same_bits(double a, double b, const char *what, int64_t step) {
    ck_assert_msg(memcmp(&a, &b, sizeof a) == 0, "%s at step %lld: %.17g is not %.17g", what, (long long)step, a, b);
}

/* A spec string of every registered scheduler that is a function of the step, and of those within others. */
static const char *const pure[] = {
    "step_lr:step_size=30",
    "step_lr:step_size=7,gamma=0.7",
    "multi_step_lr:milestones=30/80,gamma=0.1",
    "multi_step_lr",
    "constant_lr",
    "linear_lr:total_iters=50",
    "exponential_lr:gamma=0.97",
    "polynomial_lr:steps=60,power=2.5,cycle=true",
    "cosine_annealing_lr:T_max=50,eta_min=1e-3",
    "cosine_decay_lr:decay_steps=200,alpha=0.01",
    "cosine_annealing_warm_restarts:T_0=10,T_mult=2,decay_rate=0.9",
    "warmup_stable_decay_lr:warmup_steps=20,stable_steps=50,decay_steps=100,decay_shape=cosine",
    "one_cycle_lr:total_steps=200,max_lr=0.5,cycle_momentum=true",
    "cyclic_lr:max_lr=0.5,step_size_up=30,mode=triangular2",
    "warmup_lr:warmup_iters=20,scheduler=[cosine_decay_lr:decay_steps=200],warmup_prefix=true",
    "sequential_lr:schedulers=[linear_lr:total_iters=5]/[cosine_annealing_lr:T_max=95],milestones=5",
    "chained_scheduler:schedulers=[warmup_lr:scheduler=[step_lr:step_size=9]]/[exponential_lr:gamma=0.99]",
};
#define N_PURE (sizeof pure / sizeof *pure)

static bool has_spec(const char *name) {
    for (size_t s = 0; s < N_PURE; s++)
        if (strncmp(pure[s], name, strlen(name)) == 0 && strchr(":", pure[s][strlen(name)]) != NULL)
            return true;
    return false;
}

/* Functions and metrics have their own tests below. */
static bool is_pure(const char *name) {
    return strcmp(name, "lambda_lr") != 0 && strcmp(name, "multiplicative_lr") != 0 &&
           strcmp(name, "reduce_lr_on_plateau") != 0;
}

START_TEST(csv_is_the_library_bit_for_bit) {
    test_folder_create();
    const double bases[] = {0.1, 1e-300, 3.3333333333333335, 0};
    for (size_t type = 0; type < tread_lr_scheduler_type_count(); type++) {
        const char *name = tread_lr_scheduler_type_name(type);
        ck_assert_msg(has_spec(name) || !is_pure(name), "there is no spec of %s", name);
    }
    for (size_t s = 0; s < N_PURE; s++)
        for (size_t b = 0; b < sizeof bases / sizeof *bases; b++) {
            char arguments[512];
            snprintf(arguments, sizeof arguments, "schedule '%s' --base-lr %.17g --steps 250 --format csv", pure[s],
                     bases[b]);
            command_must_succeed(arguments);
            char *at = csv_body();
            library l = open_library(pure[s], bases[b]);
            for (int64_t n = 0; n < 250; n++)
                assert_same_bits(next_csv_line(&at, n), tread_lr_scheduler_get_lr(l.scheduler, bases[b], n), pure[s],
                                 n);
            ck_assert_str_eq(at, "");
            close_library(&l);
        }
    test_folder_remove();
}
END_TEST

START_TEST(numbers_are_as_short_as_they_can_be) {
    test_folder_create();
    command_must_succeed("schedule step_lr:step_size=1,gamma=0.5 --steps 3 --format=csv --base-lr 0.3");
    ck_assert_str_eq(command_output, "step,lr\n0,0.3\n1,0.15\n2,0.075\n");
    command_must_succeed("schedule --format csv --steps 1 step_lr:step_size=1 --base-lr 1");
    ck_assert_str_eq(command_output, "step,lr\n0,1\n");
    test_folder_remove();
}
END_TEST

START_TEST(a_metric_comes_from_a_file) {
    test_folder_create();
    const char text[] = "# the loss on the test set, an epoch a line\n"
                        "1.0\n\n  0.5\t# better\nnan\n0.6\r\n+.5e0\nnan\n0.25\n0.3\ninf\n0.3";
    const double metrics[] = {1.0, 0.5, NAN, 0.6, 0.5, NAN, 0.25, 0.3, INFINITY, 0.3};
    const char spec[] = "reduce_lr_on_plateau:patience=1,factor=0.5,cooldown=1";
    test_write(test_path("losses"), text, sizeof text - 1);
    command_must_succeed(
        "schedule reduce_lr_on_plateau:patience=1,factor=0.5,cooldown=1 --metrics losses --format csv");
    char *at = csv_body();
    library l = open_library(spec, 0.1);
    for (int64_t n = 0; n <= 10; n++) {
        assert_same_bits(next_csv_line(&at, n), tread_optimizer_lr(l.optimizer, 0), spec, n);
        if (n < 10)
            ck_assert_ok(tread_lr_scheduler_step_metric(l.scheduler, metrics[n]));
    }
    ck_assert_str_eq(at, "");
    ck_assert_double_eq(tread_optimizer_lr(l.optimizer, 0), 0.025); /* twice */
    close_library(&l);
    char *first = strdup(command_output);
    ck_assert_int_eq(
        command_shell("\"$tread\" schedule reduce_lr_on_plateau:patience=1,factor=0.5,cooldown=1 --metrics -"
                      " --format csv --steps 11 <losses"),
        0);
    ck_assert_str_eq(command_output, first);
    free(first);
    /* The table has the metric of each step; the last one has none yet. */
    command_must_succeed("schedule reduce_lr_on_plateau:patience=1,factor=0.5,cooldown=1 --metrics losses --steps 4");
    command_must_contain(command_output,
                         "    step            lr        metric\n"
                         "       0           0.1             1\n"
                         "       1           0.1           0.5\n"
                         "       2           0.1           nan\n"
                         "       3           0.1           0.6\n",
                         "table");
    command_must_succeed("schedule reduce_lr_on_plateau:patience=1,factor=0.5,cooldown=1 --metrics losses");
    command_must_contain(command_output, "\n      10         0.025\n", "the last row");
    test_folder_remove();
}
END_TEST

static const struct {
    const char *text, *part;
} bad_metrics[] = {
    {"1\n0.9x\n", "losses:2: '0.9x' is not a number"},     {"# 1\n\n1 2\n", "losses:3: '1 2' is not a number"},
    {"1,2\n", "losses:1: '1,2' is not a number"},          {"1\nloss\n", "losses:2: 'loss' is not a number"},
    {"# nothing\n\n", "losses: there is no number in it"},
};

START_TEST(bad_metrics_are_refused_with_file_and_line) {
    test_folder_create();
    for (size_t i = 0; i < sizeof bad_metrics / sizeof *bad_metrics; i++) {
        test_write(test_path("losses"), bad_metrics[i].text, strlen(bad_metrics[i].text));
        ck_assert_int_eq(command_run("schedule reduce_lr_on_plateau --metrics losses"), 1);
        command_must_contain(command_error, bad_metrics[i].part, bad_metrics[i].text);
        ck_assert_str_eq(command_output, "");
    }
    test_write(test_path("losses"), "1\0\n", 3);
    ck_assert_int_eq(command_run("schedule reduce_lr_on_plateau --metrics losses"), 1);
    command_must_contain(command_error, "losses:1: '1' is not a number", "a NUL behind it");
    ck_assert_int_eq(command_shell("echo x | \"$tread\" schedule reduce_lr_on_plateau --metrics -"), 1);
    command_must_contain(command_error, "standard input:1: 'x' is not a number", "standard input");
    ck_assert_int_eq(command_run("schedule reduce_lr_on_plateau --metrics nowhere"), 1);
    command_must_contain(command_error, "nowhere: No such file or directory", "no file");
    ck_assert_int_eq(command_run("schedule reduce_lr_on_plateau --metrics ."), 1);
    command_must_contain(command_error, ".: Is a directory", "a folder");
    test_folder_remove();
}
END_TEST

/* How many rows of a table there are: lines that begin with a step. */
static int table_rows(void) {
    int rows = 0;
    for (const char *line = strchr(command_output, '\n'); line != NULL; line = strchr(line + 1, '\n'))
        rows += line[1] == ' ' && strspn(line + 1, " 0123456789") > 8;
    return rows;
}

START_TEST(a_short_curve_is_shown_whole) {
    test_folder_create();
    command_must_succeed("schedule step_lr:step_size=2,gamma=0.5 --steps 5 --base-lr 0.4");
    ck_assert_str_eq(command_output, "step_lr:step_size=2,gamma=0.5, base lr 0.4\n"
                                     "\n"
                                     "    step            lr\n"
                                     "       0           0.4\n"
                                     "       1           0.4\n"
                                     "       2           0.2\n"
                                     "       3           0.2\n"
                                     "       4           0.1\n");
    command_must_succeed("schedule cosine_decay_lr:decay_steps=100"); /* base lr 0.1, 100 steps */
    command_must_contain(command_output, "base lr 0.1\n", "default");
    command_must_contain(command_output, "\n      99    2.4672e-05\n", "default");
    test_folder_remove();
}
END_TEST

START_TEST(a_long_curve_is_shown_where_it_changes) {
    test_folder_create();
    command_must_succeed("schedule step_lr:step_size=333,gamma=0.5 --steps 1000 --base-lr 0.4");
    ck_assert_str_eq(command_output, "step_lr:step_size=333,gamma=0.5, base lr 0.4\n"
                                     "\n"
                                     "    step            lr\n"
                                     "       0           0.4\n"
                                     "     333           0.2\n"
                                     "     666           0.1\n"
                                     "     999          0.05\n"
                                     "\n"
                                     "4 of 1000 steps, those at which lr changes; --every 1 shows all\n");
    /* Where it changes at every step: every so many, the end of the fall, and the last. */
    command_must_succeed("schedule cosine_decay_lr:decay_steps=777,alpha=0.5 --steps 1001 --base-lr 0.4");
    command_must_contain(command_output, "\n     750      0.200595", "cosine");
    command_must_contain(command_output, "\n     777           0.2\n", "cosine");
    command_must_contain(command_output, "\n    1000           0.2\n", "cosine");
    ck_assert_int_le(table_rows(), 45);
    /* The peak is no multiple of the distance. */
    command_must_succeed("schedule cyclic_lr:max_lr=1,step_size_up=333 --steps 1000");
    command_must_contain(command_output, "\n     333             1\n", "cyclic");
    command_must_contain(command_output, "\n     666           0.1\n", "cyclic");
    command_must_succeed("schedule cosine_decay_lr:decay_steps=777 --steps 1000 --every 300");
    ck_assert_int_eq(table_rows(), 5);
    command_must_contain(command_output, "\n     900 ", "every");
    command_must_contain(command_output, "\n     999 ", "every");
    command_must_succeed("schedule cosine_decay_lr:decay_steps=777 --steps 1000 --every 1");
    ck_assert_int_eq(table_rows(), 1000);
    test_folder_remove();
}
END_TEST

START_TEST(a_momentum_that_moves_is_shown) {
    test_folder_create();
    command_must_succeed("schedule cyclic_lr:max_lr=0.5,step_size_up=2,cycle_momentum=true,base_momentum=0.8,"
                         "max_momentum=0.9 --steps 4");
    command_must_contain(command_output,
                         "    step            lr      momentum\n"
                         "       0           0.1           0.9\n"
                         "       1           0.3          0.85\n"
                         "       2           0.5           0.8\n"
                         "       3           0.3          0.85\n",
                         "momentum");
    test_folder_remove();
}
END_TEST

START_TEST(verbose_goes_to_standard_error) {
    test_folder_create();
    command_must_succeed("schedule step_lr:step_size=1,gamma=0.5,verbose=true --steps 3 --format csv");
    ck_assert_str_eq(command_output, "step,lr\n0,0.1\n1,0.05\n2,0.025\n");
    command_must_contain(command_error, "step_lr: step 2: lr of group 0 is 0.025\n", "verbose");
    test_folder_remove();
}
END_TEST

static const struct {
    const char *arguments;
    const char *parts[3]; /* of standard error */
} misuses[] = {
    {"schedule", {"no scheduler is given", "tread schedule --help"}},
    {"schedule ''", {"unknown name ; allowed: ", "step_lr"}},
    {"schedule steplr", {"unknown name steplr, did you mean step_lr?", "allowed: ", "cosine_decay_lr"}},
    {"schedule step_lr", {"step_lr: step_size must be given"}},
    {"schedule step_lr:step_size=0", {"step_size", "[1, 2^53]"}},
    {"schedule step_lr:size=3", {"size", "step_size"}},
    {"schedule step_lr:step_size=3,last_step=4", {"initial_lr"}},
    {"schedule step_lr:step_size=3 cosine_decay_lr:decay_steps=2", {"unexpected argument cosine_decay_lr"}},
    {"schedule step_lr:step_size=3 -x", {"unexpected argument -x"}},
    {"schedule step_lr:step_size=3 --steps 0", {"--steps: 0 is not a whole number from 1 to 10000000"}},
    {"schedule step_lr:step_size=3 --steps 1e3", {"--steps: 1e3 is not"}},
    {"schedule step_lr:step_size=3 --base-lr -0.1", {"--base-lr: -0.1 is not a finite number of at least 0"}},
    {"schedule step_lr:step_size=3 --base-lr nan", {"--base-lr: nan is not"}},
    {"schedule step_lr:step_size=3 --base-lr inf", {"--base-lr: inf is not"}},
    {"schedule step_lr:step_size=3 --base-lr 0.1x", {"--base-lr: 0.1x is not"}},
    {"schedule step_lr:step_size=3 --base-lr ''", {"--base-lr:  is not"}},
    {"schedule step_lr:step_size=3 --format tsv", {"--format: unknown name tsv", "allowed: table, csv"}},
    {"schedule step_lr:step_size=3 --format csv --every 3", {"--every is for tables"}},
    {"schedule step_lr:step_size=3 --plot curve.pdf", {"--plot: curve.pdf is not terminal, none, nor a file"}},
    {"schedule step_lr:step_size=3 --plot .png", {"--plot: .png is not"}},
    {"schedule step_lr:step_size=3 --plot terminal --format csv", {"--plot terminal would stand among the lines"}},
    {"schedule step_lr:step_size=3 --metrics numbers", {"step_lr follows no metric"}},
    {"schedule reduce_lr_on_plateau", {"reduce_lr_on_plateau follows a metric", "--metrics FILE"}},
    {"schedule reduce_lr_on_plateau --metrics numbers --steps 4", {"--steps 4 needs 3 metrics, and --metrics gives 2"}},
    {"schedule reduce_lr_on_plateau:factor=2 --metrics numbers", {"reduce_lr_on_plateau: factor = 2", "(0, 1)"}},
    {"schedule lambda_lr", {"lambda_lr", "tread_lambda_lr()"}},
    {"schedule multiplicative_lr", {"multiplicative_lr", "tread_multiplicative_lr()"}},
    {"schedule 'chained_scheduler:schedulers=[steplr:step_size=2]'", {"steplr", "step_lr"}},
    {"schedule 'chained_scheduler:schedulers=[step_lr:step_size=2'", {"chained_scheduler"}},
    {"schedule step_lr:step_size=3 --metrics -numbers", {"--metrics: -numbers begins with a dash"}},
};

START_TEST(misuse_is_refused_with_what_is_allowed) {
    test_folder_create();
    test_write(test_path("numbers"), "1\n2\n", 4);
    for (size_t i = 0; i < sizeof misuses / sizeof *misuses; i++)
        command_must_fail(misuses[i].arguments, 2, misuses[i].parts, 3);
    test_folder_remove();
}
END_TEST

START_TEST(output_that_cannot_be_written_is_an_error) {
    test_folder_create();
    ck_assert_int_eq(command_shell("\"$tread\" schedule step_lr:step_size=3 >/dev/full"), 1);
    command_must_contain(command_error, "standard output cannot be written: No space left on device", "full");
    test_folder_remove();
}
END_TEST

START_TEST(help_lists_every_scheduler_and_no_optimizer) {
    test_folder_create();
    command_must_succeed("schedule --help");
    tread_field_info field;
    for (size_t type = 0; type < tread_lr_scheduler_type_count(); type++) {
        command_must_contain(command_output, tread_lr_scheduler_type_name(type), "scheduler");
        for (size_t i = 0; i < tread_lr_scheduler_field_count(type); i++) {
            ck_assert_ok(tread_lr_scheduler_field(type, i, &field));
            if (field.kind == TREAD_FIELD_FUNCTIONS) /* none of its fields can be given here */
                break;
            command_must_contain(command_output, field.name, "field");
        }
    }
    const char *const options[] = {"--base-lr X", "--steps N", "--metrics FILE", "--format", "--every", "--plot"};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        command_must_contain(command_output, options[i], "option");
    ck_assert_ptr_null(strstr(command_output, "momentum convention"));
    ck_assert_ptr_null(strstr(command_output, "sgd:"));
    test_folder_remove();
}
END_TEST

/* ---- gnuplot ---- */

#define STEP "\"$tread\" schedule step_lr:step_size=3,gamma=0.5 --steps 9 "

START_TEST(without_gnuplot_the_table_stands_alone) {
    test_folder_create();
    ck_assert_int_eq(command_shell("PATH= " STEP), 0);
    ck_assert_str_eq(command_error, "");
    ck_assert_int_eq(command_shell("PATH= " STEP "--plot none"), 0);
    const char *const where[] = {"terminal", "curve.png", "curve.svg"};
    for (size_t i = 0; i < 3; i++) {
        char line[256];
        snprintf(line, sizeof line, "PATH= " STEP "--plot %s", where[i]);
        ck_assert_msg(command_shell(line) == 1, "%s", line);
        command_must_contain(command_error, "there is no gnuplot", line);
        command_must_contain(command_error, "gnuplot-nox", line);
        ck_assert_str_eq(command_output, "");
        ck_assert_msg(access(test_path(where[i]), F_OK) != 0, "%s was made", where[i]);
    }
    test_folder_remove();
}
END_TEST

/* Makes a program of the name, which lines that begin with FAKE find first. */
static void fake_gnuplot(const char *script) {
    test_write(test_path("gnuplot"), script, strlen(script));
    ck_assert_int_eq(chmod(test_path("gnuplot"), 0700), 0);
}
#define FAKE "PATH=\"$PWD:$PATH\" "

START_TEST(what_gnuplot_says_when_it_fails_is_handed_on) {
    test_folder_create();
    fake_gnuplot("#!/bin/sh\necho one >&2\necho '  two' >&2\nexit 3\n");
    ck_assert_int_eq(command_shell(FAKE STEP "--plot terminal"), 1);
    command_must_contain(command_error, "gnuplot ended with code 3 and no drawing: one two", "code 3");
    ck_assert_str_eq(command_output, "");
    ck_assert_int_eq(command_shell(FAKE STEP "--plot curve.png"), 1);
    ck_assert_int_ne(access(test_path("curve.png"), F_OK), 0);
    test_folder_remove();

    test_folder_create();
    fake_gnuplot("#!/bin/sh\nexit 0\n"); /* draws nothing */
    ck_assert_int_eq(command_shell(FAKE STEP "--plot terminal"), 1);
    command_must_contain(command_error, "gnuplot ended with code 0 and no drawing", "nothing");
    test_folder_remove();

    test_folder_create();
    fake_gnuplot("#!/bin/sh\necho half of it\nexit 1\n");
    ck_assert_int_eq(command_shell(FAKE STEP "--plot curve.svg"), 1);
    command_must_contain(command_error, "gnuplot ended with code 1", "half");
    ck_assert_int_ne(access(test_path("curve.svg"), F_OK), 0);
    test_folder_remove();

    test_folder_create();
    fake_gnuplot("#!/bin/sh\nkill -9 $$\n");
    ck_assert_int_eq(command_shell(FAKE STEP "--plot terminal"), 1);
    command_must_contain(command_error, "gnuplot was ended by signal 9", "signal");
    test_folder_remove();
}
END_TEST

START_TEST(gnuplot_gets_the_points_and_no_name_of_a_file) {
    test_folder_create();
    fake_gnuplot("#!/bin/sh\necho \"$#\" \"$1\"\nexec cat\n"); /* the drawing is the script */
    ck_assert_int_eq(command_shell(FAKE STEP "--plot 'it`id`s \"$(id)\" ;.svg'"), 0);
    command_must_contain(command_output, "wrote  it`id`s \"$(id)\" ;.svg\n", "said");
    size_t n;
    char *script = (char *)test_read(test_path("it`id`s \"$(id)\" ;.svg"), &n);
    const char *const parts[] = {"1 -d\n",
                                 "set terminal svg",
                                 "set title 'step_lr:step_size=3,gamma=0.5'\n",
                                 "\n0 0.1\n1 0.1\n2 0.1\n3 0.05\n",
                                 "\n8 0.025\nend_of_points\n",
                                 "\nplot $lr"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        command_must_contain(script, parts[i], "script");
    ck_assert_ptr_null(strstr(script, "id`s"));
    free(script);
    /* Of a long curve the extremes of each stretch are drawn, the first and the last points among them. */
    ck_assert_int_eq(
        command_shell(FAKE "\"$tread\" schedule cosine_decay_lr:decay_steps=99999 --steps 100000 --plot c.png"), 0);
    script = (char *)test_read(test_path("c.png"), &n);
    command_must_contain(script, "\n0 0.1\n", "long");
    command_must_contain(script, "\n99999 0\nend_of_points\n", "long");
    ck_assert_uint_gt(n, 20000);
    ck_assert_uint_lt(n, 200000);
    free(script);
    test_folder_remove();
}
END_TEST

START_TEST(a_drawing_that_cannot_be_written_is_an_error) {
    test_folder_create();
    fake_gnuplot("#!/bin/sh\nexec cat\n");
    ck_assert_int_eq(command_shell(FAKE STEP "--plot no/folder/curve.png"), 1);
    command_must_contain(command_error, "--plot: no file can be made in no/folder", "folder");
    ck_assert_int_eq(command_shell("ln -s /dev/full full.png; " FAKE STEP "--plot full.png"), 1);
    command_must_contain(command_error, "--plot: full.png cannot be written: No space left on device", "full");
    test_folder_remove();
}
END_TEST

TEST_MAIN("schedule", csv_is_the_library_bit_for_bit, numbers_are_as_short_as_they_can_be, a_metric_comes_from_a_file,
          bad_metrics_are_refused_with_file_and_line, a_short_curve_is_shown_whole,
          a_long_curve_is_shown_where_it_changes, a_momentum_that_moves_is_shown, verbose_goes_to_standard_error,
          misuse_is_refused_with_what_is_allowed, output_that_cannot_be_written_is_an_error,
          help_lists_every_scheduler_and_no_optimizer, without_gnuplot_the_table_stands_alone,
          what_gnuplot_says_when_it_fails_is_handed_on, gnuplot_gets_the_points_and_no_name_of_a_file,
          a_drawing_that_cannot_be_written_is_an_error)
