/* States taken and loaded at any step: continuing bit for bit, and refusals that change nothing and list every
 * difference. */
#include "tests/optim/helpers.h"

static const int64_t sizes[] = {3, 50, 20000, 16};

static void run_steps(tread_optimizer *optimizer, params *p, int64_t from, int64_t to) {
    for (int64_t t = from; t < to; t++) {
        params_set_grads(p, t, t < 2 ? 1u << 2 : t == 3 ? 1u : 0); /* p2 comes late, p0 misses step 3 */
        ck_assert_ok(tread_optimizer_step(optimizer, NULL));
    }
}

static tread_optimizer *make(params *p, const char *spec, int threads, tread_context **ret_context) {
    *ret_context = context_with_threads(threads);
    tread_optimizer *optimizer = tread_optimizer_from_spec(*ret_context, params_part(p, 0, 3), spec);
    ck_assert_msg(optimizer != NULL, "%s", tread_last_error());
    ck_assert_ok(tread_optimizer_add_param_group_spec(optimizer, params_part(p, 3, 1), "lr=0.02"));
    return optimizer;
}

START_TEST(a_resumed_run_is_the_same_run) {
    for (int s = 0; battery_specs[s] != NULL; s++)
        for (int64_t stop = 0; stop < 6; stop += stop == 0 ? 1 : 2) {
            params a = params_make_for(battery_specs[s], 4, sizes), b = params_make_for(battery_specs[s], 4, sizes);
            tread_context *one, *two;
            tread_optimizer *first = make(&a, battery_specs[s], 1, &one);
            run_steps(first, &a, 0, stop);
            tread_state *state = tread_optimizer_state_dict(first);
            ck_assert_msg(state != NULL, "%s", tread_last_error());
            for (size_t i = 0; i < 4; i++)
                memcpy(param_data(&b, i), param_data(&a, i), tread_tensor_bytes(&a.items[i]->tensor));
            tread_optimizer *second = make(&b, battery_specs[s], 2, &two);
            ck_assert_ok(tread_optimizer_set(second, 0, "lr", 7)); /* replaced by the saved one */
            ck_assert_ok(tread_optimizer_load_state_dict(second, state));
            tread_state_destroy(state);
            run_steps(first, &a, stop, 8);
            run_steps(second, &b, stop, 8);
            ck_assert_msg(params_equal(&a, &b), "%s stopped at %d", battery_specs[s], (int)stop);
            tread_optimizer_destroy(first);
            tread_optimizer_destroy(second);
            tread_context_destroy(one);
            tread_context_destroy(two);
            params_destroy(&a);
            params_destroy(&b);
        }
}
END_TEST

/* Loading goes back, too: an optimizer that went on from the state and takes it again repeats itself. */
START_TEST(loading_replaces_what_was_there) {
    for (int s = 0; battery_specs[s] != NULL; s++) {
        params a = params_make_for(battery_specs[s], 4, sizes), b = params_make_for(battery_specs[s], 4, sizes);
        tread_context *context;
        tread_optimizer *optimizer = make(&a, battery_specs[s], 1, &context);
        tread_state *start = tread_optimizer_state_dict(optimizer);
        run_steps(optimizer, &a, 0, 5);
        for (size_t i = 0; i < 4; i++)
            memcpy(param_data(&b, i), param_data(&a, i), tread_tensor_bytes(&a.items[i]->tensor));
        params_set_values(&a);
        ck_assert_ok(tread_optimizer_load_state_dict(optimizer, start));
        run_steps(optimizer, &a, 0, 5);
        ck_assert_msg(params_equal(&a, &b), "%s", battery_specs[s]);
        tread_state_destroy(start);
        tread_optimizer_destroy(optimizer);
        tread_context_destroy(context);
        params_destroy(&a);
        params_destroy(&b);
    }
}
END_TEST

START_TEST(the_shape_is_torchs) {
    params p = params_make(3, sizes);
    p.items[2]->name[0] = 'w';
    tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_part(&p, 0, 3), "adam:clip_grad_max_norm=0.5");
    run_steps(optimizer, &p, 0, 2); /* p2 (now w2) has no step */
    tread_state *state = tread_optimizer_state_dict(optimizer);
    const tread_state *states, *groups, *one, *list;
    const tread_tensor *tensor;
    const char *text;
    int64_t step;
    double number;
    ck_assert_ok(tread_state_get_string(state, "algorithm", &text));
    ck_assert_str_eq(text, "adam");
    ck_assert_ok(tread_state_get(state, "state", TREAD_STATE_TREE, &states));
    ck_assert_uint_eq(tread_state_count(states), 3);
    ck_assert_ok(tread_state_get(states, "p1", TREAD_STATE_TREE, &one));
    ck_assert_ok(tread_state_get_integer(one, "step", &step));
    ck_assert_int_eq(step, 2);
    ck_assert_ok(tread_state_get_tensor(one, "exp_avg_sq", &tensor));
    ck_assert_int_eq(tread_tensor_dim(tensor, 0), 50);
    ck_assert_ok(tread_state_get(states, "w2", TREAD_STATE_TREE, &one));
    ck_assert_uint_eq(tread_state_count(one), 1); /* its step alone */
    ck_assert_ok(tread_state_get(state, "param_groups", TREAD_STATE_LIST, &groups));
    one = tread_state_at(groups, 0);
    ck_assert_ok(tread_state_get_real(one, "clip_grad_max_norm", &number));
    ck_assert_double_eq(number, 0.5);
    ck_assert_ok(tread_state_get(one, "betas", TREAD_STATE_LIST, &list));
    ck_assert_uint_eq(tread_state_count(list), 2);
    ck_assert_ok(tread_state_get(one, "params", TREAD_STATE_LIST, &list));
    ck_assert_ok(tread_state_as_string(tread_state_at(list, 2), &text));
    ck_assert_str_eq(text, "w2");
    ck_assert_ptr_null(tread_state_find(one, "initial_lr"));
    tread_state_destroy(state);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

START_TEST(nameless_parameters_are_numbered_and_equal_names_refused) {
    int64_t size = 2;
    tread_parameter *items[] = {tread_parameter_create(NULL, 1, &size), tread_parameter_create("a", 1, &size),
                                tread_parameter_create("a", 1, &size)};
    tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, (tread_parameter_list){items, 2}, "sgd");
    tread_state *state = tread_optimizer_state_dict(optimizer);
    ck_assert_ptr_nonnull(tread_state_find(tread_state_find(state, "state"), "param.0"));
    ck_assert_ok(tread_optimizer_load_state_dict(optimizer, state));
    tread_state_destroy(state);
    ck_assert_ok(tread_optimizer_add_param_group(optimizer, (tread_parameter_list){items + 2, 1}, NULL));
    ck_assert_ptr_null(tread_optimizer_state_dict(optimizer));
    ck_assert_str_eq(tread_last_error(), "sgd: two parameters are named 'a'");
    tread_optimizer_destroy(optimizer);
    for (int i = 0; i < 3; i++)
        tread_parameter_destroy(items[i]);
}
END_TEST

/* Loads state, expects failure with every one of the parts, and that the optimizer goes on as one that never tried. */
static void refuse(const char *spec, const tread_state *state, const char *const *parts) {
    params a = params_make(4, sizes), b = params_make(4, sizes);
    tread_context *one, *two;
    tread_optimizer *tried = make(&a, spec, 1, &one), *other = make(&b, spec, 1, &two);
    run_steps(tried, &a, 0, 2);
    run_steps(other, &b, 0, 2);
    ck_assert_int_eq(tread_optimizer_load_state_dict(tried, state), TREAD_ERROR_FORMAT);
    for (int i = 0; parts[i] != NULL; i++)
        ck_assert_msg(strstr(tread_last_error(), parts[i]) != NULL, "\"%s\" lacks \"%s\"", tread_last_error(),
                      parts[i]);
    run_steps(tried, &a, 2, 5);
    run_steps(other, &b, 2, 5);
    ck_assert(params_equal(&a, &b));
    tread_optimizer_destroy(tried);
    tread_optimizer_destroy(other);
    tread_context_destroy(one);
    tread_context_destroy(two);
    params_destroy(&a);
    params_destroy(&b);
}

static tread_state *state_of(const char *spec, size_t n, const int64_t *other_sizes, size_t n_first, const char *name) {
    params p = params_make(n, other_sizes);
    if (name != NULL)
        ck_assert_ok(tread_parameter_rename(p.items[0], name));
    tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_part(&p, 0, n_first), spec);
    if (n_first < n)
        ck_assert_ok(tread_optimizer_add_param_group(optimizer, params_part(&p, n_first, n - n_first), NULL));
    params_set_grads(&p, 0, 0);
    ck_assert_ok(tread_optimizer_step(optimizer, NULL));
    tread_state *state = tread_optimizer_state_dict(optimizer);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
    return state;
}

START_TEST(what_does_not_fit_is_refused_with_every_difference) {
    static const int64_t other_sizes[] = {3, 51, 20000, 16};
    struct {
        const char *spec;
        tread_state *state;
        const char *parts[5];
    } cases[] = {
        {"sgd", state_of("adam", 4, sizes, 3, NULL), {"sgd: the state does not fit, 1 difference: it is of adam"}},
        {"sgd",
         state_of("adam", 3, sizes, 2, "other"),
         {"sgd: the state does not fit, 5 differences: it is of adam; state of 3 parameters, not 4; group 0: 2 "
          "parameters, not 3; group 0: parameter 0 is 'other', not 'p0'; group 1: parameter 0 is 'p2', not 'p3'"}},
        {"adam", state_of("sgd", 4, sizes, 4, NULL), {"3 differences: it is of sgd; 1 groups, not 2; group 0: 4"}},
        {"adam", state_of("adam", 4, sizes, 4, NULL), {"1 groups, not 2", "group 0: 4 parameters, not 3"}},
        {"adam",
         state_of("adam", 3, sizes, 2, NULL),
         {"state of 3 parameters, not 4", "group 0: 2 parameters, not 3", "p3: there is no state",
          "group 1: parameter 0 is 'p2', not 'p3'"}},
        {"adam",
         state_of("adam", 4, other_sizes, 3, "other"),
         {"p1: exp_avg has shape (51), not (50)", "p1: exp_avg_sq has shape (51)",
          "group 0: parameter 0 is 'other', not 'p0'", "p0: there is no state"}},
        {"sgd:momentum=0.9",
         state_of("sgd:momentum=0.9,convention=pytorch", 4, sizes, 3, NULL),
         {"group 0: convention is pytorch, not velocity", "group 1: convention is pytorch, not velocity"}},
        {"adam", tread_state_create(), {"there is no string 'algorithm'"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        refuse(cases[i].spec, cases[i].state, cases[i].parts);
        tread_state_destroy(cases[i].state);
    }
    params p = params_make(1, sizes);
    tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_list(&p), "sgd");
    ck_assert_fails(tread_optimizer_load_state_dict(optimizer, NULL), TREAD_ERROR_ARGUMENT, "NULL");
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

/* More differences than a sentence holds: whole ones, and how many there is no room for. */
START_TEST(a_long_report_says_what_it_leaves_out) {
    enum { N = 400 };
    static const int64_t one[] = {1};
    tread_parameter *items[2][N];
    tread_optimizer *optimizers[2];
    for (int o = 0; o < 2; o++) {
        for (int i = 0; i < N; i++) {
            char name[64];
            snprintf(name, sizeof name, "%s.%d.weight", o == 0 ? "layer" : "block", i);
            items[o][i] = tread_parameter_create(name, 1, one);
        }
        optimizers[o] = tread_adam(NULL, (tread_parameter_list){items[o], N}, NULL);
    }
    tread_state *state = tread_optimizer_state_dict(optimizers[0]);
    ck_assert_fails(tread_optimizer_load_state_dict(optimizers[1], state), TREAD_ERROR_FORMAT,
                    "adam: the state does not fit, 800 differences: group 0: parameter 0 is 'layer.0.weight'");
    const char *end = strstr(tread_last_error(), "; and ");
    int listed = 1, left = 0;
    ck_assert_ptr_nonnull(end);
    ck_assert_int_eq(sscanf(end, "; and %d more", &left), 1);
    ck_assert_str_eq(strrchr(end, ' '), " more");
    for (const char *c = strchr(tread_last_error(), ';'); c < end; c = strchr(c + 1, ';'))
        listed++;
    ck_assert_int_eq(listed + left, 2 * N);
    ck_assert_int_gt(listed, 50);
    tread_state_destroy(state);
    for (int o = 0; o < 2; o++) {
        tread_optimizer_destroy(optimizers[o]);
        for (int i = 0; i < N; i++)
            tread_parameter_destroy(items[o][i]);
    }
}
END_TEST

/* A copy of a state with one node left out, put in otherwise, or with a "surplus" before it; path is "a/b/c", a list's
 * part by its index. */
static bool is_path(const char *path, const char *name, size_t length) {
    return path != NULL && strlen(name) == length && strncmp(path, name, length) == 0;
}
static void copy_edited(const tread_state *from, tread_state *to, const char *path, const char *mode) {
    for (size_t i = 0; i < tread_state_count(from); i++) {
        const tread_state *part = tread_state_at(from, i);
        const char *name = tread_state_name(part), *rest = NULL;
        char index[24];
        snprintf(index, sizeof index, "%zu", i);
        size_t length = path != NULL ? strcspn(path, "/") : 0;
        if (is_path(path, name != NULL ? name : index, length))
            rest = path[length] == '/' ? path + length + 1 : "";
        if (rest != NULL && rest[0] == '\0' && strcmp(mode, "beside") == 0) {
            ck_assert_ok(tread_state_add_integer(to, "surplus", 1));
        } else if (rest != NULL && rest[0] == '\0') {
            if (strcmp(mode, "drop") == 0)
                continue;
            ck_assert_ok(strcmp(mode, "text") == 0 ? tread_state_add_string(to, name, "what")
                                                   : tread_state_add_real(to, name, atof(mode)));
            continue;
        }
        double real;
        int64_t integer;
        const char *string;
        const tread_tensor *tensor;
        switch (tread_state_kind_of(part)) {
        case TREAD_STATE_TREE: copy_edited(part, tread_state_add_tree(to, name), rest, mode); break;
        case TREAD_STATE_LIST: copy_edited(part, tread_state_add_list(to, name), rest, mode); break;
        case TREAD_STATE_REAL:
            ck_assert_ok(tread_state_as_real(part, &real));
            ck_assert_ok(tread_state_add_real(to, name, real));
            break;
        case TREAD_STATE_INTEGER:
            ck_assert_ok(tread_state_as_integer(part, &integer));
            ck_assert_ok(tread_state_add_integer(to, name, integer));
            break;
        case TREAD_STATE_STRING:
            ck_assert_ok(tread_state_as_string(part, &string));
            ck_assert_ok(tread_state_add_string(to, name, string));
            break;
        case TREAD_STATE_TENSOR:
            ck_assert_ok(tread_state_as_tensor(part, &tensor));
            ck_assert_ok(tread_state_add_tensor_copy(to, name, tensor));
            break;
        }
    }
}

START_TEST(damaged_states_are_refused) {
    static const struct {
        const char *path, *mode, *sentence;
    } damage[] = {
        {"param_groups/0/lr", "drop", "group 0: lr is missing"},
        {"param_groups/0/lr", "text", "group 0: lr is of another kind, and should be in [0, inf)"},
        {"param_groups/0/lr", "-1", "group 0: adam: lr = -1 is outside [0, inf)"},
        {"param_groups/1/betas/1", "1", "group 1: adam: betas[1] = 1 is outside [0, 1)"},
        {"param_groups/1/betas/1", "drop", "group 1: betas is of another kind"},
        {"param_groups/1/amsgrad", "0.5", "group 1: amsgrad is of another kind, and should be in true or false"},
        {"param_groups/1/params", "drop", "group 1: state: there is no list 'params'"},
        {"param_groups/1/params/0", "3", "group 1: parameter 0 is '?', not 'p3'"},
        {"param_groups/1", "3", "group 1: is no tree"},
        {"param_groups", "drop", "there is no list 'param_groups'"},
        {"state", "text", "'state' is a string, not a tree"},
        {"state/p0", "drop", "p0: there is no state"},
        {"state/p0", "1", "p0: there is no state"},
        {"state/p0/step", "drop", "p0: state: there is no integer 'step'"},
        {"state/p0/step", "1.5", "'step' is a real, not an integer"},
        {"state/p0/exp_avg", "drop", "p0: state: there is no tensor 'exp_avg'"},
        {"state/p0/exp_avg", "2", "'exp_avg' is a real, not a tensor"},
        {"algorithm", "1", "'algorithm' is a real, not a string"},
        {"state/p0/step", "beside", "p0: 'surplus' is not part of it"},
        {"param_groups/1/lr", "beside", "group 1: 'surplus' is not part of it"},
        {"state", "beside", "adam: 'surplus' is not part of it"},
    };
    tread_state *whole = state_of("adam", 4, sizes, 3, NULL);
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        tread_state *damaged = tread_state_create();
        copy_edited(whole, damaged, damage[i].path, damage[i].mode);
        refuse("adam", damaged, (const char *[]){damage[i].sentence, NULL});
        tread_state_destroy(damaged);
    }
    tread_state_destroy(whole);
    whole = state_of("adam:amsgrad=true", 4, sizes, 3, NULL);
    tread_state *damaged = tread_state_create();
    copy_edited(whole, damaged, "param_groups/0/amsgrad", "drop");
    refuse("adam", damaged,
           (const char *[]){"group 0: amsgrad is missing", "p0: 'max_exp_avg_sq' is not part of it", NULL});
    tread_state_destroy(damaged);
    tread_state_destroy(whole);
}
END_TEST

/* What an algorithm keeps beside the slots has its range too. */
START_TEST(numbers_out_of_range_are_refused) {
    static const struct {
        const char *spec, *path, *mode, *sentence;
    } damage[] = {
        {"nadam", "state/p0/mu_product", "1.5", "p0: mu_product = 1.5 is outside [0, 1]"},
        {"nadam", "state/p0/mu_product", "-1", "p0: mu_product = -1 is outside [0, 1]"},
        {"schedule_free_sgd", "state/p1/weight_sum", "-3", "p1: weight_sum = -3 is outside [0, inf)"},
    };
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        tread_state *whole = state_of(damage[i].spec, 4, sizes, 3, NULL), *damaged = tread_state_create();
        copy_edited(whole, damaged, damage[i].path, damage[i].mode);
        refuse(damage[i].spec, damaged, (const char *[]){damage[i].sentence, NULL});
        tread_state_destroy(whole);
        tread_state_destroy(damaged);
    }
    tread_state *whole = state_of("schedule_free_sgd", 4, sizes, 3, NULL), *first = tread_state_create();
    tread_state *damaged = tread_state_create();
    copy_edited(whole, first, "training", "drop");
    copy_edited(first, damaged, "state/p0/step", "drop");
    ck_assert_ok(tread_state_add_integer(damaged, "training", 2));
    tread_state *p0 = (tread_state *)tread_state_find(tread_state_find(damaged, "state"), "p0");
    ck_assert_ok(tread_state_add_integer(p0, "step", INT64_MAX));
    refuse("schedule_free_sgd", damaged,
           (const char *[]){"training = 2 is not 0 or 1", "p0: step = 9223372036854775807 is more than 2^53", NULL});
    tread_state_destroy(damaged);
    tread_state_destroy(first);
    damaged = tread_state_create();
    copy_edited(whole, damaged, "state/p0/z", "drop");
    p0 = (tread_state *)tread_state_find(tread_state_find(damaged, "state"), "p0");
    ck_assert_ok(tread_state_add_string(tread_state_add_list(p0, "fresh"), NULL, "z")); /* it never is */
    refuse("schedule_free_sgd", damaged, (const char *[]){"p0: state: there is no tensor 'z'", NULL});
    tread_state_destroy(damaged);
    tread_state_destroy(whole);
}
END_TEST

/* A saved amsgrad needs a slot that the optimizer did not have; a slot made late is saved as not written yet. */
START_TEST(loading_makes_the_slots_it_needs) {
    params a = params_make(4, sizes), b = params_make(4, sizes);
    tread_optimizer *x = tread_optimizer_from_spec(NULL, params_list(&a), "sgd:convention=pytorch,dampening=0.5");
    tread_optimizer *y = tread_optimizer_from_spec(NULL, params_list(&b), "sgd:convention=pytorch,dampening=0.5");
    run_steps(x, &a, 0, 3);
    ck_assert_ok(tread_optimizer_set(x, 0, "momentum", 0.9)); /* its first buffer is the gradient, undamped */
    tread_state *state = tread_optimizer_state_dict(x);
    ck_assert_ok(tread_optimizer_load_state_dict(y, state));
    for (size_t i = 0; i < 4; i++)
        memcpy(param_data(&b, i), param_data(&a, i), tread_tensor_bytes(&a.items[i]->tensor));
    params_set_grads(&a, 9, 0);
    float before = param_data(&a, 0)[1], lr = 1e-3f;
    ck_assert_ok(tread_optimizer_step(x, NULL));
    ck_assert_float_eq(param_data(&a, 0)[1], before - lr * param_grad(0, 1, 9));
    params_set_grads(&b, 9, 0);
    ck_assert_ok(tread_optimizer_step(y, NULL));
    run_steps(x, &a, 4, 6);
    run_steps(y, &b, 4, 6);
    ck_assert(params_equal(&a, &b));
    tread_state_destroy(state);
    tread_optimizer_destroy(x);
    tread_optimizer_destroy(y);
    params_destroy(&a);
    params_destroy(&b);
}
END_TEST

typedef struct loading {
    tread_optimizer *optimizer;
    tread_state *state;
} loading;
static void *take_state(void *data) { return tread_optimizer_state_dict(((loading *)data)->optimizer); }
static void drop_state(void *data, void *made) {
    (void)data;
    tread_state_destroy(made);
}
static void *load_state(void *data) {
    loading *l = data;
    double amsgrad;
    if (tread_optimizer_load_state_dict(l->optimizer, l->state) == TREAD_OK)
        return l;
    ck_assert_ok(tread_optimizer_get(l->optimizer, 0, "amsgrad", &amsgrad));
    ck_assert_double_eq(amsgrad, 0);
    return NULL;
}
static void keep(void *data, void *made) {
    (void)data;
    (void)made;
}

START_TEST(failing_allocations_change_nothing) {
    params a = params_make(4, sizes), b = params_make(4, sizes);
    tread_context *one, *two;
    loading l = {make(&a, "adam:amsgrad=true", 1, &one), NULL};
    run_steps(l.optimizer, &a, 0, 4);
    fail_every_allocation(take_state, drop_state, &l);
    l.state = take_state(&l);
    tread_optimizer_destroy(l.optimizer);
    l.optimizer = make(&b, "adam", 1, &two);
    fail_every_allocation(load_state, keep, &l);
    tread_state_destroy(l.state);
    tread_optimizer_destroy(l.optimizer);
    tread_context_destroy(one);
    tread_context_destroy(two);
    params_destroy(&a);
    params_destroy(&b);
}
END_TEST

TEST_MAIN("state_dict", a_resumed_run_is_the_same_run, loading_replaces_what_was_there, the_shape_is_torchs,
          nameless_parameters_are_numbered_and_equal_names_refused, what_does_not_fit_is_refused_with_every_difference,
          a_long_report_says_what_it_leaves_out, damaged_states_are_refused, numbers_out_of_range_are_refused,
          loading_makes_the_slots_it_needs, failing_allocations_change_nothing)
