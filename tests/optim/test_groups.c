/* Parameters chosen by name and role, and optimizers made with several groups at once. */
#include <tread/groups.h>
#include <tread/models.h>

#include "tests/optim/helpers.h"

#define N 9
/* Two hidden layers with a norm between, an embedding, an output layer, and one without a name. */
static const struct {
    const char *name;
    int rank;
    int64_t shape[3];
    tread_parameter_role role;
} sample[N] = {
    {"table", 2, {6, 4}, TREAD_ROLE_EMBEDDING},   {"0.weight", 2, {5, 4}, TREAD_ROLE_WEIGHT},
    {"0.bias", 1, {5}, TREAD_ROLE_BIAS},          {"1.weight", 1, {5}, TREAD_ROLE_NORM},
    {"1.bias", 1, {5}, TREAD_ROLE_NORM},          {"10.weight", 2, {3, 5}, TREAD_ROLE_WEIGHT},
    {"out.weight", 2, {2, 3}, TREAD_ROLE_OUTPUT}, {"out.bias", 2, {1, 2}, TREAD_ROLE_BIAS},
    {NULL, 3, {2, 2, 2}, TREAD_ROLE_WEIGHT},
};
static tread_parameter *items[N];
static const tread_parameter_list list = {items, N};

static void make_list(void) {
    for (size_t i = 0; i < N; i++) {
        items[i] = tread_parameter_create(sample[i].name, sample[i].rank, sample[i].shape);
        ck_assert_ok(tread_parameter_set_role(items[i], sample[i].role));
        for (int64_t e = 0; e < items[i]->tensor.count; e++)
            ((float *)items[i]->tensor.data)[e] = param_value(i, e);
    }
}
static void end_list(void) {
    for (size_t i = 0; i < N; i++)
        tread_parameter_destroy(items[i]);
}

/* Asserts that part holds those of `places`, which end with -1, in that order. */
static void check_part(tread_parameter_list part, const int *places) {
    size_t n = 0;
    for (; places[n] != -1; n++) {
        ck_assert_uint_lt(n, part.count);
        ck_assert_msg(part.items[n] == items[places[n]], "%zu is %s, not %s", n, tread_parameter_name(part.items[n]),
                      sample[places[n]].name);
    }
    ck_assert_uint_eq(part.count, n);
}
#define PLACES(...)                                                                                                    \
    (const int[]) { __VA_ARGS__, -1 }
#define NOTHING                                                                                                        \
    (const int[]) { -1 }

static void check_split(tread_parameter_split split, const int *chosen, const int *rest) {
    check_part(split.chosen, chosen);
    check_part(split.rest, rest);
    tread_parameter_split_free(&split);
    ck_assert(split.chosen.items == NULL && split.chosen.count == 0 && split.rest.items == NULL &&
              split.rest.count == 0);
}

START_TEST(lists_split_by_name) {
    make_list();
    tread_parameter_split split;
    ck_assert_ok(tread_parameters_split(list, "*.bias", &split));
    check_split(split, PLACES(2, 4, 7), PLACES(0, 1, 3, 5, 6, 8));
    ck_assert_ok(tread_parameters_split(list, "?.weight,table", &split));
    check_split(split, PLACES(0, 1, 3), PLACES(2, 4, 5, 6, 7, 8));
    ck_assert_ok(tread_parameters_split(list, "[01].*,[!01]*.*s,param.8", &split));
    check_split(split, PLACES(1, 2, 3, 4, 7, 8), PLACES(0, 5, 6));
    ck_assert_ok(tread_parameters_split(list, "*", &split));
    check_split(split, PLACES(0, 1, 2, 3, 4, 5, 6, 7, 8), NOTHING);
    ck_assert_ok(tread_parameters_split(list, "0.weight,0.weight", &split));
    check_split(split, PLACES(1), PLACES(0, 2, 3, 4, 5, 6, 7, 8));
    tread_parameter_split_free(NULL);
    end_list();
}
END_TEST

START_TEST(lists_split_by_role) {
    make_list();
    tread_parameter_split split;
    ck_assert_ok(tread_parameters_split_decay(list, &split));
    check_split(split, PLACES(0, 1, 5, 6, 8), PLACES(2, 3, 4, 7));
    ck_assert_ok(tread_parameters_split_muon(list, &split));
    check_split(split, PLACES(1, 5), PLACES(0, 2, 3, 4, 6, 7, 8));
    ck_assert_ok(tread_parameters_split_muon((tread_parameter_list){items + 2, 3}, &split));
    check_split(split, NOTHING, PLACES(2, 3, 4));
    end_list();
}
END_TEST

START_TEST(bad_patterns_split_nothing) {
    make_list();
    tread_parameter *with_null[] = {items[0], NULL};
    char long_one[400];
    memset(long_one, '*', sizeof long_one - 1);
    long_one[sizeof long_one - 1] = '\0';
    const struct {
        tread_parameter_list list;
        const char *patterns, *part;
    } cases[] = {
        {list, "0.wieght", "parameters split: '0.wieght' matches none of table, 0.weight, 0.bias, 1.weight"},
        {list, "*.bias,*.scale", "'*.scale' matches none of table"},
        {list, "TABLE", "'TABLE' matches none of table"},
        {list, "", "a pattern is empty"},
        {list, "*.bias,", "a pattern is empty"},
        {list, ",*.bias", "a pattern is empty"},
        {list, NULL, "the patterns are NULL"},
        {list, long_one, "a pattern has 399 bytes, and at most 255 are allowed"},
        {{items, 0}, "*", "the list of parameters is empty"},
        {{NULL, 3}, "*", "the list of parameters is empty"},
        {{with_null, 2}, "*", "parameter 1 of 2 is NULL"},
    };
    uint64_t live = tread_memory_live_blocks();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tread_parameter_split split = {.chosen = {NULL, 77}};
        ck_assert_fails(tread_parameters_split(cases[i].list, cases[i].patterns, &split), TREAD_ERROR_ARGUMENT,
                        cases[i].part);
        ck_assert_uint_eq(split.chosen.count, 77);
    }
    tread_parameter_split split;
    ck_assert_fails(tread_parameters_split_decay((tread_parameter_list){items, 0}, &split), TREAD_ERROR_ARGUMENT,
                    "is empty");
    ck_assert_fails(tread_parameters_split_muon((tread_parameter_list){with_null, 2}, &split), TREAD_ERROR_ARGUMENT,
                    "is NULL");
    ck_assert_uint_eq(tread_memory_live_blocks(), live);
    end_list();
}
END_TEST

/* ---- Optimizers ---- */

static tread_optimizer *from_groups(const char *spec, const tread_group_rule *rules, size_t n, bool split_decay,
                                    const char *other_fields) {
    tread_groups_options o = tread_groups_defaults();
    o.rules = rules;
    o.n_rules = n;
    o.split_decay = split_decay;
    o.other_fields = other_fields;
    return tread_optimizer_from_groups(NULL, list, spec, &o);
}

/* Group g holds `places` and has these values. */
static void check_group(const tread_optimizer *optimizer, size_t g, const int *places, double lr, double decay) {
    double value;
    check_part(tread_optimizer_group_params(optimizer, g), places);
    ck_assert_double_eq(tread_optimizer_lr(optimizer, g), lr);
    ck_assert_ok(tread_optimizer_get(optimizer, g, "weight_decay", &value));
    ck_assert_double_eq(value, decay);
}

START_TEST(the_first_rule_that_matches_decides) {
    make_list();
    const tread_group_rule rules[] = {{"0.*,1.*", "lr=0.25"}, {"*.bias", "lr=0.5,weight_decay=0"}, {"param.8", NULL}};
    tread_optimizer *optimizer = from_groups("adamw:lr=0.125,weight_decay=0.75", rules, 3, false, NULL);
    ck_assert_msg(optimizer != NULL, "%s", tread_last_error());
    ck_assert_uint_eq(tread_optimizer_group_count(optimizer), 4);
    check_group(optimizer, 0, PLACES(0, 5, 6), 0.125, 0.75);
    check_group(optimizer, 1, PLACES(1, 2, 3, 4), 0.25, 0.75);
    check_group(optimizer, 2, PLACES(7), 0.5, 0);
    check_group(optimizer, 3, PLACES(8), 0.125, 0.75);
    tread_optimizer_destroy(optimizer);
    /* Rules for all: the first one's group is group 0, and what is added later has the spec's values. */
    const tread_group_rule everything[] = {{"*.*", "lr=0.25"}};
    tread_groups_options o = tread_groups_defaults();
    o.rules = everything;
    o.n_rules = 1;
    optimizer = tread_optimizer_from_groups(NULL, (tread_parameter_list){items + 1, N - 1}, "adamw:lr=0.125", &o);
    ck_assert_msg(optimizer != NULL, "%s", tread_last_error());
    ck_assert_uint_eq(tread_optimizer_group_count(optimizer), 1);
    ck_assert_ok(tread_optimizer_add_param_group(optimizer, (tread_parameter_list){items, 1}, NULL));
    check_group(optimizer, 0, PLACES(1, 2, 3, 4, 5, 6, 7, 8), 0.25, 0);
    check_group(optimizer, 1, PLACES(0), 0.125, 0);
    tread_optimizer_destroy(optimizer);
    optimizer = tread_optimizer_from_groups(NULL, list, "adamw:lr=0.5", NULL);
    ck_assert_uint_eq(tread_optimizer_group_count(optimizer), 1);
    check_group(optimizer, 0, PLACES(0, 1, 2, 3, 4, 5, 6, 7, 8), 0.5, 0);
    tread_optimizer_destroy(optimizer);
    end_list();
}
END_TEST

START_TEST(decay_splits_every_group_that_does_not_say) {
    make_list();
    tread_optimizer *optimizer = from_groups("sgd:lr=0.125,weight_decay=0.75", NULL, 0, true, NULL);
    ck_assert_msg(optimizer != NULL, "%s", tread_last_error());
    ck_assert_uint_eq(tread_optimizer_group_count(optimizer), 2);
    check_group(optimizer, 0, PLACES(0, 1, 5, 6, 8), 0.125, 0.75);
    check_group(optimizer, 1, PLACES(2, 3, 4, 7), 0.125, 0);
    tread_optimizer_destroy(optimizer);
    const tread_group_rule rules[] = {{"0.*", "lr=0.25"}, {"1.*", "lr=0.5,weight_decay=0.375"}};
    optimizer = from_groups("sgd:lr=0.125,weight_decay=0.75", rules, 2, true, NULL);
    ck_assert_msg(optimizer != NULL, "%s", tread_last_error());
    ck_assert_uint_eq(tread_optimizer_group_count(optimizer), 5);
    check_group(optimizer, 0, PLACES(0, 5, 6, 8), 0.125, 0.75);
    check_group(optimizer, 1, PLACES(7), 0.125, 0);
    check_group(optimizer, 2, PLACES(1), 0.25, 0.75);
    check_group(optimizer, 3, PLACES(2), 0.25, 0);
    check_group(optimizer, 4, PLACES(3, 4), 0.5, 0.375);
    tread_optimizer_destroy(optimizer);
    end_list();
}
END_TEST

static void check_rule(const tread_optimizer *optimizer, size_t g, const char *rule) {
    char text[16];
    ck_assert_ok(tread_optimizer_get_text(optimizer, g, "rule", text, sizeof text));
    ck_assert_str_eq(text, rule);
}

START_TEST(muon_leaves_the_others_to_adamw) {
    make_list();
    tread_optimizer *optimizer = from_groups("muon:lr=0.125,weight_decay=0.75", NULL, 0, false, NULL);
    ck_assert_msg(optimizer != NULL, "%s", tread_last_error());
    ck_assert_uint_eq(tread_optimizer_group_count(optimizer), 2);
    check_group(optimizer, 0, PLACES(1, 5), 0.125, 0.75);
    check_group(optimizer, 1, PLACES(0, 2, 3, 4, 6, 7, 8), 1e-3, 0.75);
    check_rule(optimizer, 0, "muon");
    check_rule(optimizer, 1, "adamw");
    tread_optimizer_destroy(optimizer);
    const tread_group_rule rules[] = {{"out.*", "lr=0.25"}, {"table", "rule=muon,lr=0.5"}};
    optimizer = from_groups("muon:lr=0.125,weight_decay=0.75", rules, 2, true, "lr=0.0625,weight_decay=0.5");
    ck_assert_msg(optimizer != NULL, "%s", tread_last_error());
    ck_assert_uint_eq(tread_optimizer_group_count(optimizer), 6);
    check_group(optimizer, 0, PLACES(1, 5), 0.125, 0.75);
    check_group(optimizer, 1, PLACES(8), 0.0625, 0.5);
    check_group(optimizer, 2, PLACES(2, 3, 4), 0.0625, 0);
    check_group(optimizer, 3, PLACES(6), 0.25, 0.5);
    check_group(optimizer, 4, PLACES(7), 0.25, 0);
    check_group(optimizer, 5, PLACES(0), 0.5, 0.75);
    static const char *const expected[] = {"muon", "adamw", "adamw", "adamw", "adamw", "muon"};
    for (size_t g = 0; g < 6; g++)
        check_rule(optimizer, g, expected[g]);
    tread_optimizer_destroy(optimizer);
    optimizer = from_groups("muon:rule=adamw,lr=0.5", NULL, 0, false, NULL); /* the spec says so for all */
    ck_assert_msg(optimizer != NULL, "%s", tread_last_error());
    check_group(optimizer, 0, PLACES(0, 1, 2, 3, 4, 5, 6, 7, 8), 0.5, 0.1);
    tread_optimizer_destroy(optimizer);
    ck_assert_ptr_null(from_groups("muon:rule=muon", NULL, 0, false, NULL));
    ck_assert_ptr_nonnull(strstr(tread_last_error(), "parameter '0.bias' of shape (5)"));
    end_list();
}
END_TEST

START_TEST(muon_with_adamw_takes_structs) {
    make_list();
    tread_muon_options muon = tread_muon_defaults(), adamw = tread_muon_defaults();
    muon.lr = 0.125;
    adamw.lr = 0.25;
    adamw.weight_decay = 0;
    tread_optimizer *optimizer = tread_muon_with_adamw(NULL, list, &muon, &adamw);
    ck_assert_msg(optimizer != NULL, "%s", tread_last_error());
    ck_assert_uint_eq(tread_optimizer_group_count(optimizer), 2);
    check_group(optimizer, 0, PLACES(1, 5), 0.125, 0.1);
    check_group(optimizer, 1, PLACES(0, 2, 3, 4, 6, 7, 8), 0.25, 0);
    check_rule(optimizer, 1, "adamw");
    tread_optimizer_destroy(optimizer);
    optimizer = tread_muon_with_adamw(NULL, (tread_parameter_list){items + 2, 3}, &muon, NULL);
    ck_assert_uint_eq(tread_optimizer_group_count(optimizer), 1);
    check_group(optimizer, 0, PLACES(2, 3, 4), 1e-3, 0.1);
    tread_optimizer_destroy(optimizer);
    optimizer = tread_muon_with_adamw(NULL, (tread_parameter_list){items + 1, 1}, NULL, NULL);
    ck_assert_uint_eq(tread_optimizer_group_count(optimizer), 1);
    check_rule(optimizer, 0, "muon");
    tread_optimizer_destroy(optimizer);
    adamw.eps = -1;
    uint64_t live = tread_memory_live_blocks();
    ck_assert_ptr_null(tread_muon_with_adamw(NULL, list, &muon, &adamw));
    ck_assert_ptr_nonnull(strstr(tread_last_error(), "muon: eps = -1 is outside [0, inf)"));
    ck_assert_ptr_null(tread_muon_with_adamw(NULL, (tread_parameter_list){items, 0}, NULL, NULL));
    ck_assert_ptr_nonnull(strstr(tread_last_error(), "muon: the list of parameters is empty"));
    ck_assert_uint_eq(tread_memory_live_blocks(), live);
    end_list();
}
END_TEST

START_TEST(bad_groups_make_nothing) {
    make_list();
    const struct {
        const char *spec;
        tread_group_rule rules[2];
        size_t n;
        const char *other_fields, *part;
    } cases[] = {
        {"adam", {{"*.scale", "lr=1"}}, 1, NULL, "adam: rule 1 of 1: '*.scale' matches none of table"},
        {"adam",
         {{"0.*", "lr=1"}, {"0.bias", "lr=2"}},
         2,
         NULL,
         "adam: rule 2 of 2: earlier rules have every parameter that '0.bias' matches"},
        {"adam", {{"0.*", "lr=1"}, {"*.bias", "eps=-2"}}, 2, NULL, "rule 2 ('*.bias'): adam: eps = -2 is outside"},
        {"adam", {{"0.*", "lrr=1"}}, 1, NULL, "rule 1 ('0.*'): adam: there is no field 'lrr'"},
        {"adam", {{"0.*", "lr=-1"}}, 1, NULL, "rule 1 ('0.*'): adam: lr = -1 is outside [0, inf)"},
        {"adam", {{"0.*", "rate=1"}}, 1, NULL, "adam: there is no field 'rate'"},
        {"adam", {{NULL, "lr=1"}}, 1, NULL, "the patterns are NULL"},
        {"adam", {{"*", "lr=1"}}, 1, "lr=1", "adam: one rule is for all parameters, and there is no use for 'lr=1'"},
        {"muon:rule=adamw", {{"*", "lr=1"}}, 1, "lr=2", "no use for 'lr=2'"},
        {"adamm", {{"*", "lr=1"}}, 1, NULL, "there is no optimizer 'adamm'"},
        {"muon", {{"0.bias", "rule=muon"}}, 1, NULL, "parameter '0.bias' of shape (5)"},
        {"muon", {{"0.bias", ""}}, 1, "betas=2/0", "muon: betas[0] = 2 is outside [0, 1)"},
    };
    uint64_t live = tread_memory_live_blocks();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_ptr_null(from_groups(cases[i].spec, cases[i].rules, cases[i].n, true, cases[i].other_fields));
        ck_assert_msg(strstr(tread_last_error(), cases[i].part) != NULL, "\"%s\" lacks \"%s\"", tread_last_error(),
                      cases[i].part);
    }
    ck_assert_ptr_null(from_groups("adam", NULL, 2, false, NULL));
    ck_assert_ptr_nonnull(strstr(tread_last_error(), "adam: rules is NULL, and n_rules is 2"));
    ck_assert_ptr_null(tread_optimizer_from_groups(NULL, list, "adam", &(tread_groups_options){.size = 0}));
    ck_assert_ptr_nonnull(strstr(tread_last_error(), "options.size"));
    ck_assert_ptr_null(tread_optimizer_from_groups(NULL, list, NULL, NULL));
    tread_parameter *twice[] = {items[0], items[1], items[0]};
    ck_assert_ptr_null(tread_optimizer_from_groups(NULL, (tread_parameter_list){twice, 3}, "adam", NULL));
    ck_assert_ptr_nonnull(strstr(tread_last_error(), "'table' is there twice"));
    ck_assert_uint_eq(tread_memory_live_blocks(), live);
    end_list();
}
END_TEST

/* Groups made at once are those made one after the other, to the bit. */
START_TEST(groups_step_as_if_added) {
    make_list();
    const tread_group_rule rules[] = {{"*.bias", "lr=0.5,weight_decay=0"}};
    tread_optimizer *at_once = from_groups("adamw:lr=0.01,weight_decay=0.1", rules, 1, false, NULL);
    tread_parameter *copies[N];
    for (size_t i = 0; i < N; i++) {
        copies[i] = tread_parameter_create(sample[i].name, sample[i].rank, sample[i].shape);
        memcpy(copies[i]->tensor.data, items[i]->tensor.data, tread_tensor_bytes(&items[i]->tensor));
    }
    tread_parameter_split split;
    ck_assert_ok(tread_parameters_split((tread_parameter_list){copies, N}, "*.bias", &split));
    tread_optimizer *added = tread_optimizer_from_spec(NULL, split.rest, "adamw:lr=0.01,weight_decay=0.1");
    ck_assert_ok(tread_optimizer_add_param_group_spec(added, split.chosen, "lr=0.5,weight_decay=0"));
    tread_parameter_split_free(&split); /* optimizers keep no caller's list */
    for (int64_t t = 0; t < 4; t++) {
        for (size_t i = 0; i < N; i++) {
            float g[24];
            for (int64_t e = 0; e < items[i]->tensor.count; e++)
                g[e] = param_grad(i, e, t);
            param_set_grad(items[i], g);
            param_set_grad(copies[i], g);
        }
        ck_assert_ok(tread_optimizer_step(at_once, NULL));
        ck_assert_ok(tread_optimizer_step(added, NULL));
    }
    for (size_t i = 0; i < N; i++) {
        ck_assert_mem_eq(copies[i]->tensor.data, items[i]->tensor.data, tread_tensor_bytes(&items[i]->tensor));
        tread_parameter_destroy(copies[i]);
    }
    tread_optimizer_destroy(at_once);
    tread_optimizer_destroy(added);
    end_list();
}
END_TEST

static void *make_groups(void *data) {
    (void)data;
    const tread_group_rule rules[] = {{"out.*", "lr=0.25"}, {"table", "lr=0.5"}};
    return from_groups("muon", rules, 2, true, "lr=0.5");
}
static void *make_with_adamw(void *data) {
    (void)data;
    return tread_muon_with_adamw(NULL, list, NULL, NULL);
}
static void unmake(void *data, void *made) {
    (void)data;
    tread_optimizer_destroy(made);
}
static void *make_split(void *data) { return tread_parameters_split(list, "*.bias", data) == TREAD_OK ? data : NULL; }
static void unmake_split(void *data, void *made) {
    (void)made;
    tread_parameter_split_free(data);
}

START_TEST(failing_allocations_leave_nothing_behind) {
    make_list();
    tread_parameter_split split;
    fail_every_allocation(make_groups, unmake, NULL);
    fail_every_allocation(make_with_adamw, unmake, NULL);
    fail_every_allocation(make_split, unmake_split, &split);
    end_list();
}
END_TEST

/* The roles that a model's layers set are those that the splits read. */
START_TEST(a_model_is_split_by_its_layers_roles) {
    tread_mlp_options o = tread_mlp_defaults();
    o.n_inputs = 6;
    o.hidden = (const int64_t[]){5, 4};
    o.n_hidden = 2;
    o.n_outputs = 3;
    o.layer_norm = true;
    tread_module *net = tread_mlp(NULL, &o);
    tread_optimizer *optimizer = tread_optimizer_from_groups(NULL, tread_module_parameters(net), "muon:lr=0.02", NULL);
    ck_assert_msg(optimizer != NULL, "%s", tread_last_error());
    tread_parameter_list matrices = tread_optimizer_group_params(optimizer, 0);
    ck_assert_uint_eq(matrices.count, 2);
    ck_assert_str_eq(tread_parameter_name(matrices.items[0]), "0.weight");
    ck_assert_str_eq(tread_parameter_name(matrices.items[1]), "3.weight");
    ck_assert_uint_eq(tread_optimizer_group_params(optimizer, 1).count, tread_module_parameters(net).count - 2);
    tread_optimizer_destroy(optimizer);
    tread_module_destroy(net);
}
END_TEST

TEST_MAIN("groups", lists_split_by_name, lists_split_by_role, bad_patterns_split_nothing,
          the_first_rule_that_matches_decides, decay_splits_every_group_that_does_not_say,
          muon_leaves_the_others_to_adamw, muon_with_adamw_takes_structs, bad_groups_make_nothing,
          groups_step_as_if_added, failing_allocations_leave_nothing_behind, a_model_is_split_by_its_layers_roles)
