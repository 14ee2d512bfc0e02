/* ReduceLROnPlateau: against a simulation of its own, over every setting that takes another way. */
#include <tread/lr_schedulers.h>

#include "tests/optim/helpers.h"

static const int64_t sizes[] = {3, 5, 2};

static tread_optimizer *two_groups(params *p, double first, double second) {
    *p = params_make(3, sizes);
    tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_part(p, 0, 1), "sgd:momentum=0.9");
    ck_assert_ok(tread_optimizer_add_param_group(optimizer, params_part(p, 1, 1), NULL));
    ck_assert_ok(tread_optimizer_set(optimizer, 0, "lr", first));
    ck_assert_ok(tread_optimizer_set(optimizer, 1, "lr", second));
    return optimizer;
}

/* ---- The simulation: it keeps all metrics and looks back, and has no counters but the cooldown's ---- */

typedef struct simulation {
    const tread_reduce_lr_on_plateau_options *o;
    double metrics[64], lrs[2];
    int n;        /* metrics */
    int counting; /* the first metric from which on a bad one counts */
    int cooldown_end;
} simulation;

static double best_before(const simulation *s, int n) {
    double best = NAN;
    for (int i = 0; i < n; i++) {
        double m = s->metrics[i], sign = s->o->mode == TREAD_PLATEAU_MIN ? 1 : -1;
        double by = s->o->threshold * (s->o->threshold_mode == TREAD_THRESHOLD_REL ? fabs(best) : 1);
        if (isnan(best) ? !isnan(m) : sign * m < sign * best - by)
            best = m;
    }
    return best;
}

static void simulate(simulation *s, double metric) {
    s->metrics[s->n++] = metric;
    if (s->n <= s->cooldown_end)
        s->counting = s->n;
    int bad = 0; /* since the last better one */
    for (int i = s->n - 1; i >= s->counting; i--) {
        double before = best_before(s, i), after = best_before(s, i + 1);
        if (before != after && !(isnan(before) && isnan(after)))
            break;
        bad++;
    }
    if (bad <= s->o->patience)
        return;
    for (int g = 0; g < 2; g++) {
        double floor_of = s->o->n_min_lr == 0 ? 0 : s->o->min_lr[s->o->n_min_lr == 2 ? g : 0];
        double next = s->lrs[g] * s->o->factor < floor_of ? floor_of : s->lrs[g] * s->o->factor;
        s->lrs[g] = s->lrs[g] - next > s->o->eps ? next : s->lrs[g];
    }
    s->counting = s->n;
    s->cooldown_end = s->n + (int)s->o->cooldown;
}

/* Wavering, falling or rising, with NaN runs, also as the first ones. */
static double metric_at(int sequence, int i) {
    double waver = 0.05 * sin(7.0 * i * (sequence + 1)), trend = (sequence % 2 == 0 ? -1 : 1) * 0.01 * i;
    if ((sequence >= 2 && i < 2) || (sequence % 3 == 1 && i % 7 >= 5))
        return NAN;
    double m = i > 20 ? 1 + waver : 1 + waver + trend; /* then a plateau */
    return sequence == 5 ? -m : m;
}

static void compare(const tread_reduce_lr_on_plateau_options *o, int sequence) {
    params p, q;
    tread_optimizer *optimizer = two_groups(&p, 0.1, 1e-3), *later = two_groups(&q, 7, 8);
    simulation s = {.o = o, .lrs = {0.1, 1e-3}};
    tread_lr_scheduler *scheduler = tread_reduce_lr_on_plateau(optimizer, o), *resumed = NULL;
    ck_assert_msg(scheduler != NULL, "%s", tread_last_error());
    for (int i = 0; i < 60; i++) {
        double metric = metric_at(sequence, i);
        simulate(&s, metric);
        ck_assert_ok(tread_lr_scheduler_step_metric(scheduler, metric));
        ck_assert_int_eq(tread_lr_scheduler_in_cooldown(scheduler), s.n < s.cooldown_end);
        for (size_t g = 0; g < 2; g++) {
            ck_assert_double_eq(tread_optimizer_lr(optimizer, g), s.lrs[g]);
            ck_assert_double_eq(tread_lr_scheduler_get_last_lr(scheduler, g), s.lrs[g]);
        }
        if (resumed != NULL) {
            ck_assert_ok(tread_lr_scheduler_step_metric(resumed, metric));
            ck_assert_double_eq(tread_optimizer_lr(later, 1), s.lrs[1]);
        }
        if (i == 3 + 5 * sequence) { /* goes on in another run, made with other options */
            tread_state *state = tread_lr_scheduler_state_dict(scheduler);
            resumed = tread_reduce_lr_on_plateau(later, NULL);
            ck_assert_ok(tread_lr_scheduler_load_state_dict(resumed, state));
            ck_assert_int_eq(tread_lr_scheduler_last_step(resumed), i + 1);
            ck_assert_double_eq(tread_optimizer_lr(later, 0), s.lrs[0]);
            tread_state_destroy(state);
        }
    }
    tread_lr_scheduler_destroy(scheduler);
    tread_lr_scheduler_destroy(resumed);
    tread_optimizer_destroy(optimizer);
    tread_optimizer_destroy(later);
    params_destroy(&p);
    params_destroy(&q);
}

START_TEST(every_setting_follows_the_simulation) {
    static const int64_t patiences[] = {0, 1, 4}, cooldowns[] = {0, 1, 3};
    static const double floors[] = {1e-3, 2e-5};
    for (int mode = 0; mode < 2; mode++)
        for (int threshold_mode = 0; threshold_mode < 2; threshold_mode++)
            for (int i = 0; i < 27; i++)
                for (int sequence = 0; sequence < 6; sequence++) {
                    tread_reduce_lr_on_plateau_options o = tread_reduce_lr_on_plateau_defaults();
                    o.mode = (tread_plateau_mode)mode;
                    o.threshold_mode = (tread_threshold_mode)threshold_mode;
                    o.threshold = sequence == 3 ? 0 : 0.02;
                    o.patience = patiences[i % 3];
                    o.cooldown = cooldowns[i / 3 % 3];
                    o.min_lr = floors;
                    o.n_min_lr = (size_t)(i / 9);
                    o.factor = sequence == 2 ? 0.9 : 0.5;
                    o.eps = sequence == 4 ? 1e-4 : 1e-8;
                    compare(&o, sequence);
                }
}
END_TEST

START_TEST(better_is_what_mode_and_threshold_say) {
    static const struct {
        const char *spec;
        double a, best;
        bool better;
    } cases[] = {
        {"", 0.9998, 1, true},
        {"", 0.9999, 1, false}, /* 1 - 1e-4 itself is not less than that */
        {"", 1, 1, false},
        {"", NAN, 1, false},
        {"", 5, NAN, true}, /* there is no best yet */
        {"", NAN, NAN, false},
        {"", -1.0002, -1, true}, /* a negative best: more than |best| threshold below */
        {"", -0.99995, -1, false},
        {"", 5, INFINITY, true},
        {"", -INFINITY, -INFINITY, false},
        {"threshold=0", 0.9999999, 1, true},
        {"threshold=0", 1, 1, false},
        {"threshold=0", 3, INFINITY, true},
        {"mode=max", 1.0002, 1, true},
        {"mode=max", 1.0001, 1, false},
        {"mode=max", -0.9998, -1, true},
        {"mode=max", -1.00005, -1, false}, /* worse, which best (1 + threshold) would call better */
        {"mode=max", 5, -INFINITY, true},
        {"threshold_mode=abs,threshold=0.25", 0.7, 1, true},
        {"threshold_mode=abs,threshold=0.25", 0.75, 1, false},
        {"threshold_mode=abs,threshold=0.25,mode=max", 1.26, 1, true},
        {"threshold_mode=abs,threshold=0.25,mode=max", 1.25, 1, false},
    };
    params p;
    tread_optimizer *optimizer = two_groups(&p, 0.1, 0.2);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char spec[100];
        snprintf(spec, sizeof spec, "reduce_lr_on_plateau:%s", cases[i].spec);
        tread_lr_scheduler *scheduler = tread_lr_scheduler_from_spec(optimizer, spec);
        ck_assert_msg(scheduler != NULL, "%s", tread_last_error());
        ck_assert_msg(tread_lr_scheduler_is_better(scheduler, cases[i].a, cases[i].best) == cases[i].better,
                      "%s: %g after %g", spec, cases[i].a, cases[i].best);
        tread_lr_scheduler_destroy(scheduler);
    }
    ck_assert(!tread_lr_scheduler_is_better(NULL, 1, 2) && !tread_lr_scheduler_in_cooldown(NULL));
    tread_lr_scheduler *other = tread_lr_scheduler_from_spec(optimizer, "step_lr:step_size=1");
    ck_assert(!tread_lr_scheduler_is_better(other, 1, 2) && !tread_lr_scheduler_in_cooldown(other));
    tread_lr_scheduler_destroy(other);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

START_TEST(best_is_absent_until_there_is_one) {
    params p;
    tread_optimizer *optimizer = two_groups(&p, 0.1, 0.2);
    tread_lr_scheduler *scheduler = tread_lr_scheduler_from_spec(optimizer, "reduce_lr_on_plateau:patience=1");
    ck_assert_int_eq(tread_lr_scheduler_last_step(scheduler), 0);
    ck_assert_ok(tread_lr_scheduler_step_metric(scheduler, NAN));
    tread_state *none = tread_lr_scheduler_state_dict(scheduler), *some, *infinite;
    const tread_state *memory = tread_state_find(none, "memory");
    int64_t bad = 0;
    double best = 0;
    ck_assert_ptr_null(tread_state_find(memory, "best"));
    ck_assert_ok(tread_state_get_integer(memory, "bad", &bad));
    ck_assert_int_eq(bad, 1);
    ck_assert_ptr_null(tread_state_find(none, "base_lrs"));
    ck_assert_ok(tread_lr_scheduler_step_metric(scheduler, 3));
    some = tread_lr_scheduler_state_dict(scheduler);
    ck_assert_ok(tread_state_get_real(tread_state_find(some, "memory"), "best", &best));
    ck_assert_double_eq(best, 3);
    ck_assert_ok(tread_lr_scheduler_load_state_dict(scheduler, none));
    ck_assert_ok(tread_lr_scheduler_step_metric(scheduler, INFINITY)); /* a best all the same */
    infinite = tread_lr_scheduler_state_dict(scheduler);
    ck_assert_ok(tread_lr_scheduler_load_state_dict(scheduler, some));
    ck_assert_ok(tread_lr_scheduler_load_state_dict(scheduler, infinite));
    ck_assert_ok(tread_lr_scheduler_step_metric(scheduler, 1e300)); /* better than infinity */
    ck_assert_ok(tread_lr_scheduler_step_metric(scheduler, 1e301));
    ck_assert_double_eq(tread_optimizer_lr(optimizer, 0), 0.1);
    ck_assert_ok(tread_lr_scheduler_step_metric(scheduler, 1e301));
    ck_assert_double_eq(tread_optimizer_lr(optimizer, 0), 0.1 * 0.1);
    tread_state_destroy(none);
    tread_state_destroy(some);
    tread_state_destroy(infinite);
    tread_lr_scheduler_destroy(scheduler);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

/* It works on the lr that is there: one set by hand is reduced, saved, and comes back whatever is loaded first. */
START_TEST(it_works_on_the_lr_that_is_there) {
    for (int order = 0; order < 2; order++) {
        params p, q;
        tread_optimizer *a = two_groups(&p, 0.1, 0.2), *b = two_groups(&q, 7, 8);
        tread_lr_scheduler *x = tread_lr_scheduler_from_spec(a, "reduce_lr_on_plateau:patience=0,factor=0.5");
        tread_lr_scheduler *y = tread_lr_scheduler_from_spec(b, "reduce_lr_on_plateau");
        ck_assert_ok(tread_lr_scheduler_step_metric(x, 1));
        ck_assert_ok(tread_lr_scheduler_step_metric(x, 1));
        ck_assert_ok(tread_optimizer_set(a, 1, "lr", 5));
        tread_state *optimizer = tread_optimizer_state_dict(a), *scheduler = tread_lr_scheduler_state_dict(x);
        ck_assert_ptr_null(
            tread_state_find(tread_state_at(tread_state_find(optimizer, "param_groups"), 0), "initial_lr"));
        ck_assert_ok(order == 0 ? tread_optimizer_load_state_dict(b, optimizer)
                                : tread_lr_scheduler_load_state_dict(y, scheduler));
        ck_assert_ok(order == 1 ? tread_optimizer_load_state_dict(b, optimizer)
                                : tread_lr_scheduler_load_state_dict(y, scheduler));
        for (int i = 0; i < 3; i++) {
            ck_assert_double_eq(tread_optimizer_lr(b, 0), ldexp(0.05, -i));
            ck_assert_double_eq(tread_optimizer_lr(b, 1), ldexp(5, -i));
            ck_assert_ok(tread_lr_scheduler_step_metric(y, 1));
        }
        tread_state_destroy(optimizer);
        tread_state_destroy(scheduler);
        destroy_run(x, a, &p);
        destroy_run(y, b, &q);
    }
}
END_TEST

START_TEST(it_bears_no_company_and_misfits) {
    params p;
    tread_optimizer *optimizer = two_groups(&p, 0.1, 0.2);
    const double floors[] = {0.1, 0.2, 0.3};
    tread_reduce_lr_on_plateau_options o = tread_reduce_lr_on_plateau_defaults();
    o.min_lr = floors;
    o.n_min_lr = 3;
    ck_assert_ptr_null(tread_reduce_lr_on_plateau(optimizer, &o));
    ck_assert_str_eq(tread_last_error(),
                     "reduce_lr_on_plateau: min_lr has 3 entries for 2 groups; give one, or one per group");
    o.n_min_lr = 2;
    tread_lr_scheduler *scheduler = tread_reduce_lr_on_plateau(optimizer, &o);
    ck_assert_fails(tread_lr_scheduler_step(scheduler), TREAD_ERROR_STATE, "a step needs a metric");
    ck_assert_ptr_null(tread_lr_scheduler_from_spec(optimizer, "exponential_lr:gamma=0.5"));
    ck_assert_str_eq(tread_last_error(),
                     "exponential_lr: the optimizer has a reduce_lr_on_plateau already, and the two "
                     "would undo each other");
    ck_assert_ptr_null(tread_reduce_lr_on_plateau(optimizer, &o));
    ck_assert_double_eq(tread_optimizer_lr(optimizer, 0), 0.1);
    ck_assert_ok(tread_optimizer_add_param_group(optimizer, params_part(&p, 2, 1), NULL));
    ck_assert(isnan(optimizer->groups[2].initial_lr)); /* no base for whoever comes after */
    ck_assert_fails(tread_lr_scheduler_step_metric(scheduler, 1), TREAD_ERROR_STATE, "2 entries for 3 groups");
    ck_assert_int_eq(tread_lr_scheduler_last_step(scheduler), 0);
    tread_state *state = tread_lr_scheduler_state_dict(scheduler); /* its list does not fit, and so it does not load */
    ck_assert_fails(tread_lr_scheduler_load_state_dict(scheduler, state), TREAD_ERROR_FORMAT, "2 entries for 3 groups");
    tread_state_destroy(state);
    tread_lr_scheduler_destroy(scheduler);
    scheduler = tread_lr_scheduler_from_spec(optimizer, "step_lr:step_size=1");
    ck_assert_ptr_null(tread_reduce_lr_on_plateau(optimizer, NULL));
    tread_lr_scheduler_destroy(scheduler);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

TEST_MAIN("lr_plateau", every_setting_follows_the_simulation, better_is_what_mode_and_threshold_say,
          best_is_absent_until_there_is_one, it_works_on_the_lr_that_is_there, it_bears_no_company_and_misfits)
