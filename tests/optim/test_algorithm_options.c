/* The tables of the elementwise algorithms: defaults, constructors, names of the state, conventions that are fixed, and
 * refused values. */
#include "tests/optim/helpers.h"

static tread_optimizer *make(const params *p, const char *spec) {
    tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_list(p), spec);
    ck_assert_msg(optimizer != NULL, "%s", tread_last_error());
    return optimizer;
}

START_TEST(sparse_gradients_are_for_those_that_say_so) {
    static const char *const sparse[] = {"sgd", "adam", "adamw", "adagrad"};
    static const char *const dense[] = {"lion", "lamb", "adamax", "nadam", "radam", "rmsprop", "adadelta"};
    params p = params_make(1, (const int64_t[]){3});
    for (int i = 0; i < 4 + 7; i++) {
        tread_optimizer *optimizer = make(&p, i < 4 ? sparse[i] : dense[i - 4]);
        ck_assert_int_eq(tread_optimizer_support_sparse(optimizer), i < 4);
        tread_optimizer_destroy(optimizer);
    }
    params_destroy(&p);
}
END_TEST

/* The names that a state dict has after a step. */
START_TEST(slots_have_their_names) {
    static const struct {
        const char *spec;
        const char *names[4];
    } all[] = {{"lion", {"exp_avg"}},
               {"adamw:amsgrad=true", {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"}},
               {"lamb", {"exp_avg", "exp_avg_sq"}},
               {"lamb:amsgrad=true", {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"}},
               {"adamax", {"exp_avg", "exp_inf"}},
               {"nadam", {"exp_avg", "exp_avg_sq", "mu_product"}},
               {"radam", {"exp_avg", "exp_avg_sq"}},
               {"adagrad", {"sum"}},
               {"rmsprop", {"square_avg"}},
               {"rmsprop:centered=true,momentum=0.5", {"square_avg", "grad_avg", "velocity"}},
               {"rmsprop:momentum=0.5,convention=pytorch", {"square_avg", "momentum_buffer"}},
               {"adadelta", {"square_avg", "acc_delta"}}};
    for (size_t s = 0; s < sizeof all / sizeof *all; s++) {
        params p = params_make(1, (const int64_t[]){3});
        tread_optimizer *optimizer = make(&p, all[s].spec);
        params_set_grads(&p, 0, 0);
        ck_assert_ok(tread_optimizer_step(optimizer, NULL));
        tread_state *state = tread_optimizer_state_dict(optimizer);
        const tread_state *states, *one;
        ck_assert_ok(tread_state_get(state, "state", TREAD_STATE_TREE, &states));
        ck_assert_ok(tread_state_get(states, "p0", TREAD_STATE_TREE, &one));
        size_t count = 0;
        for (; count < 4 && all[s].names[count] != NULL; count++)
            ck_assert_msg(tread_state_find(one, all[s].names[count]) != NULL, "%s: %s", all[s].spec,
                          all[s].names[count]);
        ck_assert_uint_eq(tread_state_count(one), count + 1); /* and "step" */
        tread_state_destroy(state);
        tread_optimizer_destroy(optimizer);
        params_destroy(&p);
    }
}
END_TEST

START_TEST(defaults_are_the_documented_ones) {
    static const struct {
        const char *name, *fields;
    } all[] = {
        {"lion", "lr=1e-4,betas=0.9/0.99,weight_decay=0"},
        {"adamw", "lr=1e-3,betas=0.9/0.999,eps=1e-8,weight_decay=0,amsgrad=false,do_bias_correction=true"},
        {"lamb", "lr=1e-3,betas=0.9/0.999,eps=1e-8,weight_decay=0,adam_w_mode=true,do_bias_correction=true,"
                 "amsgrad=false,decay_in_trust_ratio=false"},
        {"adamax", "lr=2e-3,betas=0.9/0.999,eps=1e-8,weight_decay=0"},
        {"nadam", "lr=2e-3,betas=0.9/0.999,eps=1e-8,weight_decay=0,momentum_decay=4e-3"},
        {"radam", "lr=1e-3,betas=0.9/0.999,eps=1e-8,weight_decay=0"},
        {"adagrad", "lr=1e-3,lr_decay=0,weight_decay=0,initial_accumulator_value=0,eps=1e-10,eps_placement=inside"},
        {"rmsprop", "lr=1e-3,alpha=0.99,eps=1e-8,weight_decay=0,momentum=0,centered=false,eps_placement=inside,"
                    "convention=velocity"},
        {"adadelta", "lr=1,rho=0.9,eps=1e-6,weight_decay=0"},
    };
    params p = params_make(1, (const int64_t[]){3});
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char spec[256];
        snprintf(spec, sizeof spec, "%s:%s,maximize=false,clip_grad_max_norm=inf,clip_grad_norm_type=2", all[i].name,
                 all[i].fields);
        tread_optimizer *plain = make(&p, all[i].name), *said = make(&p, spec);
        const tread_field_table *table = &plain->type->table;
        ck_assert_mem_eq(plain->groups[0].options, said->groups[0].options, table->size);
        size_t fields = 1;
        for (const char *at = strchr(spec, ':'); (at = strchr(at + 1, ',')) != NULL;)
            fields++;
        ck_assert_uint_eq(table->n_fields, fields);
        tread_optimizer_destroy(plain);
        tread_optimizer_destroy(said);
    }
    params_destroy(&p);
}
END_TEST

START_TEST(constructors_take_their_structs) {
    params p = params_make(1, (const int64_t[]){3});
    tread_parameter_list list = params_list(&p);
#define CHECK_CONSTRUCTOR(name)                                                                                        \
    do {                                                                                                               \
        tread_##name##_options o = tread_##name##_defaults();                                                          \
        o.lr = 0.375;                                                                                                  \
        tread_optimizer *optimizer = tread_##name(NULL, list, &o);                                                     \
        ck_assert_msg(optimizer != NULL, "%s", tread_last_error());                                                    \
        ck_assert_str_eq(tread_optimizer_name(optimizer), #name);                                                      \
        ck_assert_double_eq(tread_optimizer_lr(optimizer, 0), 0.375);                                                  \
        tread_optimizer_destroy(optimizer);                                                                            \
        o.lr = -1;                                                                                                     \
        ck_assert_ptr_null(tread_##name(NULL, list, &o));                                                              \
        ck_assert_str_eq(tread_last_error(), #name ": lr = -1 is outside [0, inf)");                                   \
    } while (0)
    CHECK_CONSTRUCTOR(lion);
    CHECK_CONSTRUCTOR(adamw);
    CHECK_CONSTRUCTOR(lamb);
    CHECK_CONSTRUCTOR(adamax);
    CHECK_CONSTRUCTOR(nadam);
    CHECK_CONSTRUCTOR(radam);
    CHECK_CONSTRUCTOR(adagrad);
    CHECK_CONSTRUCTOR(rmsprop);
    CHECK_CONSTRUCTOR(adadelta);
    params_destroy(&p);
}
END_TEST

START_TEST(values_out_of_range_are_refused_by_name) {
    static const char *const all[][2] = {
        {"lion:betas=1/0.9", "lion: betas[0] = 1 is outside [0, 1)"},
        {"lion:betas=0.9/-0.1", "lion: betas[1] = -0.1 is outside [0, 1)"},
        {"lion:weight_decay=-1", "lion: weight_decay = -1 is outside [0, inf)"},
        {"adamw:lr=inf", "adamw: lr = inf is outside [0, inf)"},
        {"adamw:betas=0.9/1", "adamw: betas[1] = 1 is outside [0, 1)"},
        {"adamw:betas=nan/0.9", "adamw: betas[0] = nan is outside [0, 1)"},
        {"adamw:eps=-1e-8", "adamw: eps = -1e-08 is outside [0, inf)"},
        {"adamw:weight_decay=nan", "adamw: weight_decay = nan is outside [0, inf)"},
        {"adamw:amsgrad=2", "adamw: amsgrad = '2' is not true or false"},
        {"adamw:do_bias_correction=no", "adamw: do_bias_correction = 'no' is not true or false"},
        {"adamw:clip_grad_max_norm=-1", "adamw: clip_grad_max_norm = -1 is outside [0, inf) or inf"},
        {"adamw:clip_grad_norm_type=0", "adamw: clip_grad_norm_type = 0 is outside"},
        {"lamb:lr=nan", "lamb: lr = nan is outside [0, inf)"},
        {"lamb:betas=2/0.9", "lamb: betas[0] = 2 is outside [0, 1)"},
        {"lamb:eps=inf", "lamb: eps = inf is outside [0, inf)"},
        {"lamb:weight_decay=-0.1", "lamb: weight_decay = -0.1 is outside [0, inf)"},
        {"lamb:adam_w_mode=on", "lamb: adam_w_mode = 'on' is not true or false"},
        {"lamb:do_bias_correction=1", "lamb: do_bias_correction = '1' is not true or false"},
        {"lamb:amsgrad=", "lamb: amsgrad = '' is not true or false"},
        {"lamb:adam_w_mode=false,decay_in_trust_ratio=true",
         "lamb: decay_in_trust_ratio = true needs adam_w_mode = true"},
        {"lamb:clip_grad_max_norm=nan", "lamb: clip_grad_max_norm = nan is outside [0, inf) or inf"},
        {"adamax:betas=0.9/1", "adamax: betas[1] = 1 is outside [0, 1)"},
        {"adamax:eps=nan", "adamax: eps = nan is outside [0, inf)"},
        {"adamax:weight_decay=inf", "adamax: weight_decay = inf is outside [0, inf)"},
        {"nadam:momentum_decay=-1", "nadam: momentum_decay = -1 is outside [0, inf)"},
        {"nadam:betas=-1/0.9", "nadam: betas[0] = -1 is outside [0, 1)"},
        {"radam:betas=0.9/1", "radam: betas[1] = 1 is outside [0, 1)"},
        {"radam:eps=-1", "radam: eps = -1 is outside [0, inf)"},
        {"adagrad:lr=-1", "adagrad: lr = -1 is outside [0, inf)"},
        {"adagrad:lr_decay=-1", "adagrad: lr_decay = -1 is outside [0, inf)"},
        {"adagrad:weight_decay=inf", "adagrad: weight_decay = inf is outside [0, inf)"},
        {"adagrad:initial_accumulator_value=-1", "adagrad: initial_accumulator_value = -1 is outside [0, inf)"},
        {"adagrad:eps=nan", "adagrad: eps = nan is outside [0, inf)"},
        {"adagrad:eps_placement=torch", "adagrad: eps_placement = 'torch' is not inside or outside"},
        {"rmsprop:lr=-1e-3", "rmsprop: lr = -0.001 is outside [0, inf)"},
        {"rmsprop:alpha=1", "rmsprop: alpha = 1 is outside [0, 1)"},
        {"rmsprop:eps=-1", "rmsprop: eps = -1 is outside [0, inf)"},
        {"rmsprop:weight_decay=-1", "rmsprop: weight_decay = -1 is outside [0, inf)"},
        {"rmsprop:momentum=-0.9", "rmsprop: momentum = -0.9 is outside [0, inf)"},
        {"rmsprop:centered=yes", "rmsprop: centered = 'yes' is not true or false"},
        {"rmsprop:convention=nesterov", "rmsprop: convention = 'nesterov' is not velocity or pytorch"},
        {"adadelta:rho=1", "adadelta: rho = 1 is outside [0, 1)"},
        {"adadelta:eps=inf", "adadelta: eps = inf is outside [0, inf)"},
    };
    params p = params_make(1, (const int64_t[]){3});
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        uint64_t live = tread_memory_live_blocks();
        ck_assert_ptr_null(tread_optimizer_from_spec(NULL, params_list(&p), all[i][0]));
        ck_assert_msg(strncmp(tread_last_error(), all[i][1], strlen(all[i][1])) == 0, "%s: \"%s\"", all[i][0],
                      tread_last_error());
        ck_assert_uint_eq(tread_memory_live_blocks(), live);
    }
    params_destroy(&p);
}
END_TEST

START_TEST(what_an_algorithm_is_stays_fixed) {
    params p = params_make(1, (const int64_t[]){3});
    tread_optimizer *lamb = make(&p, "lamb:decay_in_trust_ratio=true");
    double value;
    ck_assert_fails(tread_optimizer_set_text(lamb, 0, "adam_w_mode", "false"), TREAD_ERROR_ARGUMENT,
                    "lamb: decay_in_trust_ratio = true needs adam_w_mode = true");
    ck_assert_ok(tread_optimizer_get(lamb, 0, "adam_w_mode", &value));
    ck_assert_double_eq(value, 1);
    ck_assert_fails(tread_optimizer_set(lamb, 0, "decay_in_trust_ratio", 0), TREAD_ERROR_STATE,
                    "decay_in_trust_ratio is fixed");
    tread_optimizer *rmsprop = make(&p, "rmsprop:momentum=0.9");
    ck_assert_fails(tread_optimizer_set_text(rmsprop, 0, "eps_placement", "outside"), TREAD_ERROR_STATE,
                    "eps_placement is fixed");
    ck_assert_fails(tread_optimizer_set_text(rmsprop, 0, "convention", "pytorch"), TREAD_ERROR_STATE,
                    "convention is fixed");
    tread_optimizer *adagrad = make(&p, "adagrad");
    ck_assert_fails(tread_optimizer_set_text(adagrad, 0, "eps_placement", "outside"), TREAD_ERROR_STATE,
                    "eps_placement is fixed");
    tread_optimizer_destroy(lamb);
    tread_optimizer_destroy(rmsprop);
    tread_optimizer_destroy(adagrad);
    params_destroy(&p);
}
END_TEST

TEST_MAIN("algorithm options", sparse_gradients_are_for_those_that_say_so, slots_have_their_names,
          defaults_are_the_documented_ones, constructors_take_their_structs, values_out_of_range_are_refused_by_name,
          what_an_algorithm_is_stays_fixed)
