/* What holds for every registered optimizer, whatever it computes, run over the table: settings that use all of it,
 * bounds by every way in, a state taken and loaded at any step, lists of any length, and the rate 0. Beside it:
 * test_golden.c and test_reference.c (values), test_step.c (threads, groups, gradients), test_state_dict.c,
 * test_clip.c. */
#include "core/status.h"
#include "tests/optim/coverage.h"
#include "tests/optim/helpers.h"

START_TEST(the_settings_use_all_there_is) {
    for (int t = 0; tread_optimizer_types[t] != NULL; t++) {
        const tread_optimizer_type *type = tread_optimizer_types[t];
        coverage covered = {.table = &type->table};
        void *options = calloc(1, type->table.size);
        int settings = 0;
        for (int s = 0; battery_specs[s] != NULL; s++) {
            if (type_of_spec(battery_specs[s]) != type)
                continue;
            const char *fields = strchr(battery_specs[s], ':');
            tread_fields_defaults(&type->table, options);
            ck_assert_ok(tread_fields_parse(&type->table, options, fields != NULL ? fields + 1 : ""));
            coverage_add(&covered, options);
            settings++;
        }
        free(options);
        if (type->solve != NULL) /* what evaluates the closure itself has tests of its own */
            continue;
        ck_assert_msg(settings >= 2, "%s: battery_specs has %d settings of it", type->table.name, settings);
        const char *gap = coverage_gap(&covered, false);
        ck_assert_msg(gap == NULL, "%s: no setting of battery_specs has another %s", type->table.name, gap);
    }
}
END_TEST

/* ---- Bounds ---- */

static const int64_t sizes[] = {3, 50, 20, 16};

/* One value of one field, tried by every way in. */
typedef struct trial {
    const tread_optimizer_type *type;
    const tread_field *field;
    size_t i; /* of its values */
    tread_field_info info;
    tread_optimizer *optimizer;
    params p; /* the first two are the optimizer's */
} trial;

static void place(const trial *t, char *text, size_t size) {
    snprintf(text, size, tread_field_values(t->field) > 1 ? "%s[%zu]" : "%s", t->field->name, t->i);
}

/* "betas=0.9/VALUE": the other values as they are by default. */
static void assignment(const trial *t, double value, char *text, size_t size) {
    size_t n = tread_field_values(t->field), at = (size_t)snprintf(text, size, "%s=", t->field->name);
    for (size_t i = 0; i < n; i++) {
        char number[TREAD_NUMBER_TEXT];
        tread_number_text(number, i == t->i ? value : t->field->initial[i]);
        at += (size_t)snprintf(text + at, size - at, "%s%s", i > 0 ? "/" : "", number);
    }
}

static void check_sentence(const trial *t, const char *way, double value) {
    const char *sentence = tread_last_error();
    char number[TREAD_NUMBER_TEXT];
    tread_number_text(number, value);
    ck_assert_msg(strncmp(sentence, t->type->table.name, strlen(t->type->table.name)) == 0 &&
                      strstr(sentence, t->field->name) != NULL && strstr(sentence, t->info.range) != NULL &&
                      strstr(sentence, number) != NULL,
                  "%s: \"%s\" lacks %s, %s, %s or %s", way, sentence, t->type->table.name, t->field->name, number,
                  t->info.range);
}

static void refused_by_setter(const trial *t, double value) {
    char name[64];
    size_t size = t->type->table.size;
    void *before = malloc(size);
    place(t, name, sizeof name);
    for (size_t group = 0; group < t->optimizer->n_groups; group++) {
        memcpy(before, t->optimizer->groups[group].options, size);
        ck_assert_msg(tread_optimizer_set(t->optimizer, group, name, value) == TREAD_ERROR_ARGUMENT,
                      "%s = %g was taken", name, value);
        check_sentence(t, "set", value);
        ck_assert(memcmp(before, t->optimizer->groups[group].options, size) == 0);
    }
    free(before);
}

static void refused_by_spec(const trial *t, double value) {
    char fields[128], spec[192];
    uint64_t live = tread_memory_live_blocks();
    assignment(t, value, fields, sizeof fields);
    snprintf(spec, sizeof spec, "%s:%s", t->type->table.name, fields);
    ck_assert_msg(tread_optimizer_from_spec(NULL, params_part(&t->p, 2, 2), spec) == NULL, "%s was taken", spec);
    check_sentence(t, "spec", value);
    size_t groups = tread_optimizer_group_count(t->optimizer);
    if (t->type->solve == NULL) { /* else there is one group only */
        ck_assert_int_eq(tread_optimizer_add_param_group_spec(t->optimizer, params_part(&t->p, 2, 2), fields),
                         TREAD_ERROR_ARGUMENT);
        check_sentence(t, "group spec", value);
    }
    ck_assert_uint_eq(tread_optimizer_group_count(t->optimizer), groups);
    ck_assert_uint_eq(tread_memory_live_blocks(), live);
    ck_assert_int_eq(tread_optimizer_set_text(t->optimizer, 0, t->field->name, strchr(fields, '=') + 1),
                     TREAD_ERROR_ARGUMENT);
    check_sentence(t, "set_text", value);
}

static void refused_by_options(const trial *t, double value) {
    char name[64];
    void *options = malloc(t->type->table.size);
    uint64_t live = tread_memory_live_blocks();
    place(t, name, sizeof name);
    tread_fields_defaults(&t->type->table, options);
    if (tread_fields_set(&t->type->table, options, name, value) == TREAD_OK) { /* else its type cannot hold it */
        ck_assert_msg(tread_optimizer_create(NULL, t->type, params_part(&t->p, 2, 2), options) == NULL,
                      "%s = %g was taken", name, value);
        check_sentence(t, "options", value);
        if (t->type->solve == NULL) {
            ck_assert_int_eq(tread_optimizer_add_param_group(t->optimizer, params_part(&t->p, 2, 2), options),
                             TREAD_ERROR_ARGUMENT);
            check_sentence(t, "group options", value);
        }
    }
    ck_assert_uint_eq(tread_memory_live_blocks(), live);
    free(options);
}

static void refused(const trial *t, double value) {
    refused_by_setter(t, value);
    refused_by_spec(t, value);
    refused_by_options(t, value);
}

/* A value of the range is taken, unless a rule that joins fields is against it; that names the field too. */
static void taken(const trial *t, double value) {
    char name[64], fields[128], spec[192];
    double before, now;
    place(t, name, sizeof name);
    assignment(t, value, fields, sizeof fields);
    snprintf(spec, sizeof spec, "%s:%s", t->type->table.name, fields);
    ck_assert_ok(tread_optimizer_get(t->optimizer, 0, name, &before));
    tread_status status = tread_optimizer_set(t->optimizer, TREAD_ALL_GROUPS, name, value);
    ck_assert_ok(tread_optimizer_get(t->optimizer, 0, name, &now));
    tread_optimizer *made = tread_optimizer_from_spec(NULL, params_part(&t->p, 2, 2), spec);
    if (status != TREAD_OK) {
        ck_assert_msg(t->type->table.check != NULL && strstr(tread_last_error(), t->field->name) != NULL, "%s = %g: %s",
                      name, value, tread_last_error());
        ck_assert_double_eq(now, before);
        ck_assert_ptr_null(made);
        return;
    }
    ck_assert_double_eq(now, value);
    ck_assert_msg(made != NULL, "%s: %s", spec, tread_last_error());
    ck_assert_ok(tread_optimizer_get(made, 0, name, &now));
    ck_assert_double_eq(now, value);
    tread_optimizer_destroy(made);
    ck_assert_ok(tread_optimizer_set(t->optimizer, TREAD_ALL_GROUPS, name, before));
}

static void try_number(const trial *t) {
    const tread_range *range = &t->field->range;
    bool whole = t->field->kind == TREAD_FIELD_INTEGER;
    double above_low = whole ? range->low + 1 : nextafter(range->low, INFINITY);
    double below_low = whole ? range->low - 1 : nextafter(range->low, -INFINITY);
    refused(t, NAN);
    (range->infinity ? taken : refused)(t, INFINITY);
    (range->minus_infinity ? taken : refused)(t, -INFINITY);
    (range->low_open ? refused : taken)(t, range->low);
    taken(t, above_low);
    refused(t, below_low);
    refused(t, range->low - 1e6);
    if (whole)
        refused(t, range->low + 0.5);
    if (!isfinite(range->high)) {
        taken(t, 1e6);
        return;
    }
    (range->high_open ? refused : taken)(t, range->high);
    taken(t, whole ? range->high - 1 : nextafter(range->high, -INFINITY));
    refused(t, whole ? range->high + 1 : nextafter(range->high, INFINITY));
}

/* A boolean is true or false, and a choice one of its names, in every way of giving it. */
static void try_word(const trial *t) {
    static const char *const words[] = {"", "1", "True", "yes", "no such word"};
    double value, before;
    ck_assert_ok(tread_optimizer_get(t->optimizer, 0, t->field->name, &before));
    for (size_t w = 0; w < sizeof words / sizeof *words; w++) {
        char spec[128];
        snprintf(spec, sizeof spec, "%s:%s=%s", t->type->table.name, t->field->name, words[w]);
        ck_assert_msg(tread_optimizer_from_spec(NULL, params_part(&t->p, 2, 2), spec) == NULL, "%s was taken", spec);
        ck_assert_msg(strstr(tread_last_error(), t->info.range) != NULL, "%s", tread_last_error());
        ck_assert_int_eq(tread_optimizer_set_text(t->optimizer, 0, t->field->name, words[w]), TREAD_ERROR_ARGUMENT);
    }
    static const double numbers[] = {0.5, -1, 99, NAN, INFINITY, -INFINITY, 1e300};
    for (size_t n = 0; n < sizeof numbers / sizeof *numbers; n++) {
        ck_assert_msg(tread_optimizer_set(t->optimizer, TREAD_ALL_GROUPS, t->field->name, numbers[n]) != TREAD_OK,
                      "%s: %s = %g was taken", t->type->table.name, t->field->name, numbers[n]);
        ck_assert_ok(tread_optimizer_get(t->optimizer, 0, t->field->name, &value));
        ck_assert_double_eq(value, before);
    }
}

START_TEST(every_field_keeps_its_range_by_every_way_in) {
    for (int n = 0; tread_optimizer_types[n] != NULL; n++) {
        trial t = {.type = tread_optimizer_types[n]};
        const char *name = t.type->table.name;
        t.p = params_make_for(name, 4, sizes);
        t.optimizer = tread_optimizer_from_spec(NULL, params_part(&t.p, 0, t.type->solve != NULL ? 2 : 1), name);
        if (t.type->solve == NULL)
            ck_assert_ok(tread_optimizer_add_param_group(t.optimizer, params_part(&t.p, 1, 1), NULL));
        for (size_t f = 0; f < t.type->table.n_fields; f++) {
            t.field = &t.type->table.fields[f];
            ck_assert_ok(tread_optimizer_field((size_t)n, f, &t.info));
            ck_assert_str_eq(t.info.name, t.field->name);
            ck_assert(t.info.doc != NULL && t.info.doc[0] != '\0' && t.info.range[0] != '\0');
            bool number = t.field->kind == TREAD_FIELD_REAL || t.field->kind == TREAD_FIELD_INTEGER;
            for (t.i = 0; t.i < tread_field_values(t.field); t.i++)
                (number ? try_number : try_word)(&t);
        }
        tread_optimizer_destroy(t.optimizer);
        params_destroy(&t.p);
    }
}
END_TEST

/* ---- State ---- */

static const int64_t state_sizes[] = {1, 20, 36000, 50, 16};

static unsigned missing_at(int64_t step) { return step < 3 ? 1u << 1 : step % 4 == 3 ? 1u << 3 : 0; }

static void one_step(tread_optimizer *optimizer, params *p, int64_t step) {
    params_set_grads(p, step, missing_at(step));
    if (step % 5 == 4)
        tread_tensor_zero_grad(&p->items[4]->tensor, false);
    ck_assert_ok(tread_optimizer_step(optimizer, NULL));
}

static tread_optimizer *two_groups(const tread_context *context, const params *p, const char *spec) {
    tread_optimizer *optimizer = tread_optimizer_from_spec(context, params_part(p, 0, 3), spec);
    ck_assert_msg(optimizer != NULL, "%s: %s", spec, tread_last_error());
    ck_assert_ok(tread_optimizer_add_param_group_spec(optimizer, params_part(p, 3, 2), "lr=0.02"));
    return optimizer;
}

/* Before the first step and after each, the state goes to a new optimizer at another thread count and instruction set;
 * after 12 the run is that of an optimizer that nobody interrupted. */
START_TEST(a_run_handed_on_at_every_step_is_one_run) {
    enum { STEPS = 12 };
    static const int threads[] = {1, 2, 3, 8};
    tread_context *contexts[4];
    for (int i = 0; i < 4; i++)
        contexts[i] = context_with_threads(threads[i]);
    for (int s = 0; battery_specs[s] != NULL; s++) {
        const char *spec = battery_specs[s];
        if (type_of_spec(spec)->solve != NULL)
            continue;
        params a = params_make_for(spec, 5, state_sizes), b = params_make_for(spec, 5, state_sizes);
        tread_optimizer *straight = two_groups(contexts[0], &a, spec), *handed = two_groups(contexts[0], &b, spec);
        tread_isa before = tread_isa_chosen();
        for (int64_t t = 0; t < STEPS; t++) {
            one_step(straight, &a, t);
            tread_state *state = tread_optimizer_state_dict(handed);
            ck_assert_msg(state != NULL, "%s", tread_last_error());
            tread_optimizer_destroy(handed);
            handed = two_groups(contexts[t % 4], &b, spec);
            ck_assert_ok(tread_optimizer_load_state_dict(handed, state));
            tread_state_destroy(state);
            tread_isa_use((tread_isa)(t % TREAD_ISA_COUNT));
            one_step(handed, &b, t);
            tread_isa_use(before);
            ck_assert_msg(params_equal(&a, &b), "%s, step %d", spec, (int)t);
        }
        tread_optimizer_destroy(straight);
        tread_optimizer_destroy(handed);
        params_destroy(&a);
        params_destroy(&b);
    }
    for (int i = 0; i < 4; i++)
        tread_context_destroy(contexts[i]);
}
END_TEST

/* ---- Long lists ---- */

/* More parameters than any table of factors or lookup is made for, many of which stand at steps of their own and have
 * met other rates: together they do what each does alone. */
#define MANY 1500

static tread_parameter **make_many(const char *spec) {
    tread_parameter **items = calloc(MANY, sizeof(tread_parameter *));
    for (size_t i = 0; i < MANY; i++) {
        params one = params_make_for(spec, 1, (const int64_t[]){(int64_t)(1 + i % 12)});
        char name[32];
        snprintf(name, sizeof name, "many%zu", i);
        items[i] = one.items[0];
        ck_assert_ok(tread_parameter_rename(items[i], name));
        for (int64_t e = 0; e < items[i]->tensor.count; e++)
            ((float *)items[i]->tensor.data)[e] = param_value(i, e);
    }
    return items;
}

static void step_at_a_rate(tread_optimizer *optimizer, int64_t step) {
    ck_assert_ok(tread_optimizer_set(optimizer, 0, "lr", 0.01 * (double)(1 + step % 5)));
    ck_assert_ok(tread_optimizer_step(optimizer, NULL));
}

static void set_grad_of_many(tread_parameter *parameter, size_t i, int64_t step) {
    float g[12];
    for (int64_t e = 0; e < parameter->tensor.count; e++)
        g[e] = param_grad(i, e, step);
    param_set_grad(parameter, g);
    if ((int64_t)(i % 9) > step || (i + (size_t)step) % 7 == 0) /* late ones, and ones with gaps */
        tread_tensor_zero_grad(&parameter->tensor, true);
}

START_TEST(oversized_lists_do_what_each_does_alone) {
    enum { STEPS = 12 };
    const char *last = "";
    for (int s = 0; battery_specs[s] != NULL; s++) {
        const char *spec = battery_specs[s];
        const tread_optimizer_type *type = type_of_spec(spec);
        if (type->solve != NULL || strcmp(type->table.name, last) == 0) /* one setting of each */
            continue;
        last = type->table.name;
        tread_parameter **together = make_many(spec), **alone = make_many(spec);
        tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, (tread_parameter_list){together, MANY}, spec);
        ck_assert_msg(optimizer != NULL, "%s", tread_last_error());
        for (int64_t t = 0; t < STEPS; t++) {
            for (size_t i = 0; i < MANY; i++)
                set_grad_of_many(together[i], i, t);
            step_at_a_rate(optimizer, t);
        }
        for (size_t i = 0; i < MANY; i += 1 + i % 17) {
            tread_optimizer *own = tread_optimizer_from_spec(NULL, (tread_parameter_list){alone + i, 1}, spec);
            for (int64_t t = 0; t < STEPS; t++) {
                set_grad_of_many(alone[i], i, t);
                step_at_a_rate(own, t);
            }
            if (memcmp(alone[i]->tensor.data, together[i]->tensor.data, tread_tensor_bytes(&alone[i]->tensor)) != 0)
                ck_abort_msg("%s: parameter %zu of %d", spec, i, MANY);
            tread_optimizer_destroy(own);
        }
        tread_optimizer_destroy(optimizer);
        for (size_t i = 0; i < MANY; i++) {
            tread_parameter_destroy(together[i]);
            tread_parameter_destroy(alone[i]);
        }
        free(together);
        free(alone);
    }
}
END_TEST

/* ---- The rate 0 ---- */

/* From the first step on a rate of 0 leaves every bit: what is taken off is lr times something finite, decoupled decay
 * is 1 - lr wd, and Schedule-Free's average is of points that are all the same. (Not after steps at another rate: a
 * velocity that holds lr goes on, and so does an average that has not yet come to where z is.) */
START_TEST(a_rate_of_0_from_the_first_step_leaves_every_bit) {
    for (int s = 0; battery_specs[s] != NULL; s++) {
        const char *spec = battery_specs[s];
        if (type_of_spec(spec)->solve != NULL)
            continue;
        static const char *const more[] = {"lr=0", "lr=0,weight_decay=0.5", "lr=0,weight_lr_power=0,r=0.5"};
        for (int m = 0; m < 3; m++) {
            params p = params_make_for(spec, 5, state_sizes), start = params_make_for(spec, 5, state_sizes);
            tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_part(&p, 0, 1), spec);
            tread_status status = tread_optimizer_add_param_group_spec(optimizer, params_part(&p, 1, 4), more[m]);
            for (int64_t t = 0; t < 20 && status == TREAD_OK; t++) { /* else it has no such field */
                one_step(optimizer, &p, t);
                for (size_t i = 1; i < 5; i++)
                    if (memcmp(param_data(&p, i), param_data(&start, i), tread_tensor_bytes(&p.items[i]->tensor)) != 0)
                        ck_abort_msg("%s with %s, step %d: parameter %zu has changed", spec, more[m], (int)t, i);
            }
            ck_assert(m > 0 || status == TREAD_OK);
            ck_assert_ok(tread_optimizer_set_training(optimizer, false));
            for (size_t i = 1; i < 5; i++)
                ck_assert_mem_eq(param_data(&p, i), param_data(&start, i), tread_tensor_bytes(&p.items[i]->tensor));
            tread_optimizer_destroy(optimizer);
            params_destroy(&p);
            params_destroy(&start);
        }
    }
}
END_TEST

TEST_MAIN("battery", the_settings_use_all_there_is, every_field_keeps_its_range_by_every_way_in,
          a_run_handed_on_at_every_step_is_one_run, oversized_lists_do_what_each_does_alone,
          a_rate_of_0_from_the_first_step_leaves_every_bit)
