/* A battery over the tables: every field of every scheduler refuses what is out of its range, by name and range, and
 * nothing has changed then. It learns of a new scheduler by itself, but for what its spec string must give. */
#include "optim/lr_inner.h"
#include "tests/optim/helpers.h"

static const int64_t sizes[] = {3, 5};

/* Those with required fields, and values for these. */
static const struct {
    const char *name, *fields[2], *values[2];
} needs[] = {
    {"step_lr", {"step_size"}, {"3"}},
    {"exponential_lr", {"gamma"}, {"0.5"}},
    {"cosine_annealing_lr", {"T_max"}, {"5"}},
    {"cosine_decay_lr", {"decay_steps"}, {"5"}},
    {"polynomial_lr", {"steps"}, {"5"}},
    {"cosine_annealing_warm_restarts", {"T_0"}, {"5"}},
    {"one_cycle_lr", {"total_steps"}, {"5"}},
    {"cyclic_lr", {"max_lr"}, {"1"}},
    {"warmup_stable_decay_lr", {"stable_steps", "decay_steps"}, {"5", "5"}},
    {"sequential_lr", {"schedulers"}, {"[linear_lr]"}},
    {"chained_scheduler", {"schedulers"}, {"[linear_lr]"}},
};

/* "name:" with what it needs but the named field, which is to be value (NULL: left out). */
static const char *spec_of(const char *name, const char *field, const char *value) {
    static char spec[300];
    int length = snprintf(spec, sizeof spec, "%s:", name);
    const char *comma = "";
    for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
        for (int k = 0; k < 2 && strcmp(needs[i].name, name) == 0; k++)
            if (needs[i].fields[k] != NULL && strcmp(needs[i].fields[k], field) != 0) {
                length += snprintf(spec + length, sizeof spec - (size_t)length, "%s%s=%s", comma, needs[i].fields[k],
                                   needs[i].values[k]);
                comma = ",";
            }
    if (value != NULL)
        snprintf(spec + length, sizeof spec - (size_t)length, "%s%s=%s", comma, field, value);
    return spec;
}

static int n_refused;
static void refuse(tread_optimizer *optimizer, const tread_lr_scheduler_type *type, const tread_field_info *field,
                   const char *value) {
    uint64_t live = tread_memory_live_blocks();
    const char *spec = spec_of(type->table.name, field->name, value);
    tread_lr_scheduler *scheduler = tread_lr_scheduler_from_spec(optimizer, spec);
    ck_assert_msg(scheduler == NULL, "%s is taken", spec);
    const char *const parts[] = {type->table.name, field->name, field->range,
                                 strcmp(value, "nan/7") == 0 ? "nan" : value};
    for (int i = 0; i < 4; i++)
        ck_assert_msg(strstr(tread_last_error(), parts[i]) != NULL, "%s: \"%s\" lacks %s", spec, tread_last_error(),
                      parts[i]);
    ck_assert_ptr_null(optimizer->schedulers);
    ck_assert(isnan(optimizer->groups[0].initial_lr) && tread_optimizer_lr(optimizer, 0) == 0.5);
    ck_assert_uint_eq(tread_memory_live_blocks(), live);
    n_refused++;
}

static void refuse_numbers(tread_optimizer *optimizer, const tread_lr_scheduler_type *type, const tread_field *field,
                           const tread_field_info *info) {
    bool whole = field->kind == TREAD_FIELD_INTEGER || field->kind == TREAD_FIELD_INTEGER_LIST;
    char below[TREAD_NUMBER_TEXT], above[TREAD_NUMBER_TEXT];
    refuse(optimizer, type, info, tread_number_text(below, field->range.low_open ? info->low : info->low - 1));
    refuse(optimizer, type, info, "nan");
    refuse(optimizer, type, info, "x");
    refuse(optimizer, type, info, "inf");
    refuse(optimizer, type, info, "-inf");
    if (isfinite(info->high))
        refuse(optimizer, type, info,
               tread_number_text(above,
                                 field->range.high_open && !whole ? info->high : nextafter(info->high + 1, INFINITY)));
    if (whole)
        refuse(optimizer, type, info, "7.5");
    if (tread_field_is_list(field)) {
        refuse(optimizer, type, info, "7/");
        refuse(optimizer, type, info, "/7");
        refuse(optimizer, type, info, "nan/7");
    } else {
        refuse(optimizer, type, info, "");
        refuse(optimizer, type, info, "7/8");
    }
}

START_TEST(every_field_refuses_what_is_out_of_its_range) {
    params p = params_make(1, sizes);
    tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_list(&p), "sgd:lr=0.5");
    for (size_t t = 0; tread_lr_scheduler_types[t] != NULL; t++) {
        const tread_lr_scheduler_type *type = tread_lr_scheduler_types[t];
        for (size_t f = 0; f < type->table.n_fields; f++) {
            const tread_field *field = &type->table.fields[f];
            tread_field_info info;
            ck_assert_ok(tread_lr_scheduler_field(t, f, &info));
            if (type->table.fields[0].kind == TREAD_FIELD_FUNCTIONS) { /* whatever is given */
                ck_assert_ptr_null(tread_lr_scheduler_from_spec(optimizer, spec_of(type->table.name, info.name, "1")));
                ck_assert_ptr_nonnull(strstr(tread_last_error(), "are C functions"));
            } else if (tread_field_has_schedulers(field)) {
                refuse(optimizer, type, &info, "x");
                refuse(optimizer, type, &info, "[linear_lr]x");
            } else if (field->kind == TREAD_FIELD_BOOLEAN || field->kind == TREAD_FIELD_CHOICE) {
                refuse(optimizer, type, &info, "1");
                refuse(optimizer, type, &info, "nope");
            } else {
                refuse_numbers(optimizer, type, field, &info);
            }
            if (info.required && field->kind != TREAD_FIELD_FUNCTIONS) {
                ck_assert_ptr_null(tread_lr_scheduler_from_spec(optimizer, spec_of(type->table.name, info.name, NULL)));
                ck_assert_ptr_nonnull(strstr(tread_last_error(), " must be given, in "));
            }
        }
    }
    ck_assert_int_gt(n_refused, 400);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

static void fill(const tread_field_table *table, const tread_field *field, char *options) {
    static const double one[] = {1};
    if (field->required && field->kind <= TREAD_FIELD_INTEGER)
        ck_assert_ok(tread_fields_set(table, options, field->name, 1));
    if (field->required && field->kind == TREAD_FIELD_REAL_LIST) {
        *(const double **)(options + field->offset) = one;
        *(size_t *)(options + field->count_offset) = 1;
    }
}

/* The same ranges hold for the structs: a copy of the defaults with one bad number in it. */
START_TEST(structs_refuse_the_same_numbers) {
    params p = params_make(1, sizes);
    tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_list(&p), "sgd:lr=0.5");
    int refused = 0;
    for (size_t t = 0; tread_lr_scheduler_types[t] != NULL; t++) {
        const tread_field_table *table = &tread_lr_scheduler_types[t]->table;
        for (size_t f = 0; f < table->n_fields; f++) {
            const tread_field *field = &table->fields[f];
            _Alignas(16) char options[512];
            ck_assert_uint_le(table->size, sizeof options);
            tread_fields_defaults(table, options);
            if (table->fields[0].required && !tread_field_has_numbers(&table->fields[0]))
                break; /* functions and schedulers, which are missed first */
            for (size_t k = 0; k < table->n_fields && field->kind <= TREAD_FIELD_CHOICE; k++)
                fill(table, &table->fields[k], options);
            void *at = options + field->offset;
            if (field->kind == TREAD_FIELD_REAL)
                *(double *)at = NAN;
            else if (field->kind == TREAD_FIELD_INTEGER)
                *(int64_t *)at = (int64_t)field->range.low - 1;
            else if (field->kind == TREAD_FIELD_CHOICE)
                *(int *)at = 99;
            else
                continue;
            ck_assert_ptr_null(tread_lr_scheduler_create(optimizer, tread_lr_scheduler_types[t], options));
            ck_assert_msg(strstr(tread_last_error(), " is outside ") != NULL, "%s", tread_last_error());
            refused++;
        }
    }
    ck_assert_int_gt(refused, 50);
    ck_assert_ptr_null(optimizer->schedulers);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

TEST_MAIN("lr_fields", every_field_refuses_what_is_out_of_its_range, structs_refuse_the_same_numbers)
