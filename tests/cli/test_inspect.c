/* tread inspect and tread diff, on checkpoints, weights, files of other programs, and damaged ones. */
#include <jansson.h>
#include <math.h>
#include <string.h>
#include <tread/checkpoint.h>
#include <tread/weights.h>

#include "tests/cli/command.h"
#include "tests/engine/files.h"
#include "tests/engine/forge.h"
#include "tests/test.h"

/* A checkpoint of two parameters and their optimizer after `steps` steps, and "w", the weights alone. */
static void make(const char *name, int steps) {
    tread_parameter *items[] = {tread_parameter_create("0.weight", 2, (int64_t[]){2, 3}),
                                tread_parameter_create("0.bias", 1, (int64_t[]){2})};
    tread_run_parts parts = tread_run_parts_defaults();
    parts.parameters = (tread_parameter_list){items, 2};
    parts.optimizer = tread_optimizer_from_spec(NULL, parts.parameters, "adam:lr=0.25,betas=0.9/0.75");
    ck_assert_ptr_nonnull(parts.optimizer);
    for (int i = 0; i < 6; i++)
        tread_tensor_float(tread_parameter_tensor(items[0]))[i] = (float)i - 1.5f;
    tread_tensor_float(tread_parameter_tensor(items[1]))[1] = INFINITY;
    tread_tensor *grad = tread_tensor_create(TREAD_FLOAT32, 1, (int64_t[]){2});
    ck_assert_ok(tread_tensor_fill(grad, 1));
    for (int i = 0; i < steps; i++) {
        ck_assert_ok(tread_tensor_set_grad(tread_parameter_tensor(items[1]), grad));
        ck_assert_ok(tread_optimizer_step(parts.optimizer, NULL));
    }
    tread_state *state = tread_run_state(&parts);
    ck_assert_ok(tread_state_add_string(state, "note", "a\x1b[31m"));
    ck_assert_ok(tread_checkpoint_save(test_path(name), state));
    ck_assert_ok(tread_weights_save(parts.parameters, test_path("w")));
    tread_state_destroy(state);
    tread_tensor_destroy(grad);
    tread_optimizer_destroy(parts.optimizer);
    for (int i = 0; i < 2; i++)
        tread_parameter_destroy(items[i]);
}

static void make_foreign(const char *name) {
    forge_plain(
        test_path(name),
        "{\"__metadata__\":{\"format\":\"pt\"},\"h\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[0,4]}}",
        (uint16_t[]){0x3f80, 0xc000}, 4);
}

static void must_print(const char *const *parts, const char *what) {
    for (; *parts != NULL; parts++)
        command_must_contain(command_output, *parts, what);
}

START_TEST(inspect_shows_all) {
    test_folder_create();
    make("c", 1);
    make_foreign("f");
    command_must_succeed("inspect c");
    must_print(
        (const char *[]){"c: checkpoint, 4 tensors, 48 bytes of values\n",
                         "hashes: those of the header and of all tensors are right\n", "tread_version: 0.1.0\n",
                         "model.0.weight                    F32     (2, 3)           24         -1.5          3.5"
                         "            1          0\n",
                         "model.0.bias                      F32     (2)               8",
                         "optimizer.param_groups.0.lr = 0.25\n", "optimizer.param_groups.0.betas.0 = 0.9\n",
                         "optimizer.algorithm = 'adam'\n", "optimizer.state.0.bias.step = 1\n", "note = 'a?[31m'\n",
                         NULL},
        "inspect c");
    ck_assert_ptr_null(strchr(command_output, '\x1b'));
    command_must_succeed("inspect w");
    must_print((const char *[]){"w: weights, 2 tensors, 32 bytes of values\n", NULL}, "inspect w");
    command_must_succeed("inspect f");
    must_print(
        (const char *[]){"f: safetensors, 1 tensor, 4 bytes of values\n", "hashes: the file has none\n", "format: pt\n",
                         "h      BF16    (2)              4           -2            1         -0.5          0\n", NULL},
        "inspect f");
    command_must_succeed("inspect --help");
    must_print((const char *[]){"usage: tread inspect FILE", "--json", NULL}, "inspect --help");
    test_folder_remove();
}
END_TEST

static json_t *inspect_json(const char *arguments, int code) {
    ck_assert_int_eq(command_run(arguments), code);
    json_error_t error;
    json_t *all = json_loads(command_output, 0, &error);
    ck_assert_msg(all != NULL, "%s: %s", arguments, error.text);
    return all;
}

START_TEST(json_is_complete) {
    test_folder_create();
    make("c", 1);
    json_t *all = inspect_json("inspect --json c", 0);
    const char *name, *kind, *hashes, *hash, *algorithm, *note;
    double min, max, mean, lr, beta;
    json_int_t first, second, not_finite;
    ck_assert_int_eq(json_unpack(all, "{s:s, s:s, s:[{s:s, s:[I, I], s:F, s:F, s:F, s:I, s:s}]}", "kind", &kind,
                                 "hashes", &hashes, "tensors", "name", &name, "shape", &first, &second, "min", &min,
                                 "max", &max, "mean", &mean, "not_finite", &not_finite, "hash", &hash),
                     0);
    ck_assert_str_eq(kind, "checkpoint");
    ck_assert_str_eq(hashes, "right");
    ck_assert_str_eq(name, "model.0.weight");
    ck_assert(first == 2 && second == 3 && min == -1.5 && max == 3.5 && mean == 1 && not_finite == 0);
    ck_assert_uint_eq(strlen(hash), 32);
    ck_assert_int_eq(json_unpack(all, "{s:{s:{s:s, s:[{s:F, s:[F]}]}, s:s}}", "state", "optimizer", "algorithm",
                                 &algorithm, "param_groups", "lr", &lr, "betas", &beta, "note", &note),
                     0);
    ck_assert_str_eq(algorithm, "adam");
    ck_assert_str_eq(note, "a\x1b[31m");
    ck_assert(lr == 0.25 && beta == 0.9);
    json_decref(all);
    test_folder_remove();
}
END_TEST

START_TEST(damage_is_told) {
    test_folder_create();
    make("c", 1);
    size_t n;
    uint8_t *bytes = test_read(test_path("c"), &n);
    bytes[n - 1] ^= 1;
    test_write(test_path("d"), bytes, n);
    ck_assert_int_eq(command_run("inspect d"), 1);
    must_print((const char *[]){"hashes: that of the header is right, those of 1 tensors differ", "  DAMAGED\n", NULL},
               "d");
    command_must_contain(command_error, "d: the values of 1 tensor are damaged", "d");
    json_t *all = inspect_json("inspect d --json", 1);
    ck_assert_str_eq(json_string_value(json_object_get(all, "hashes")), "wrong");
    json_decref(all);
    ck_assert_int_eq(command_run("diff c d"), 2);
    command_must_contain(command_error, "d: optimizer.state.0.bias.exp_avg_sq: the data are damaged", "diff c d");
    bytes[60] ^= 1;
    test_write(test_path("d"), bytes, n);
    ck_assert_int_eq(command_run("inspect d"), 1);
    command_must_contain(command_error, "d: the header is damaged", "d");
    ck_assert_str_eq(command_output, "");
    /* Tensors that the state has not: nothing of the table shows it. */
    forge_marked(test_path("d"), "{\"format_version\":1,\"tensor_hashes\":{\"a\":\"$HASH\"},\"state\":{}}",
                 ",\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}", "x", 1);
    ck_assert_int_eq(command_run("inspect d"), 1);
    command_must_contain(command_error, "the file has a tensor a, the state has none", "d");
    ck_assert_int_eq(command_run("inspect absent"), 1);
    command_must_contain(command_error, "absent: cannot open: No such file", "absent");
    free(bytes);
    test_folder_remove();
}
END_TEST

START_TEST(diff_tells_the_first_element) {
    test_folder_create();
    make("a", 1);
    make("b", 1);
    make("c", 3);
    make_foreign("f");
    command_must_succeed("diff a b");
    ck_assert_str_eq(command_output, "");
    ck_assert_int_eq(command_run("diff a c"), 1);
    must_print((const char *[]){"model.0.bias: element (0) is -0.25, not -0.75; 1 of 2 elements differ\n",
                                "optimizer.state.0.bias.step: 1, not 3\n",
                                "optimizer.state.0.bias.exp_avg: element (0) is ", NULL},
               "diff a c");
    ck_assert_int_eq(command_run("diff a c --limit 1"), 1);
    ck_assert_str_eq(command_output,
                     "model.0.bias: element (0) is -0.25, not -0.75; 1 of 2 elements differ\nand 3 more\n");
    ck_assert_int_eq(command_run("diff w f"), 1);
    ck_assert_str_eq(command_output, "0.weight: a tensor (2, 3) of F32 in the first alone\n"
                                     "0.bias: a tensor (2) of F32 in the first alone\n"
                                     "h: a tensor (2) of BF16 in the second alone\n");
    command_must_succeed("diff f f");
    command_must_succeed("diff c w"); /* the model, and its weights alone */
    command_must_succeed("diff w c");
    ck_assert_int_eq(command_run("diff w a"), 1);
    ck_assert_str_eq(command_output, "0.bias: element (0) is -0.75, not -0.25; 1 of 2 elements differ\n");
    test_folder_remove();
}
END_TEST

START_TEST(trouble_is_code_2) {
    static const struct {
        const char *arguments, *part;
    } misuses[] = {{"diff", "two files are compared, none is given"},
                   {"diff a", "two files are compared, one is given"},
                   {"diff a a a", "unexpected argument a"},
                   {"diff a absent", "absent: cannot open"},
                   {"diff absent a", "absent: cannot open"},
                   {"diff a a --limit=-1", "--limit: -1 is not a whole number from 0"},
                   {"diff a a --all", "unknown option --all; allowed: --limit"},
                   {"inspect", "no FILE is given"},
                   {"inspect a a", "unexpected argument a"}};
    test_folder_create();
    make("a", 0);
    for (size_t i = 0; i < sizeof misuses / sizeof *misuses; i++) {
        int code = command_run(misuses[i].arguments);
        ck_assert_msg(code == 2, "%s: %d", misuses[i].arguments, code);
        command_must_contain(command_error, misuses[i].part, misuses[i].arguments);
        ck_assert_str_eq(command_output, "");
    }
    ck_assert_int_eq(command_shell("\"$tread\" inspect a >/dev/full"), 1);
    command_must_contain(command_error, "standard output cannot be written", "a full device");
    make("c", 2);
    ck_assert_int_eq(command_shell("\"$tread\" diff a c >/dev/full"), 2);
    command_must_contain(command_error, "standard output cannot be written", "a full device");
    test_folder_remove();
}
END_TEST

TEST_MAIN("inspect", inspect_shows_all, json_is_complete, damage_is_told, diff_tells_the_first_element,
          trouble_is_code_2)
