/* Making optimizers and groups, options and their text, and everything that is refused. */
#include "tests/optim/helpers.h"

static const int64_t sizes[] = {3, 50, 20000, 16};

/* Fails with the library's sentence: for functions that return a pointer. */
#define ck_assert_null_with(expression, part)                                                                          \
    do {                                                                                                               \
        ck_assert_ptr_null(expression);                                                                                \
        ck_assert_msg(strstr(tread_last_error(), (part)) != NULL, "\"%s\" lacks \"%s\"", tread_last_error(), (part));  \
    } while (0)

START_TEST(lists_are_checked) {
    for (size_t t = 0; t < tread_optimizer_type_count(); t++) {
        const char *name = tread_optimizer_type_name(t);
        params p = params_make_for(name, 4, sizes);
        uint64_t live = tread_memory_live_blocks();
        ck_assert_null_with(tread_optimizer_from_spec(NULL, (tread_parameter_list){p.items, 0}, name), "is empty");
        ck_assert_null_with(tread_optimizer_from_spec(NULL, (tread_parameter_list){NULL, 2}, name), "is empty");
        tread_parameter *with_null[] = {p.items[0], NULL}, *twice[] = {p.items[0], p.items[2], p.items[0]};
        ck_assert_null_with(tread_optimizer_from_spec(NULL, (tread_parameter_list){with_null, 2}, name),
                            "parameter 1 of 2 is NULL");
        ck_assert_null_with(tread_optimizer_from_spec(NULL, (tread_parameter_list){twice, 3}, name),
                            "parameter 'p0' is there twice: 0 of 3, 2 of 3");
        ck_assert_uint_eq(tread_memory_live_blocks(), live);
        tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_part(&p, 0, 2), name);
        ck_assert_msg(optimizer != NULL, "%s", tread_last_error());
        ck_assert_fails(tread_optimizer_add_param_group(optimizer, params_part(&p, 1, 2), NULL), TREAD_ERROR_ARGUMENT,
                        "parameter 'p1' is there twice: 0 of 2, group 0");
        ck_assert_fails(tread_optimizer_add_param_group(optimizer, params_part(&p, 1, 0), NULL), TREAD_ERROR_ARGUMENT,
                        "is empty");
        ck_assert_uint_eq(tread_optimizer_group_count(optimizer), 1);
        if (tread_optimizer_types[t]->solve != NULL) {
            ck_assert_fails(tread_optimizer_add_param_group(optimizer, params_part(&p, 2, 2), NULL),
                            TREAD_ERROR_ARGUMENT, "there can be one group only");
            tread_optimizer_destroy(optimizer);
            ck_assert_uint_eq(tread_memory_live_blocks(), live);
            params_destroy(&p);
            continue;
        }
        ck_assert_ok(tread_optimizer_add_param_group_spec(optimizer, params_part(&p, 2, 2), "lr=0.25"));
        ck_assert_uint_eq(tread_optimizer_group_count(optimizer), 2);
        tread_parameter_list second = tread_optimizer_group_params(optimizer, 1);
        ck_assert_uint_eq(second.count, 2);
        ck_assert_ptr_eq(second.items[1], p.items[3]);
        ck_assert_uint_eq(tread_optimizer_group_params(optimizer, 2).count, 0);
        ck_assert_double_eq(tread_optimizer_lr(optimizer, 1), 0.25);
        ck_assert(isnan(tread_optimizer_lr(optimizer, 2)));
        tread_optimizer_destroy(optimizer);
        ck_assert_uint_eq(tread_memory_live_blocks(), live);
        params_destroy(&p);
    }
    tread_optimizer_destroy(NULL);
}
END_TEST

START_TEST(options_of_another_algorithm_are_refused) {
    params p = params_make(2, sizes);
    uint64_t live = tread_memory_live_blocks();
    const tread_sgd_options sgd = tread_sgd_defaults();
    const tread_adamw_options adamw = tread_adamw_defaults(); /* of adam's layout */
    const tread_step_lr_options step = tread_step_lr_defaults();
    ck_assert_null_with(tread_adam(NULL, params_list(&p), (const void *)&adamw),
                        "adam: the options are those of adamw; begin with tread_adam_defaults()");
    ck_assert_null_with(tread_adam(NULL, params_list(&p), (const void *)&step), "those of step_lr");
    tread_optimizer *adam = tread_adam(NULL, params_part(&p, 0, 1), NULL);
    ck_assert_fails(tread_optimizer_add_param_group(adam, params_part(&p, 1, 1), &sgd), TREAD_ERROR_ARGUMENT,
                    "adam: the options are those of sgd");
    ck_assert_uint_eq(tread_optimizer_group_count(adam), 1);
    ck_assert_null_with(tread_exponential_lr(adam, (const void *)&step), "exponential_lr: the options are those of");
    tread_optimizer_destroy(adam);
    ck_assert_uint_eq(tread_memory_live_blocks(), live);
    params_destroy(&p);
}
END_TEST

START_TEST(bad_options_make_nothing) {
    params p = params_make(4, sizes);
    tread_adam_options adam = tread_adam_defaults();
    adam.betas[1] = 1.5;
    ck_assert_null_with(tread_adam(NULL, params_list(&p), &adam), "adam: betas[1] = 1.5 is outside [0, 1)");
    adam = tread_adam_defaults();
    adam.lr = NAN;
    ck_assert_null_with(tread_adam(NULL, params_list(&p), &adam), "adam: lr = nan is outside [0, inf)");
    adam = tread_adam_defaults();
    adam.size = 0;
    ck_assert_null_with(tread_adam(NULL, params_list(&p), &adam), "adam: options.size is 0");
    adam.size = sizeof adam;
    ck_assert_null_with(tread_adam(NULL, params_list(&p), &adam),
                        "which no _defaults() function has set; begin with tread_adam_defaults()");
    tread_sgd_options sgd = tread_sgd_defaults();
    sgd.nesterov = true;
    ck_assert_null_with(tread_sgd(NULL, params_list(&p), &sgd), "sgd: nesterov = true needs momentum > 0");
    sgd.momentum = 0.5;
    sgd.dampening = 0.1;
    ck_assert_null_with(tread_sgd(NULL, params_list(&p), &sgd), "dampening = 0.1");
    sgd = tread_sgd_defaults();
    sgd.convention = (tread_momentum_convention)7;
    ck_assert_null_with(tread_sgd(NULL, params_list(&p), &sgd), "velocity or pytorch");
    sgd = tread_sgd_defaults();
    sgd.clip_grad_norm_type = 0;
    ck_assert_null_with(tread_sgd(NULL, params_list(&p), &sgd),
                        "clip_grad_norm_type = 0 is outside (0, inf), inf or -inf");
    /* A group's options are held to the same. */
    tread_optimizer *optimizer = tread_adam(NULL, params_part(&p, 0, 2), NULL);
    adam = tread_adam_defaults();
    adam.eps = -1;
    ck_assert_fails(tread_optimizer_add_param_group(optimizer, params_part(&p, 2, 2), &adam), TREAD_ERROR_ARGUMENT,
                    "adam: eps = -1 is outside [0, inf)");
    ck_assert_uint_eq(tread_optimizer_group_count(optimizer), 1);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

START_TEST(spec_strings_are_read_strictly) {
    static const struct {
        const char *spec, *sentence;
    } bad[] = {
        {"adamm", "there is no optimizer 'adamm'; there are sgd, "},
        {"", "there is no optimizer ''"},
        {"adam:lrr=1", "adam: there is no field 'lrr'; there are lr, betas, eps"},
        {"adam:lr", "adam: 'lr' is not of the form field=value"},
        {"adam:=1", "not of the form field=value"},
        {"adam:lr=", "adam: lr = '' is not a number in [0, inf)"},
        {"adam:lr=abc", "adam: lr = 'abc' is not a number in [0, inf)"},
        {"adam:lr=1e-3x", "adam: lr = '1e-3x' is not a number"},
        {"adam:lr= 1", "adam: lr = ' 1' is not a number"},
        {"adam:lr=3.5e38", "adam: lr = 3.5e+38 is above the largest float, 3.4028234663852886e+38"},
        {"adam:eps=1e300", "adam: eps = 1e+300 is above the largest float"},
        {"sgd:weight_decay=1e39", "sgd: weight_decay = 1e+39 is above the largest float"},
        {"sgd:nesterov=true,momentum=0.123456789,dampening=0.987654321",
         "momentum = 0.123456789, dampening = 0.987654321"},
        {"adam:lr=nan", "adam: lr = nan is outside [0, inf)"},
        {"adam:lr=inf", "adam: lr = inf is outside [0, inf)"},
        {"adam:lr=-1", "adam: lr = -1 is outside [0, inf)"},
        {"adam:betas=0.9", "adam: betas = '0.9' is not two numbers with / between, each in [0, 1)"},
        {"adam:betas=0.9/0.99/0.999", "is not two numbers"},
        {"adam:betas=0.9/1", "adam: betas[1] = 1 is outside [0, 1)"},
        {"adam:betas[0]=0.9", "there is no field 'betas[0]'"},
        {"adam:amsgrad=1", "adam: amsgrad = '1' is not true or false"},
        {"adam:lr=1,lr=2", "adam: lr is given twice"},
        {"adam:lr=1,", "nothing stands after the last comma"},
        {"adam:,lr=1", "'' is not of the form"},
        {"sgd:convention=torch", "sgd: convention = 'torch' is not velocity or pytorch"},
        {"sgd:nesterov=true", "sgd: nesterov = true needs momentum > 0"},
    };
    params p = params_make(1, sizes);
    uint64_t live = tread_memory_live_blocks();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_null_with(tread_optimizer_from_spec(NULL, params_list(&p), bad[i].spec), bad[i].sentence);
    ck_assert_null_with(tread_optimizer_from_spec(NULL, params_list(&p), NULL), "NULL");
    ck_assert_uint_eq(tread_memory_live_blocks(), live);
    tread_optimizer *optimizer = tread_optimizer_from_spec(
        NULL, params_list(&p),
        "adam:lr=3e-4,betas=0.9/0.99,amsgrad=true,clip_grad_norm_type=-inf,clip_grad_max_norm=0.5");
    ck_assert_msg(optimizer != NULL, "%s", tread_last_error());
    char text[32];
    ck_assert_ok(tread_optimizer_get_text(optimizer, 0, "betas", text, sizeof text));
    ck_assert_str_eq(text, "0.9/0.99");
    ck_assert_ok(tread_optimizer_get_text(optimizer, 0, "lr", text, sizeof text));
    ck_assert_str_eq(text, "0.0003");
    ck_assert_ok(tread_optimizer_get_text(optimizer, 0, "clip_grad_norm_type", text, sizeof text));
    ck_assert_str_eq(text, "-inf");
    ck_assert_ok(tread_optimizer_set_text(optimizer, 0, "betas", "0.5/0.25"));
    double value;
    ck_assert_ok(tread_optimizer_get(optimizer, 0, "betas[1]", &value));
    ck_assert_double_eq(value, 0.25);
    ck_assert_fails(tread_optimizer_get_text(optimizer, 0, "betas", text, 8), TREAD_ERROR_ARGUMENT, "8 bytes");
    ck_assert_fails(tread_optimizer_get(optimizer, 0, NULL, &value), TREAD_ERROR_ARGUMENT, "the field is NULL");
    ck_assert_fails(tread_optimizer_get(optimizer, 0, "lr", NULL), TREAD_ERROR_ARGUMENT, "the ret_value is NULL");
    ck_assert_fails(tread_optimizer_set(optimizer, 0, NULL, 1), TREAD_ERROR_ARGUMENT, "the field is NULL");
    ck_assert_fails(tread_optimizer_get_text(optimizer, 0, NULL, text, 8), TREAD_ERROR_ARGUMENT, "the field is NULL");
    ck_assert_fails(tread_optimizer_get_text(optimizer, 0, "lr", NULL, 8), TREAD_ERROR_ARGUMENT, "ret_text is NULL");
    ck_assert_fails(tread_optimizer_set_text(optimizer, 0, NULL, "1"), TREAD_ERROR_ARGUMENT, "the field is NULL");
    ck_assert_fails(tread_optimizer_set_text(optimizer, 0, "lr", NULL), TREAD_ERROR_ARGUMENT, "the text is NULL");
    ck_assert_fails(tread_optimizer_set_text(optimizer, 0, "betas[1]", "0.5/0.5"), TREAD_ERROR_ARGUMENT,
                    "adam: there is no field 'betas[1]'");
    ck_assert_fails(tread_optimizer_set_text(optimizer, 0, "lr[no", "1"), TREAD_ERROR_ARGUMENT,
                    "adam: there is no field 'lr[no'");
    ck_assert_fails(tread_optimizer_set_text(optimizer, 0, "betas", "0.5/7"), TREAD_ERROR_ARGUMENT,
                    "betas[1] = 7 is outside");
    ck_assert_fails(tread_optimizer_get(optimizer, 0, "betas", &value), TREAD_ERROR_ARGUMENT, "[0] to [1]");
    ck_assert_fails(tread_optimizer_get(optimizer, 0, "betas[2]", &value), TREAD_ERROR_ARGUMENT, "[0] to [1]");
    ck_assert_fails(tread_optimizer_get(optimizer, 0, "lr[0]", &value), TREAD_ERROR_ARGUMENT, "lr is one value");
    ck_assert_fails(tread_optimizer_get(optimizer, 3, "lr", &value), TREAD_ERROR_ARGUMENT, "no group 3; there are 1");
    ck_assert_fails(tread_optimizer_set(optimizer, 0, "amsgrad", 0.5), TREAD_ERROR_ARGUMENT, "0 (false) or 1 (true)");
    ck_assert_double_eq(value, 0.25);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

/* What a table says is its default is what _defaults() and a spec string without fields give, as text and as number. */
START_TEST(defaults_and_help_agree) {
    for (size_t t = 0; t < tread_optimizer_type_count(); t++) {
        params p = params_make_for(tread_optimizer_type_name(t), 1, sizes);
        ck_assert(tread_optimizer_type_doc(t)[0] != '\0');
        tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_list(&p), tread_optimizer_type_name(t));
        ck_assert_str_eq(tread_optimizer_name(optimizer), tread_optimizer_type_name(t));
        for (size_t f = 0; f < tread_optimizer_field_count(t); f++) {
            tread_field_info info;
            char text[64];
            ck_assert_ok(tread_optimizer_field(t, f, &info));
            ck_assert_ok(tread_optimizer_get_text(optimizer, 0, info.name, text, sizeof text));
            ck_assert_str_eq(text, info.default_text);
            ck_assert_ok(tread_optimizer_set_text(optimizer, 0, info.name, info.default_text));
        }
        tread_optimizer_destroy(optimizer);
        params_destroy(&p);
    }
    ck_assert_ptr_null(tread_optimizer_type_name(tread_optimizer_type_count()));
    ck_assert_uint_eq(tread_optimizer_field_count(tread_optimizer_type_count()), 0);
    tread_field_info info = {.name = "untouched"};
    ck_assert_fails(tread_optimizer_field(0, 100, &info), TREAD_ERROR_ARGUMENT, "no field 100");
    ck_assert_fails(tread_optimizer_field(100, 0, &info), TREAD_ERROR_ARGUMENT, "nor that type");
    ck_assert_str_eq(info.name, "untouched");
    tread_adam_options adam = tread_adam_defaults();
    ck_assert(adam.lr == 1e-3 && adam.betas[0] == 0.9 && adam.betas[1] == 0.999 && adam.eps == 1e-8 &&
              adam.weight_decay == 0 && !adam.amsgrad && adam.do_bias_correction &&
              adam.clip_grad_max_norm == INFINITY && adam.clip_grad_norm_type == 2 && !adam.maximize);
    tread_sgd_options sgd = tread_sgd_defaults();
    ck_assert(sgd.lr == 1e-3 && sgd.momentum == 0 && sgd.weight_decay == 0 && sgd.dampening == 0 && !sgd.nesterov &&
              sgd.convention == TREAD_MOMENTUM_VELOCITY);
}
END_TEST

/* A setter that needs a new slot gets it at zero, keeps the others, and one that no longer needs it drops it. */
START_TEST(setters_make_and_drop_state) {
    params a = params_make(3, sizes), b = params_make(3, sizes);
    tread_optimizer *x = tread_optimizer_from_spec(NULL, params_list(&a), "adam");
    tread_optimizer *y = tread_optimizer_from_spec(NULL, params_list(&b), "adam");
    for (int t = 0; t < 6; t++) {
        if (t == 2)
            ck_assert_ok(tread_optimizer_set(x, 0, "amsgrad", 1));
        if (t == 3) {
            ck_assert_ptr_nonnull(x->groups[0].memory.slots[2]);
            /* Its one step had vmax = v, so the runs do not differ. */
            ck_assert_ok(tread_optimizer_set(x, 0, "amsgrad", 0));
            ck_assert_ptr_null(x->groups[0].memory.slots[2]);
        }
        params_set_grads(&a, t, 0);
        params_set_grads(&b, t, 0);
        ck_assert_ok(tread_optimizer_step(x, NULL));
        ck_assert_ok(tread_optimizer_step(y, NULL));
    }
    ck_assert(params_equal(&a, &b));
    for (uint64_t k = 1; k <= 2; k++) { /* 1: the slot's memory fails */
        uint64_t live = tread_memory_live_blocks();
        double value;
        tread_memory_fail_at(k);
        tread_status status = tread_optimizer_set(x, TREAD_ALL_GROUPS, "amsgrad", 1);
        tread_memory_fail_at(0);
        ck_assert_int_eq(status, k == 1 ? TREAD_ERROR_MEMORY : TREAD_OK);
        ck_assert_ok(tread_optimizer_get(x, 0, "amsgrad", &value));
        ck_assert_double_eq(value, k == 1 ? 0 : 1);
        ck_assert_uint_eq(tread_memory_live_blocks(), live);
    }
    tread_optimizer *sgd = tread_optimizer_from_spec(NULL, params_list(&a), "sgd:momentum=0.5");
    ck_assert_fails(tread_optimizer_set_text(sgd, 0, "convention", "pytorch"), TREAD_ERROR_STATE,
                    "convention is fixed");
    ck_assert_ok(tread_optimizer_set_text(sgd, 0, "convention", "velocity"));
    ck_assert(tread_optimizer_support_sparse(sgd));
    tread_optimizer_destroy(sgd);
    tread_optimizer_destroy(x);
    tread_optimizer_destroy(y);
    params_destroy(&a);
    params_destroy(&b);
}
END_TEST

/* What a slot starts at may be set as long as no update has written it, and what a state dict says is then so. */
START_TEST(setters_reach_slots_that_have_not_begun) {
    params a = params_make(3, sizes), b = params_make(3, sizes), c = params_make(3, sizes);
    tread_optimizer *set = tread_optimizer_from_spec(NULL, params_list(&a), "adagrad");
    tread_optimizer *loaded = tread_optimizer_from_spec(NULL, params_list(&b), "adagrad");
    tread_optimizer *made = tread_optimizer_from_spec(NULL, params_list(&c), "adagrad:initial_accumulator_value=0.5");
    params_set_grads(&a, 0, 1u << 1); /* p1 has none yet */
    params_set_grads(&c, 0, 1u << 1);
    ck_assert_ok(tread_optimizer_set(set, 0, "initial_accumulator_value", 0.5));
    ck_assert_ok(tread_optimizer_step(set, NULL));
    ck_assert_ok(tread_optimizer_step(made, NULL));
    ck_assert(params_equal(&a, &c));
    for (int s = 0; s < 2; s++) /* p0 and p2 go on from what they have */
        ck_assert_ok(tread_optimizer_set(s == 0 ? set : made, 0, "initial_accumulator_value", 2));
    tread_state *state = tread_optimizer_state_dict(set);
    ck_assert_ok(tread_optimizer_load_state_dict(loaded, state));
    memcpy(param_data(&b, 0), param_data(&a, 0), tread_tensor_bytes(&a.items[0]->tensor));
    memcpy(param_data(&b, 2), param_data(&a, 2), tread_tensor_bytes(&a.items[2]->tensor));
    params_set_grads(&a, 1, 0);
    params_set_grads(&b, 1, 0);
    ck_assert_ok(tread_optimizer_step(set, NULL));
    ck_assert_ok(tread_optimizer_step(loaded, NULL));
    ck_assert(params_equal(&a, &b));
    ck_assert_float_eq(set->groups[0].memory.slots[0][set->items[1].offset],
                       2 + param_grad(1, 0, 1) * param_grad(1, 0, 1));
    tread_state_destroy(state);
    tread_optimizer_destroy(set);
    tread_optimizer_destroy(loaded);
    tread_optimizer_destroy(made);
    params_destroy(&a);
    params_destroy(&b);
    params_destroy(&c);
}
END_TEST

typedef struct making {
    params *p;
    const char *spec;
    tread_optimizer *optimizer;
} making;

static void *make_optimizer(void *data) {
    making *m = data;
    return tread_optimizer_from_spec(NULL, params_part(m->p, 0, 2), m->spec);
}
static void unmake_optimizer(void *data, void *made) {
    (void)data;
    tread_optimizer_destroy(made);
}
static void *make_group(void *data) {
    making *m = data;
    size_t groups = tread_optimizer_group_count(m->optimizer);
    if (tread_optimizer_add_param_group_spec(m->optimizer, params_part(m->p, 2, 2), "lr=0.5") == TREAD_OK)
        return m;
    ck_assert_uint_eq(tread_optimizer_group_count(m->optimizer), groups);
    return NULL;
}
static void unmake_group(void *data, void *made) {
    (void)data;
    (void)made;
}

START_TEST(failing_allocations_leave_nothing_behind) {
    for (int s = 0; battery_specs[s] != NULL; s++) {
        params p = params_make_for(battery_specs[s], 4, sizes);
        making m = {&p, battery_specs[s], NULL};
        fail_every_allocation(make_optimizer, unmake_optimizer, &m);
        m.optimizer = make_optimizer(&m);
        fail_every_allocation(make_group, unmake_group, &m);
        params_set_grads(&p, 1, 0);
        ck_assert_ok(tread_optimizer_step(m.optimizer, NULL));
        tread_optimizer_destroy(m.optimizer);
        params_destroy(&p);
    }
}
END_TEST

/* ---- The printed view, read back ---- */

/* Word i of a line, from 0; "" past the end. */
static const char *word_of(const char *line, size_t i) {
    static char word[256];
    for (;; i--) {
        line += strspn(line, " ");
        size_t length = strcspn(line, " \n");
        snprintf(word, sizeof word, "%.*s", (int)length, line);
        if (i == 0 || length == 0)
            return word;
        line += length;
    }
}

/* The line after `from` whose first word, a mark aside, is this one. */
static const char *line_of(const char *from, const char *word, bool *ret_marked) {
    for (const char *line = from; line != NULL && line[0] != '\0'; line = strchr(line, '\n') + 1) {
        *ret_marked = line[0] == '*';
        if (strcmp(word_of(line + *ret_marked, 0), word) == 0)
            return line + *ret_marked;
    }
    ck_abort_msg("no line of '%s' in\n%s", word, from);
    return NULL;
}

/* Every value of every group stands in its line and column, and lines with differences are marked. */
static void check_view(const tread_optimizer *optimizer, size_t type, const char *text) {
    size_t n_groups = tread_optimizer_group_count(optimizer);
    for (size_t f = 0; f < tread_optimizer_field_count(type); f++) {
        tread_field_info info;
        ck_assert_ok(tread_optimizer_field(type, f, &info));
        char value[64], first[64];
        bool differ = false, marked;
        const char *block = text;
        for (size_t g = 0; g < n_groups; g++) {
            const char *line = line_of(block, info.name, &marked);
            ck_assert_ok(tread_optimizer_get_text(optimizer, g, info.name, value, sizeof value));
            if (g == 0)
                memcpy(first, value, sizeof first);
            differ |= strcmp(value, first) != 0;
            const char *found = word_of(line, 1 + g % 6);
            ck_assert_msg(strcmp(found, value) == 0, "%s of group %zu is %s, not %s, in\n%s", info.name, g, found,
                          value, text);
            if (g % 6 == 5)
                block = strchr(line, '\n') + 1;
        }
        line_of(text, info.name, &marked);
        ck_assert_msg(marked == differ, "%s is marked wrongly in\n%s", info.name, text);
    }
    for (size_t i = 0; i < optimizer->n_items; i++) {
        char shape[TREAD_SHAPE_TEXT], expected[TREAD_SHAPE_TEXT + 32], buffer[TREAD_ITEM_NAME];
        const tread_tensor *x = &optimizer->items[i].parameter->tensor;
        bool marked;
        const char *line = line_of(text, tread_item_name(optimizer, i, buffer), &marked);
        ck_assert_str_eq(word_of(line, 1), tread_role_name(optimizer->items[i].parameter->role));
        const char *bracket = strchr(line, '('), *step = strstr(line, "step ");
        tread_shape_text(shape, x->rank, x->shape);
        ck_assert(bracket != NULL && strncmp(bracket, shape, strlen(shape)) == 0);
        snprintf(expected, sizeof expected, "step %d\n", (int)tread_item_progress(optimizer, i)->step);
        ck_assert_msg(step != NULL && strncmp(step, expected, strlen(expected)) == 0, "no %s in\n%s", expected, line);
    }
}

START_TEST(the_view_has_groups_fields_and_parameters) {
    static const int64_t many[] = {3, 50, 20000, 16, 1, 6, 7, 8};
    for (size_t t = 0; t < tread_optimizer_type_count(); t++) {
        const char *name = tread_optimizer_type_name(t);
        if (tread_optimizer_types[t]->solve != NULL) /* one group, and no step without a closure */
            continue;
        params p = params_make_for(name, 8, many);
        ck_assert_ok(tread_parameter_set_role(p.items[1], TREAD_ROLE_EMBEDDING));
        tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_part(&p, 0, 2), name);
        for (size_t g = 1; g < 7; g++)
            ck_assert_ok(tread_optimizer_add_param_group_spec(optimizer, params_part(&p, g + 1, 1),
                                                              g == 4 ? "lr=0.125,clip_grad_max_norm=3" : ""));
        params_set_grads(&p, 0, 1u << 1);
        ck_assert_ok(tread_optimizer_step(optimizer, NULL));
        FILE *file = tmpfile();
        ck_assert_ok(tread_optimizer_print(optimizer, file));
        check_view(optimizer, t, text_of(file));
        char head[128];
        snprintf(head, sizeof head, "%s: groups 7, parameters 8, values 20091, ", name);
        ck_assert(strncmp(text_of(file), head, strlen(head)) == 0);
        ck_assert_ptr_null(strstr(text_of(file), "initial_lr"));
        ck_assert_ptr_null(strstr(text_of(file), " \n"));
        fclose(file);
        file = fopen("/dev/null", "r"); /* every write to it fails */
        ck_assert_fails(tread_optimizer_print(optimizer, file), TREAD_ERROR_IO, "view");
        fclose(file);
        tread_optimizer_destroy(optimizer);
        params_destroy(&p);
    }
}
END_TEST

START_TEST(the_view_has_a_schedulers_base_lr) {
    params p = params_make(3, sizes);
    tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_part(&p, 0, 2), "adam:lr=3e-4");
    tread_lr_scheduler *scheduler = tread_lr_scheduler_from_spec(optimizer, "step_lr:step_size=1");
    ck_assert_ok(tread_optimizer_add_param_group_spec(optimizer, params_part(&p, 2, 1), "lr=0.5"));
    FILE *file = tmpfile();
    ck_assert_ok(tread_optimizer_print(optimizer, file));
    bool marked;
    const char *line = line_of(text_of(file), "initial_lr", &marked);
    ck_assert(marked);
    ck_assert_str_eq(word_of(line, 1), "0.0003");
    ck_assert_str_eq(word_of(line, 2), "0.5");
    fclose(file);
    tread_lr_scheduler_destroy(scheduler);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

TEST_MAIN("optimizer", lists_are_checked, bad_options_make_nothing, options_of_another_algorithm_are_refused,
          spec_strings_are_read_strictly, defaults_and_help_agree, setters_make_and_drop_state,
          setters_reach_slots_that_have_not_begun, failing_allocations_leave_nothing_behind,
          the_view_has_groups_fields_and_parameters, the_view_has_a_schedulers_base_lr)
