#include "optim/lr_scheduler.h"

#include "optim/scalar.h"
#include "tests/optim/helpers.h"
#include "tests/optim/lr_references.h"

static const int64_t sizes[] = {3, 5, 7};

#define ck_assert_null_with(expression, part)                                                                          \
    do {                                                                                                               \
        ck_assert_ptr_null(expression);                                                                                \
        ck_assert_msg(strstr(tread_last_error(), (part)) != NULL, "\"%s\" lacks \"%s\"", tread_last_error(), (part));  \
    } while (0)

static tread_optimizer *two_groups(params *p, double first, double second) {
    tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_part(p, 0, 1), "sgd");
    ck_assert_ok(tread_optimizer_add_param_group(optimizer, params_part(p, 1, 1), NULL));
    ck_assert_ok(tread_optimizer_set(optimizer, 0, "lr", first));
    ck_assert_ok(tread_optimizer_set(optimizer, 1, "lr", second));
    return optimizer;
}

START_TEST(powers_and_cosines_are_exact) {
    double furthest = 0, furthest_power = 0;
    for (int64_t n = 1; n < 60; n++)
        for (int64_t i = 0; i <= 5 * n; i++)
            furthest = fmax(furthest, fabs(tread_cos_pi(i, n) - (double)cosl(3.14159265358979323846264338L * i / n)));
    ck_assert_double_lt(furthest, 4e-16); /* four roundings of numbers up to 1, 2^-53 each */
    ck_assert_double_eq(tread_cos_pi(1, 2), 0);
    ck_assert_double_eq(tread_cos_pi(3, 2), 0);
    ck_assert_double_eq(tread_cos_pi(7, 7), -1);
    ck_assert_double_eq(tread_cos_pi(14, 7), 1);
    ck_assert_double_eq(tread_cos_pi(1000000007, 1000000007), -1);
    for (uint64_t n = 0; n < 3000; n++)
        furthest_power = fmax(furthest_power, fabs(tread_power(0.999, n) / (double)powl(0.999, (long double)n) - 1));
    ck_assert_double_lt(furthest_power, (3000 + 1) * 0x1p-53); /* n 2^-53, and powl's rounding to double */
    ck_assert_double_eq(tread_power(0, 0), 1);
    ck_assert_double_eq(tread_power(0.5, 1074), 0x1p-1074);
}
END_TEST

/* The table's numbers, and both schedules for 10 000 steps against the formulas with libm. */
START_TEST(schedules_follow_the_formulas) {
    static const double cosine[] = {0.1, 0.092360679775, 0.072360679775, 0.047639320225, 0.027639320225, 0.02, 0.02};
    static const double stairs[] = {0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.025};
    params p = params_make(2, sizes);
    tread_optimizer *optimizer = two_groups(&p, 0.1, 0.2);
    tread_cosine_decay_lr_options o = tread_cosine_decay_lr_defaults();
    o.decay_steps = 5;
    o.alpha = 0.2;
    tread_lr_scheduler *scheduler = tread_cosine_decay_lr(optimizer, &o);
    for (int n = 0; n <= 6; n++) {
        ck_assert_int_eq(tread_lr_scheduler_last_step(scheduler), n);
        ck_assert_double_eq_tol(tread_optimizer_lr(optimizer, 0), cosine[n], 1e-12); /* the digits of the table */
        ck_assert_double_eq_tol(tread_optimizer_lr(optimizer, 1), 2 * cosine[n], 1e-12);
        ck_assert_double_eq(tread_lr_scheduler_get_last_lr(scheduler, 1), tread_optimizer_lr(optimizer, 1));
        ck_assert_double_eq(tread_lr_scheduler_get_lr(scheduler, 0.1, n), tread_optimizer_lr(optimizer, 0));
        ck_assert_ok(tread_lr_scheduler_step(scheduler));
    }
    ck_assert(isnan(tread_lr_scheduler_get_last_lr(scheduler, 2)));
    tread_lr_scheduler_destroy(scheduler);
    ck_assert_ok(tread_optimizer_set(optimizer, 0, "lr", 77)); /* the base stays what it was */
    scheduler = tread_lr_scheduler_from_spec(optimizer, "step_lr:step_size=3,gamma=0.5");
    ck_assert_str_eq(tread_lr_scheduler_name(scheduler), "step_lr");
    ck_assert(!tread_lr_scheduler_needs_metric(scheduler));
    for (int n = 0; n <= 6; n++) {
        ck_assert_double_eq(tread_optimizer_lr(optimizer, 0), stairs[n]);
        ck_assert_ok(tread_lr_scheduler_step(scheduler));
    }
    tread_lr_scheduler *long_cosine = tread_lr_scheduler_from_spec(optimizer, "cosine_decay_lr:decay_steps=9000");
    tread_lr_scheduler *long_stairs = tread_lr_scheduler_from_spec(optimizer, "step_lr:step_size=70,gamma=0.97");
    double worst_cosine = 0, worst_stairs = 0;
    for (int n = 0; n <= 10000; n++) {
        double c = n < 9000 ? 0.3 * (1 + cos(3.14159265358979323846 * n / 9000)) / 2 : 0, s = 0.3 * pow(0.97, n / 70);
        worst_cosine = fmax(worst_cosine, fabs(tread_lr_scheduler_get_lr(long_cosine, 0.3, n) - c));
        worst_stairs = fmax(worst_stairs, fabs(tread_lr_scheduler_get_lr(long_stairs, 0.3, n) / s - 1));
    }
    ck_assert_double_lt(worst_cosine, 0.3 * 10 * 0x1p-53);  /* ten roundings of numbers up to 1 */
    ck_assert_double_lt(worst_stairs, (142 + 1) * 0x1p-53); /* tread_power's bound for n / 70, and pow's own */
    tread_lr_scheduler_destroy(long_cosine);
    tread_lr_scheduler_destroy(long_stairs);
    tread_lr_scheduler_destroy(scheduler);
    tread_lr_scheduler_destroy(NULL);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

/* To be walked for every schedule that needs no metric. */
static const char *const specs[] = {"step_lr:step_size=3,gamma=0.5", "cosine_decay_lr:decay_steps=7,alpha=0.1", NULL};

START_TEST(resuming_goes_on_in_any_order) {
    for (int s = 0; specs[s] != NULL; s++)
        for (int order = 0; order < 4; order++) { /* 3: the scheduler's state alone has the base rates, too */
            params p = params_make(2, sizes), q = params_make(2, sizes);
            tread_optimizer *a = two_groups(&p, 0.1, 0.2), *b = two_groups(&q, 5, 6);
            tread_lr_scheduler *x = tread_lr_scheduler_from_spec(a, specs[s]), *y = NULL;
            for (int n = 0; n < 4; n++)
                ck_assert_ok(tread_lr_scheduler_step(x));
            tread_state *optimizer = tread_optimizer_state_dict(a), *scheduler = tread_lr_scheduler_state_dict(x);
            ck_assert(optimizer != NULL && scheduler != NULL);
            if (order == 2) { /* the constructor's last_step */
                char spec[80];
                snprintf(spec, sizeof spec, "%s,last_step=3", specs[s]);
                ck_assert_null_with(tread_lr_scheduler_from_spec(b, spec), "group 0 has no initial_lr");
                ck_assert_double_eq(tread_optimizer_lr(b, 0), 5);
                ck_assert_ok(tread_optimizer_load_state_dict(b, optimizer));
                y = tread_lr_scheduler_from_spec(b, spec);
            } else {
                char other[64]; /* with other options, which the state replaces */
                snprintf(other, sizeof other, "%.*s:%s=1", (int)strcspn(specs[s], ":"), specs[s],
                         specs[s][0] == 's' ? "step_size" : "decay_steps");
                y = tread_lr_scheduler_from_spec(b, other);
                ck_assert_ok(order == 0 ? tread_optimizer_load_state_dict(b, optimizer)
                                        : tread_lr_scheduler_load_state_dict(y, scheduler));
                ck_assert_ok(order == 1 ? tread_optimizer_load_state_dict(b, optimizer)
                                        : tread_lr_scheduler_load_state_dict(y, scheduler));
            }
            ck_assert_msg(y != NULL, "%s", tread_last_error());
            for (int n = 0; n < 6; n++) {
                ck_assert_int_eq(tread_lr_scheduler_last_step(y), 4 + n);
                for (size_t g = 0; g < 2; g++)
                    ck_assert_double_eq(tread_optimizer_lr(b, g), tread_optimizer_lr(a, g));
                ck_assert_ok(tread_lr_scheduler_step(x));
                ck_assert_ok(tread_lr_scheduler_step(y));
            }
            tread_state_destroy(optimizer);
            tread_state_destroy(scheduler);
            destroy_run(x, a, &p);
            destroy_run(y, b, &q);
        }
}
END_TEST

START_TEST(each_group_has_its_base_and_its_values) {
    params p = params_make(3, sizes);
    tread_optimizer *optimizer = two_groups(&p, 0.8, 0.4);
    ck_assert(isnan(tread_optimizer_initial_lr(optimizer, 0)));
    ck_assert(isnan(tread_optimizer_initial_lr(NULL, 0)));
    tread_lr_scheduler *cycle = tread_lr_scheduler_from_spec(optimizer, "cyclic_lr:max_lr=1/2,step_size_up=4");
    ck_assert_msg(cycle != NULL, "%s", tread_last_error());
    ck_assert_double_eq(tread_optimizer_initial_lr(optimizer, 0), 0.8);
    ck_assert_double_eq(tread_optimizer_initial_lr(optimizer, 1), 0.4);
    ck_assert(isnan(tread_optimizer_initial_lr(optimizer, 2)));
    for (int n = 0; n < 10; n++) {
        for (size_t g = 0; g < 2; g++)
            ck_assert_double_eq(
                tread_lr_scheduler_get_lr_of_group(cycle, g, tread_optimizer_initial_lr(optimizer, g), n),
                tread_optimizer_lr(optimizer, g));
        ck_assert_double_eq(tread_lr_scheduler_get_lr(cycle, 0.8, n), tread_optimizer_lr(optimizer, 0));
        ck_assert_ok(tread_lr_scheduler_step(cycle));
    }
    ck_assert_double_eq(tread_lr_scheduler_get_lr_of_group(cycle, 1, 0.4, 4), 2); /* the peak */
    ck_assert(isnan(tread_lr_scheduler_get_lr_of_group(cycle, 2, 0.4, 4)));
    ck_assert(isnan(tread_lr_scheduler_get_lr_of_group(cycle, 1, 0.4, -1)));
    ck_assert(isnan(tread_lr_scheduler_get_lr_of_group(NULL, 0, 0.4, 1)));
    tread_lr_scheduler_destroy(cycle);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

START_TEST(groups_that_come_later_take_part) {
    for (const lr_reference *r = lr_references; r->spec != NULL; r++) {
        params p = params_make(3, sizes);
        tread_optimizer *optimizer = two_groups(&p, 0.1, 0.2);
        tread_lr_scheduler *scheduler = tread_lr_scheduler_from_spec(optimizer, r->spec);
        ck_assert_ok(tread_lr_scheduler_step(scheduler));
        ck_assert_ok(tread_optimizer_add_param_group_spec(optimizer, params_part(&p, 2, 1), "lr=0.8"));
        ck_assert_ok(tread_optimizer_set(optimizer, 2, "lr", 99));     /* not at that moment */
        tread_state *state = tread_lr_scheduler_state_dict(scheduler); /* all three groups are in it */
        ck_assert_uint_eq(tread_state_count(tread_state_find(state, "base_lrs")), 3);
        ck_assert_ok(tread_lr_scheduler_step(scheduler));
        ck_assert_double_eq(tread_optimizer_lr(optimizer, 2), tread_lr_scheduler_get_lr(scheduler, 0.8, 2));
        ck_assert_ok(tread_optimizer_set(optimizer, 0, "lr", 99)); /* overwritten */
        ck_assert_ok(tread_lr_scheduler_step(scheduler));
        ck_assert_double_eq(tread_optimizer_lr(optimizer, 0), tread_lr_scheduler_get_lr(scheduler, 0.1, 3));
        tread_state_destroy(state);
        tread_optimizer_destroy(optimizer);
        ck_assert_fails(tread_lr_scheduler_step(scheduler), TREAD_ERROR_STATE, "its optimizer has been destroyed");
        ck_assert_null_with(tread_lr_scheduler_state_dict(scheduler), "destroyed");
        tread_lr_scheduler_destroy(scheduler);
        params_destroy(&p);
    }
}
END_TEST

START_TEST(bad_fields_and_states_are_refused) {
    static const struct {
        const char *spec, *sentence;
    } bad[] = {
        {"step", "there is no scheduler 'step'; there are step_lr, multi_step_lr, exponential_lr"},
        {"step_lr", "step_lr: step_size must be given, in [1, 2^53]"},
        {"step_lr:gamma=1", "step_lr: step_size must be given"},
        {"step_lr:step_size=0", "step_lr: step_size = 0 is outside [1, 2^53]"},
        {"step_lr:step_size=1.5", "step_lr: step_size = '1.5' is not a whole number in [1, 2^53]"},
        {"step_lr:step_size=3,gamma=0", "step_lr: gamma = 0 is outside (0, inf)"},
        {"step_lr:step_size=3,last_step=-2", "step_lr: last_step = -2 is outside [-1, 2^53]"},
        {"step_lr:step_size=3,verbose=yes", "verbose = 'yes' is not true or false"},
        {"cosine_decay_lr:decay_steps=-1", "decay_steps = -1 is outside [1, 2^53]"},
        {"cosine_decay_lr:decay_steps=3,alpha=nan", "alpha = nan is outside [0, inf)"},
        {"cosine_decay_lr:decay_steps=3,alpha=-0.1", "alpha = -0.1 is outside [0, inf)"},
    };
    params p = params_make(2, sizes);
    tread_optimizer *optimizer = two_groups(&p, 0.1, 0.2);
    uint64_t live = tread_memory_live_blocks();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_null_with(tread_lr_scheduler_from_spec(optimizer, bad[i].spec), bad[i].sentence);
    tread_step_lr_options o = tread_step_lr_defaults();
    ck_assert_null_with(tread_step_lr(optimizer, &o), "step_size = 0 is outside [1, 2^53], and there is no default");
    ck_assert_null_with(tread_step_lr(optimizer, NULL), "there is no default");
    o.step_size = 1;
    ck_assert_null_with(tread_step_lr(NULL, &o), "the optimizer is NULL");
    o.last_step = 0;
    ck_assert_null_with(tread_step_lr(optimizer, &o), "no initial_lr");
    ck_assert_uint_eq(tread_memory_live_blocks(), live);
    ck_assert_ptr_null(optimizer->schedulers);
    ck_assert(isnan(optimizer->groups[0].initial_lr));
    ck_assert_double_eq(tread_optimizer_lr(optimizer, 1), 0.2);

    tread_lr_scheduler *stairs = tread_lr_scheduler_from_spec(optimizer, specs[0]);
    tread_lr_scheduler *cosine = tread_lr_scheduler_from_spec(optimizer, specs[1]);
    tread_state *state = tread_lr_scheduler_state_dict(cosine), *empty = tread_state_create();
    ck_assert_fails(tread_lr_scheduler_load_state_dict(stairs, state), TREAD_ERROR_FORMAT, "it is of cosine_decay_lr");
    ck_assert_fails(tread_lr_scheduler_load_state_dict(stairs, empty), TREAD_ERROR_FORMAT, "no string 'algorithm'");
    ck_assert_fails(tread_lr_scheduler_load_state_dict(stairs, NULL), TREAD_ERROR_ARGUMENT, "NULL");
    ck_assert_ok(tread_state_add_string(empty, "algorithm", "step_lr"));
    ck_assert_ok(tread_state_add_integer(empty, "last_step", -1));
    tread_state *options = tread_state_add_tree(empty, "options");
    ck_assert_ok(tread_state_add_integer(options, "step_size", 0));
    ck_assert_ok(tread_state_add_real(options, "gamma", 0.5));
    ck_assert_ok(tread_state_add_integer(options, "verbose", 0));
    ck_assert_ok(tread_state_add_real(tread_state_add_list(empty, "base_lrs"), NULL, 0.5));
    ck_assert_fails(
        tread_lr_scheduler_load_state_dict(stairs, empty), TREAD_ERROR_FORMAT,
        "step_lr: the state does not fit, 4 differences: last_step = -1 is negative; state: there is no list "
        "'last_lr'; options: step_lr: step_size = 0 is outside [1, 2^53], and there is no default; base_lrs has "
        "1 groups, not 2");
    ck_assert_double_eq(tread_optimizer_lr(optimizer, 1), 0.2);
    tread_state_destroy(state);
    tread_state_destroy(empty);
    tread_lr_scheduler_destroy(stairs);
    tread_lr_scheduler_destroy(cosine);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

static char log_text[512];
static void log_line(void *data, const char *line) {
    ck_assert_ptr_eq(data, log_text);
    strcat(log_text, line);
    strcat(log_text, "\n");
}

START_TEST(verbose_goes_to_the_log) {
    tread_context_options c = tread_context_defaults();
    c.log = log_line;
    c.log_data = log_text;
    tread_context *context = tread_context_create(&c);
    params p = params_make(2, sizes);
    tread_optimizer *optimizer = tread_optimizer_from_spec(context, params_part(&p, 0, 1), "sgd:lr=0.123456789");
    ck_assert_ok(tread_optimizer_add_param_group_spec(optimizer, params_part(&p, 1, 1), "lr=2"));
    tread_lr_scheduler *scheduler = tread_lr_scheduler_from_spec(optimizer, "step_lr:step_size=1,verbose=true");
    ck_assert_ok(tread_lr_scheduler_step(scheduler));
    ck_assert_str_eq(log_text, "step_lr: step 0: lr of group 0 is 0.12346\nstep_lr: step 0: lr of group 1 is 2\n"
                               "step_lr: step 1: lr of group 0 is 0.012346\nstep_lr: step 1: lr of group 1 is 0.2\n");
    tread_lr_scheduler_destroy(scheduler);
    tread_optimizer_destroy(optimizer);
    tread_context_destroy(context);
    params_destroy(&p);
}
END_TEST

typedef struct making {
    tread_optimizer *optimizer;
    tread_lr_scheduler *scheduler;
    tread_state *state;
} making;
static void *make_again(void *data) { return tread_lr_scheduler_from_spec(((making *)data)->optimizer, specs[1]); }
static void unmake_scheduler(void *data, void *made) {
    (void)data;
    tread_lr_scheduler_destroy(made);
}
static void *take_state(void *data) { return tread_lr_scheduler_state_dict(((making *)data)->scheduler); }
static void unmake_state(void *data, void *made) {
    (void)data;
    tread_state_destroy(made);
}
static void *load_state(void *data) {
    making *m = data;
    return tread_lr_scheduler_load_state_dict(m->scheduler, m->state) == TREAD_OK ? m : NULL;
}
static void keep(void *data, void *made) {
    (void)data;
    (void)made;
}

START_TEST(failing_allocations_change_nothing) {
    params p = params_make(2, sizes);
    making m = {.optimizer = two_groups(&p, 0.1, 0.2)};
    fail_every_allocation(make_again, unmake_scheduler, &m);
    m.scheduler = make_again(&m);
    fail_every_allocation(take_state, unmake_state, &m);
    m.state = take_state(&m);
    ck_assert_ok(tread_lr_scheduler_step(m.scheduler));
    fail_every_allocation(load_state, keep, &m);
    ck_assert_int_eq(tread_lr_scheduler_last_step(m.scheduler), 0);
    ck_assert_double_eq(tread_optimizer_lr(m.optimizer, 0), 0.1);
    uint64_t calls = tread_memory_calls();
    ck_assert_ok(tread_lr_scheduler_step(m.scheduler));
    ck_assert_uint_eq(tread_memory_calls(), calls);
    tread_state_destroy(m.state);
    tread_lr_scheduler_destroy(m.scheduler);
    tread_optimizer_destroy(m.optimizer);
    params_destroy(&p);
}
END_TEST

/* ---- A schedule on a metric, which halves the rate whenever the metric grows; lists; results out of range ---- */

typedef struct halving_options {
    size_t size;
    const double *floors;
    size_t n_floors;
    bool verbose;
} halving_options;
typedef struct halving_memory {
    size_t size;
    double last;
} halving_memory;

static void halve(const void *options, void *memory, double metric, size_t n_groups, double *lrs) {
    const halving_options *o = options;
    halving_memory *m = memory;
    for (size_t g = 0; g < n_groups && metric > m->last; g++)
        lrs[g] = fmax(lrs[g] / 2, g < o->n_floors ? o->floors[g] : 0);
    m->last = metric;
}
static const tread_field halving_fields[] = {
    {.name = "floors",
     .kind = TREAD_FIELD_REAL_LIST,
     .offset = offsetof(halving_options, floors),
     .count_offset = offsetof(halving_options, n_floors),
     .range = TREAD_RANGE_NOT_NEGATIVE,
     .per_group = true,
     .doc = "least lr, one per group"},
    TREAD_BOOLEAN(halving_options, verbose, 0, "log"),
};
static const tread_field halving_memory_fields[] = {
    {.name = "last",
     .offset = offsetof(halving_memory, last),
     .initial = {1e9},
     .range = {.low = -INFINITY, .high = INFINITY},
     .doc = "last metric"},
};
static const tread_field_table halving_memory_table =
    TREAD_TABLE("halving", halving_memory, halving_memory_fields, NULL);
static const tread_lr_scheduler_type halving = {
    .table = TREAD_TABLE("halving", halving_options, halving_fields, NULL),
    .doc = "halves",
    .lr_on_metric = halve,
    .memory = &halving_memory_table,
};

static double falling(const void *options, double base_lr, int64_t step, size_t group) {
    (void)options;
    (void)group;
    return base_lr * (double)(2 - step);
}
typedef struct falling_options {
    size_t size;
    int64_t last_step;
    bool verbose;
} falling_options;
static const tread_field falling_fields[] = {TREAD_FIELDS_OF_SCHEDULERS(falling_options)};
static const tread_lr_scheduler_type falling_type = {
    .table = TREAD_TABLE("falling", falling_options, falling_fields, NULL), .doc = "falls below 0", .lr = falling};

START_TEST(schedules_on_a_metric_and_with_lists_fit_the_table) {
    params p = params_make(3, sizes);
    tread_optimizer *optimizer = two_groups(&p, 0.8, 0.4);
    double floors[] = {0.3, 0};
    halving_options o;
    tread_fields_defaults(&halving.table, &o);
    o.floors = floors;
    o.n_floors = 2;
    tread_lr_scheduler *scheduler = tread_lr_scheduler_create(optimizer, &halving, &o);
    ck_assert_msg(scheduler != NULL, "%s", tread_last_error());
    floors[0] = 7; /* the list was copied */
    ck_assert(tread_lr_scheduler_needs_metric(scheduler));
    ck_assert_fails(tread_lr_scheduler_step(scheduler), TREAD_ERROR_STATE, "a step needs a metric");
    ck_assert(isnan(tread_lr_scheduler_get_lr(scheduler, 1, 1)));
    ck_assert_ok(tread_lr_scheduler_step_metric(scheduler, 1)); /* better than 1e9 */
    ck_assert_double_eq(tread_optimizer_lr(optimizer, 0), 0.8);
    ck_assert_ok(tread_lr_scheduler_step_metric(scheduler, 2));
    ck_assert_ok(tread_optimizer_set(optimizer, 1, "lr", 1)); /* it works on what is there */
    tread_state *state = tread_lr_scheduler_state_dict(scheduler);
    ck_assert_ok(tread_lr_scheduler_step_metric(scheduler, 3));
    ck_assert_double_eq(tread_optimizer_lr(optimizer, 0), 0.3);
    ck_assert_double_eq(tread_optimizer_lr(optimizer, 1), 0.5);
    ck_assert_null_with(tread_lr_scheduler_from_spec(optimizer, specs[0]), "the optimizer has a halving already");
    ck_assert_ok(tread_lr_scheduler_load_state_dict(scheduler, state));
    ck_assert_int_eq(tread_lr_scheduler_last_step(scheduler), 2);
    ck_assert_double_eq(tread_optimizer_lr(optimizer, 0), 0.4); /* the last lr that it wrote */
    ck_assert_ok(tread_lr_scheduler_step_metric(scheduler, 2.5));
    ck_assert_double_eq(tread_optimizer_lr(optimizer, 0), 0.3);
    ck_assert_ok(tread_lr_scheduler_step_metric(scheduler, NAN));
    ck_assert_ok(tread_optimizer_add_param_group(optimizer, params_part(&p, 2, 1), NULL));
    ck_assert_fails(tread_lr_scheduler_step_metric(scheduler, 9), TREAD_ERROR_STATE,
                    "halving: floors has 2 entries for 3 groups; give one, or one per group");
    tread_state_destroy(state);
    tread_lr_scheduler_destroy(scheduler);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

START_TEST(a_rate_out_of_range_changes_nothing) {
    params p = params_make(2, sizes);
    tread_optimizer *optimizer = two_groups(&p, 0.8, 0.4);
    tread_lr_scheduler *scheduler = tread_lr_scheduler_create(optimizer, &falling_type, NULL);
    ck_assert_ok(tread_lr_scheduler_step(scheduler));
    ck_assert_ok(tread_lr_scheduler_step(scheduler));
    ck_assert_fails(tread_lr_scheduler_step(scheduler), TREAD_ERROR_NUMERIC,
                    "lr of group 0 at step 3 is -0.8, outside [0, inf)");
    ck_assert_int_eq(tread_lr_scheduler_last_step(scheduler), 2);
    ck_assert_double_eq(tread_optimizer_lr(optimizer, 1), 0);
    tread_lr_scheduler_destroy(scheduler);
    /* Kernels would take it for infinity. */
    tread_optimizer_destroy(optimizer);
    optimizer = two_groups(&p, 4, 2);
    scheduler = make_scheduler(optimizer, "exponential_lr:gamma=1e38");
    ck_assert_fails(tread_lr_scheduler_step(scheduler), TREAD_ERROR_NUMERIC,
                    "lr of group 0 at step 1 is 4e+38, above the largest float");
    ck_assert_double_eq(tread_optimizer_lr(optimizer, 0), 4);
    tread_lr_scheduler_destroy(scheduler);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

START_TEST(help_lists_every_field) {
    for (size_t t = 0; t < tread_lr_scheduler_type_count(); t++) {
        ck_assert(tread_lr_scheduler_type_doc(t)[0] != '\0');
        for (size_t f = 0; f < tread_lr_scheduler_field_count(t); f++) {
            tread_field_info info;
            ck_assert_ok(tread_lr_scheduler_field(t, f, &info));
            ck_assert(info.doc[0] != '\0' && info.range[0] != '\0');
            ck_assert_int_eq(info.required, info.default_text[0] == '\0');
        }
    }
    ck_assert_str_eq(tread_lr_scheduler_type_name(1), "multi_step_lr");
    ck_assert_ptr_null(tread_lr_scheduler_type_name(tread_lr_scheduler_type_count()));
    tread_field_info info;
    ck_assert_fails(tread_lr_scheduler_field(0, 99, &info), TREAD_ERROR_ARGUMENT, "step_lr: there is no field 99");
}
END_TEST

TEST_MAIN("lr_scheduler", powers_and_cosines_are_exact, schedules_follow_the_formulas, resuming_goes_on_in_any_order,
          each_group_has_its_base_and_its_values, groups_that_come_later_take_part, bad_fields_and_states_are_refused,
          verbose_goes_to_the_log, failing_allocations_change_nothing,
          schedules_on_a_metric_and_with_lists_fit_the_table, a_rate_out_of_range_changes_nothing,
          help_lists_every_field)
