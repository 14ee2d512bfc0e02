/* Options tables: lists, whole numbers, nested text, states, and numbers as text in every locale. */
#include "optim/field.h"

#include <locale.h>

#include "tests/optim/helpers.h"

typedef struct options {
    size_t size;
    const int64_t *milestones;
    size_t n_milestones;
    const double *floors;
    size_t n_floors;
    int64_t steps;
    double pair[2];
    bool flag;
} options;

static tread_status check(const void *given) {
    const options *o = given;
    for (size_t i = 1; i < o->n_milestones; i++)
        if (o->milestones[i] <= o->milestones[i - 1])
            return tread_fail(TREAD_ERROR_ARGUMENT, "list: milestones do not increase");
    return TREAD_OK;
}

static const tread_field fields[] = {
    {.name = "milestones",
     .kind = TREAD_FIELD_INTEGER_LIST,
     .offset = offsetof(options, milestones),
     .count_offset = offsetof(options, n_milestones),
     .range = TREAD_RANGE_FROM(1),
     .doc = "m"},
    {.name = "floors",
     .kind = TREAD_FIELD_REAL_LIST,
     .offset = offsetof(options, floors),
     .count_offset = offsetof(options, n_floors),
     .range = TREAD_RANGE_NOT_NEGATIVE,
     .doc = "f"},
    {.name = "steps",
     .kind = TREAD_FIELD_INTEGER,
     .offset = offsetof(options, steps),
     .range = TREAD_RANGE_FROM(1),
     .required = true,
     .doc = "s"},
    {.name = "pair",
     .offset = offsetof(options, pair),
     .n_values = 2,
     .initial = {0.25, 1e-8},
     .range = TREAD_RANGE_BELOW_ONE,
     .doc = "p"},
    TREAD_BOOLEAN(options, flag, 0, "f"),
};
static const tread_field_table table = TREAD_TABLE("list", options, fields, check);

static options *fresh(void) {
    options *o = tread_alloc(sizeof *o, "options");
    tread_fields_defaults(&table, o);
    return o;
}

START_TEST(lists_are_read_checked_and_copied) {
    options *o = fresh();
    ck_assert_ok(tread_fields_parse(&table, o, "milestones=30/80/100,steps=5,floors=0.5,flag=true"));
    ck_assert_uint_eq(o->n_milestones, 3);
    ck_assert_int_eq(o->milestones[2], 100);
    ck_assert_double_eq(o->floors[0], 0.5);
    tread_report text = {.length = 0};
    tread_field_text(&fields[0], o, &text);
    ck_assert_str_eq(text.text, "30/80/100");
    void *copy;
    ck_assert_ok(tread_fields_clone(&table, o, &copy));
    ck_assert_ptr_ne(((options *)copy)->milestones, o->milestones);
    ck_assert_int_eq(((options *)copy)->milestones[1], 80);
    ck_assert_ok(tread_fields_set_text(&table, o, &fields[0], ""));
    ck_assert_uint_eq(o->n_milestones, 0);
    tread_fields_free(&table, copy);
    static const struct {
        const char *text, *sentence;
    } bad[] = {
        {"milestones=30/x,steps=1", "milestones = '30/x' is not whole numbers with / between, each in [1, 2^53]"},
        {"milestones=30//1,steps=1", "milestones = '30//1'"},
        {"milestones=1/2/,steps=1", "milestones = '1/2/'"},
        {"milestones=0/2,steps=1", "list: milestones[0] = 0 is outside [1, 2^53]"},
        {"milestones=2/2,steps=1", "list: milestones do not increase"},
        {"floors=1/-1,steps=1", "list: floors[1] = -1 is outside [0, inf)"},
        {"floors=1/1e,steps=1", "is not numbers with / between, each in [0, inf)"},
        {"steps=1e300", "steps = '1e300' is not a whole number"},
        {"floors=1", "list: steps must be given, in [1, 2^53]"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        options *other = fresh();
        ck_assert_fails(tread_fields_parse(&table, other, bad[i].text), TREAD_ERROR_ARGUMENT, bad[i].sentence);
        tread_fields_free(&table, other);
    }
    ck_assert_ok(tread_fields_parse(&table, o, "steps=1e6"));
    ck_assert_int_eq(o->steps, 1000000);
    double value;
    ck_assert_fails(tread_fields_get(&table, o, "milestones", &value), TREAD_ERROR_ARGUMENT, "is a list");
    tread_fields_free(&table, o);
    tread_fields_free(&table, NULL);
}
END_TEST

START_TEST(whole_numbers_end_at_2_to_53) {
    options *o = fresh();
    tread_field_info info;
    tread_field_describe(&fields[2], &info);
    ck_assert_str_eq(info.range, "[1, 2^53]");
    ck_assert_double_eq(info.low, 1);
    ck_assert_double_eq(info.high, 0x1p53);
    ck_assert_ok(tread_fields_parse(&table, o, "steps=9007199254740992"));
    ck_assert_fails(tread_fields_parse(&table, o, "steps=9007199254740994"), TREAD_ERROR_ARGUMENT,
                    "list: steps = 9007199254740994 is outside [1, 2^53]");
    ck_assert_fails(tread_fields_parse(&table, o, "steps=1,milestones=1/1e18"), TREAD_ERROR_ARGUMENT,
                    "list: milestones[1] = 1e+18 is outside [1, 2^53]");
    tread_field_describe(&fields[1], &info);
    ck_assert_str_eq(info.range, "[0, inf)");
    tread_fields_free(&table, o);
}
END_TEST

/* What somebody wrote does not push the range, or the list of what there is, out of the sentence. */
START_TEST(long_text_is_cut_where_it_is_quoted) {
    char text[6000], quote[TREAD_QUOTE_TEXT];
    options *o = fresh();
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    memcpy(text, "steps=", 6);
    ck_assert_fails(tread_fields_parse(&table, o, text), TREAD_ERROR_ARGUMENT,
                    "xxx...' is not a whole number in [1, 2^53]");
    memcpy(text, "what=1", 6);
    ck_assert_fails(tread_fields_parse(&table, o, text + 6), TREAD_ERROR_ARGUMENT,
                    "xxx...' is not of the form field=value");
    text[5990] = '=';
    ck_assert_fails(tread_fields_parse(&table, o, text + 6), TREAD_ERROR_ARGUMENT,
                    "xxx...'; there are milestones, floors, steps, pair, flag");
    memcpy(text, "step_size", 9);
    params p = params_make(1, (const int64_t[]){1});
    ck_assert_ptr_null(tread_optimizer_from_spec(NULL, params_list(&p), text));
    ck_assert_ptr_nonnull(strstr(tread_last_error(), "xxx...'; there are sgd, "));
    params_destroy(&p);
    tread_fields_free(&table, o);
    ck_assert_str_eq(tread_quote(quote, "short", 5), "short");
    ck_assert_str_eq(tread_quote(quote, text + 100, 60) + 58, "xx");
    ck_assert_str_eq(tread_quote(quote, text + 100, 61) + 58, "xx...");
    memcpy(text + 159, "\xc3\xa9", 2); /* bytes 59 and 60: one character */
    ck_assert_str_eq(tread_quote(quote, text + 100, 70) + 57, "xx...");
}
END_TEST

START_TEST(commas_in_brackets_do_not_divide) {
    options *o = fresh();
    ck_assert_fails(tread_fields_parse(&table, o, "steps=2,flag=[a,b=c]"), TREAD_ERROR_ARGUMENT,
                    "flag = '[a,b=c]' is not true or false");
    tread_fields_free(&table, o);
}
END_TEST

START_TEST(states_hold_every_kind) {
    options *o = fresh(), *back = fresh();
    tread_report report = {.length = 0};
    ck_assert_ok(tread_fields_parse(&table, o, "milestones=30/80,steps=5,floors=0.5/0.25/0,flag=true,pair=0.1/0.2"));
    tread_state *state = tread_state_create();
    ck_assert_ok(tread_fields_to_state(&table, o, state));
    ck_assert_ok(tread_fields_from_state(&table, back, state, NULL, "here", &report));
    ck_assert_uint_eq(report.n_parts, 0);
    ck_assert_int_eq(back->milestones[1], 80);
    ck_assert_double_eq(back->floors[1], 0.25);
    ck_assert_uint_eq(back->n_floors, 3);
    ck_assert_double_eq(back->pair[1], 0.2);
    ck_assert(back->flag && back->steps == 5);
    tread_state_destroy(state);
    state = tread_state_create();
    ck_assert_ok(tread_state_add_string(state, "milestones", "30"));
    ck_assert_ok(tread_state_add_real(tread_state_add_list(state, "floors"), NULL, -1));
    ck_assert_ok(tread_state_add_integer(state, "steps", 1));
    ck_assert_ok(tread_state_add_real(tread_state_add_list(state, "pair"), NULL, 0.5));
    ck_assert_ok(tread_fields_from_state(&table, back, state, NULL, "here", &report));
    ck_assert_str_eq(report.text,
                     "here: milestones is of another kind, and should be in [1, 2^53]; here: pair is of another "
                     "kind, and should be in [0, 1); here: flag is missing, and should be in true or false");
    tread_state_destroy(state);
    tread_fields_free(&table, o);
    tread_fields_free(&table, back);
}
END_TEST

START_TEST(options_of_an_older_program_are_completed) {
    options given;
    void *copy;
    tread_fields_defaults(&table, &given);
    given.steps = 9;
    given.pair[0] = 0.5;
    given.pair[1] = 0.75;
    given.size -= sizeof(options) - offsetof(options, pair); /* as if pair and flag had come later */
    ck_assert_ok(tread_fields_clone(&table, &given, &copy));
    ck_assert_int_eq(((options *)copy)->steps, 9);
    ck_assert_double_eq(((options *)copy)->pair[0], 0.25);
    tread_fields_defaults(&table, &given);
    ck_assert_uint_eq(((options *)copy)->size, given.size);
    tread_fields_free(&table, copy);
}
END_TEST

static void *clone(void *data) {
    void *copy = NULL;
    return tread_fields_clone(&table, data, &copy) == TREAD_OK ? copy : NULL;
}
static void unclone(void *data, void *made) {
    (void)data;
    tread_fields_free(&table, made);
}
static void *parse(void *data) {
    (void)data;
    options *o = tread_alloc(sizeof *o, "options");
    if (o == NULL)
        return NULL;
    tread_fields_defaults(&table, o);
    if (tread_fields_parse(&table, o, "milestones=30/80,steps=5,floors=0.5/0.25/0") == TREAD_OK)
        return o;
    tread_fields_free(&table, o);
    return NULL;
}

START_TEST(failing_allocations_leave_nothing_behind) {
    options *o = parse(NULL);
    fail_every_allocation(clone, unclone, o);
    fail_every_allocation(parse, unclone, NULL);
    tread_fields_free(&table, o);
}
END_TEST

/* The first installed one, whatever its language. */
static bool set_locale_with_comma(void) {
    char name[256];
    bool found = false;
    FILE *all = popen("locale -a", "r");
    while (all != NULL && !found && fgets(name, sizeof name, all) != NULL) {
        name[strcspn(name, "\n")] = '\0';
        found = setlocale(LC_ALL, name) != NULL && strcmp(localeconv()->decimal_point, ",") == 0;
    }
    if (all != NULL)
        pclose(all);
    if (!found)
        setlocale(LC_ALL, "C");
    return found;
}

START_TEST(numbers_are_the_shortest_and_the_same_in_every_locale) {
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0, "0"},          {1, "1"},
                 {100, "100"},      {-3, "-3"},
                 {1e-8, "1e-08"},   {0.1, "0.1"},
                 {3e-4, "0.0003"},  {1.0 / 3, "0.3333333333333333"},
                 {INFINITY, "inf"}, {-INFINITY, "-inf"},
                 {NAN, "nan"},      {1e22, "1e+22"}};
    for (int comma = 0; comma < 2; comma++) {
        setlocale(LC_ALL, "C");
        if (comma == 1 && !set_locale_with_comma())
            puts("skipped: no locale with a decimal comma is installed");
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            char text[TREAD_NUMBER_TEXT];
            double back;
            ck_assert_str_eq(tread_number_text(text, cases[i].value), cases[i].text);
            ck_assert(tread_number_parse(text, strlen(text), &back));
            ck_assert(back == cases[i].value || isnan(cases[i].value));
        }
        char text[TREAD_NUMBER_TEXT];
        ck_assert_str_eq(tread_number_digits(text, 1.0 / 3, 5), "0.33333");
    }
    setlocale(LC_ALL, "C");
}
END_TEST

TEST_MAIN("field", lists_are_read_checked_and_copied, commas_in_brackets_do_not_divide, whole_numbers_end_at_2_to_53,
          long_text_is_cut_where_it_is_quoted, states_hold_every_kind, options_of_an_older_program_are_completed,
          failing_allocations_leave_nothing_behind, numbers_are_the_shortest_and_the_same_in_every_locale)
