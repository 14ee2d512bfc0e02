/* Schedulers of other schedulers, of functions, and of momentum too: who owns what, what is refused, and what moves. */
#include "tests/optim/helpers.h"

#include "optim/lr_inner.h"

static const int64_t sizes[] = {3, 5, 2};

static tread_optimizer *make_optimizer(params *p, const char *spec) {
    *p = params_make(3, sizes);
    tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_part(p, 0, 1), spec);
    ck_assert_msg(optimizer != NULL, "%s", tread_last_error());
    ck_assert_ok(tread_optimizer_set(optimizer, 0, "lr", 0.5));
    ck_assert_ok(tread_optimizer_add_param_group_spec(optimizer, params_part(p, 1, 1), "lr=2"));
    return optimizer;
}

static tread_lr_scheduler *sequence(tread_optimizer *optimizer, tread_lr_scheduler *first, tread_lr_scheduler *second,
                                    int64_t milestone) {
    tread_lr_scheduler *const schedulers[] = {first, second};
    tread_sequential_lr_options o = tread_sequential_lr_defaults();
    o.schedulers = schedulers;
    o.n_schedulers = 2;
    o.milestones = &milestone;
    o.n_milestones = 1;
    return tread_sequential_lr(optimizer, &o);
}

/* ---- Handles ---- */

START_TEST(handles_are_taken_over) {
    params p, q;
    tread_optimizer *a = make_optimizer(&p, "sgd"), *b = make_optimizer(&q, "sgd");
    tread_lr_scheduler *other = make_scheduler(a, "constant_lr"), *line = make_scheduler(a, "linear_lr:total_iters=5");
    ck_assert_ok(tread_lr_scheduler_step(line)); /* its steps do not count afterwards */
    tread_lr_scheduler *fall = make_scheduler(a, "exponential_lr:gamma=0.5,last_step=7");
    tread_lr_scheduler *outer = sequence(a, line, fall, 5);
    ck_assert_msg(outer != NULL, "%s", tread_last_error());
    tread_lr_scheduler_destroy(other);
    ck_assert_ptr_eq(a->schedulers, outer); /* alone now */
    ck_assert_ptr_null(outer->next);
    ck_assert_fails(tread_lr_scheduler_step(line), TREAD_ERROR_STATE, "linear_lr: it is part of another scheduler");
    ck_assert_ptr_null(tread_lr_scheduler_state_dict(fall));
    tread_lr_scheduler_destroy(line); /* nothing happens */
    tread_lr_scheduler *same =
        make_scheduler(b, "sequential_lr:schedulers=[linear_lr:total_iters=5]/[exponential_lr:gamma=0.5],milestones=5");
    for (int n = 0; n < 12; n++) {
        ck_assert_double_eq(tread_optimizer_lr(a, 0), tread_optimizer_lr(b, 0));
        ck_assert_double_eq(tread_optimizer_lr(a, 1), tread_optimizer_lr(b, 1));
        ck_assert_double_eq(tread_lr_scheduler_get_last_lr(outer, 1), tread_optimizer_lr(a, 1));
        ck_assert_ok(tread_lr_scheduler_step(outer));
        ck_assert_ok(tread_lr_scheduler_step(same));
    }
    tread_warmup_lr_options o = tread_warmup_lr_defaults(); /* and taken over again */
    o.scheduler = outer;
    o.last_step = 3;
    tread_lr_scheduler *warm = tread_warmup_lr(a, &o);
    ck_assert_double_eq(tread_lr_scheduler_get_lr(warm, 0.5, 8), 0.5 / 8);
    ck_assert_double_eq(tread_optimizer_lr(a, 0), tread_lr_scheduler_get_lr(warm, 0.5, 4));
    tread_optimizer_destroy(a);
    tread_lr_scheduler_destroy(outer);
    tread_lr_scheduler_destroy(warm);
    tread_lr_scheduler_destroy(same);
    tread_optimizer_destroy(b);
    params_destroy(&p);
    params_destroy(&q);
}
END_TEST

/* All that making a scheduler may change. */
typedef struct look {
    const tread_lr_scheduler *first, *second;
    double lrs[2], bases[2], momentum;
    uint64_t live;
} look;
static look look_at(const tread_optimizer *optimizer) {
    look l = {.first = optimizer->schedulers, .live = tread_memory_live_blocks()};
    l.second = l.first != NULL ? l.first->next : NULL;
    ck_assert_ok(tread_optimizer_get(optimizer, 1, "momentum", &l.momentum));
    for (size_t g = 0; g < 2; g++) {
        l.lrs[g] = tread_optimizer_lr(optimizer, g);
        l.bases[g] = optimizer->groups[g].initial_lr;
    }
    return l;
}
static void must_look_the_same(const look *a, const tread_optimizer *optimizer) {
    look b = look_at(optimizer);
    ck_assert(a->first == b.first && a->second == b.second && a->live == b.live && a->momentum == b.momentum);
    for (size_t g = 0; g < 2; g++) {
        ck_assert_double_eq(a->lrs[g], b.lrs[g]);
        ck_assert(a->bases[g] == b.bases[g] || (isnan(a->bases[g]) && isnan(b.bases[g])));
    }
}

START_TEST(handles_that_cannot_be_inner) {
    params p, q, r, s;
    tread_optimizer *optimizer = make_optimizer(&p, "sgd"), *strange = make_optimizer(&q, "sgd");
    tread_lr_scheduler *metric = make_scheduler(strange, "reduce_lr_on_plateau");
    tread_lr_scheduler *own = make_scheduler(optimizer, "step_lr:step_size=2"),
                       *second = make_scheduler(optimizer, "constant_lr:factor=0.5");
    tread_warmup_lr_options w = tread_warmup_lr_defaults();
    tread_optimizer *gone = make_optimizer(&r, "sgd"), *third = make_optimizer(&s, "sgd");
    tread_lr_scheduler *orphan = make_scheduler(gone, "constant_lr"), *stranger = make_scheduler(third, "linear_lr");
    tread_lr_scheduler *taken = make_scheduler(third, "linear_lr");
    w.scheduler = taken;
    tread_lr_scheduler *taker = tread_warmup_lr(third, &w);
    ck_assert_ptr_nonnull(taker);
    tread_optimizer_destroy(gone);
    const struct {
        tread_lr_scheduler *inner;
        const char *sentence;
    } bad[] = {
        {NULL, "sequential_lr: schedulers[1] is NULL"},
        {metric, "sequential_lr: schedulers[1] (reduce_lr_on_plateau) follows a metric, and cannot be part of another "
                 "scheduler"},
        {own, "sequential_lr: schedulers[1] (step_lr) is there twice"},
        {stranger, "sequential_lr: schedulers[1] (linear_lr) is a scheduler of another optimizer"},
        {taken, "sequential_lr: schedulers[1] (linear_lr) is part of another scheduler already"},
        {orphan, "sequential_lr: schedulers[1] (constant_lr) has lost its optimizer, which has been destroyed"},
    };
    look before = look_at(optimizer);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_ptr_null(sequence(optimizer, own, bad[i].inner, 3));
        ck_assert_str_eq(tread_last_error(), bad[i].sentence);
        must_look_the_same(&before, optimizer);
    }
    ck_assert_ptr_null(sequence(optimizer, own, second, 0));
    ck_assert_str_eq(tread_last_error(), "sequential_lr: milestones[0] = 0 is outside [1, 2^53]");
    ck_assert_ptr_null(sequence(optimizer, own, second, INT64_MAX));
    ck_assert_ptr_null(tread_chained_scheduler(optimizer, NULL));
    ck_assert_str_eq(tread_last_error(), "chained_scheduler: schedulers is empty, and there is no default");
    tread_chained_scheduler_options c = tread_chained_scheduler_defaults();
    c.n_schedulers = 2;
    ck_assert_ptr_null(tread_chained_scheduler(optimizer, &c));
    ck_assert_str_eq(tread_last_error(), "chained_scheduler: schedulers is NULL, and its count 2");
    must_look_the_same(&before, optimizer);
    ck_assert_ok(tread_lr_scheduler_step(own));
    ck_assert_ok(tread_lr_scheduler_step(second));
    tread_lr_scheduler *fine = sequence(optimizer, own, second, 3);
    ck_assert_ptr_nonnull(fine);
    tread_lr_scheduler *const all[] = {metric, orphan, stranger, taker, fine};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        tread_lr_scheduler_destroy(all[i]);
    tread_optimizer_destroy(optimizer);
    tread_optimizer_destroy(strange);
    tread_optimizer_destroy(third);
    params_destroy(&p);
    params_destroy(&q);
    params_destroy(&r);
    params_destroy(&s);
}
END_TEST

/* ---- Spec strings ---- */

START_TEST(bad_specs_name_the_path_and_change_nothing) {
    static const struct {
        const char *spec, *sentence;
    } bad[] = {
        {"lambda_lr:verbose=true", "lambda_lr: its functions are C functions, which no text can name; in a C program "
                                   "call tread_lambda_lr()"},
        {"chained_scheduler:schedulers=[multiplicative_lr:functions=f]",
         "chained_scheduler: schedulers[0]: multiplicative_lr: its functions are C functions, which no text can name; "
         "in a C program call tread_multiplicative_lr()"},
        {"sequential_lr:schedulers=[linear_lr]/[step_lr:step_size=0],milestones=5",
         "sequential_lr: schedulers[1]: step_lr: step_size = 0 is outside [1, 2^53], and there is no default"},
        {"warmup_lr:scheduler=[sequential_lr:schedulers=[linear_lr]/[warmup_lr:scheduler=[nope]],milestones=5]",
         "warmup_lr: scheduler: sequential_lr: schedulers[1]: warmup_lr: scheduler: there is no scheduler 'nope'; "
         "there are step_lr, "},
        {"warmup_lr:scheduler=[]", "warmup_lr: scheduler: there is no scheduler ''"},
        {"warmup_lr:scheduler=[linear_lr]/[linear_lr]",
         "warmup_lr: scheduler = '[linear_lr]/[linear_lr]' is not [a scheduler]"},
        {"warmup_lr:scheduler=linear_lr", "warmup_lr: scheduler = 'linear_lr' is not [a scheduler]"},
        {"warmup_lr:scheduler=[linear_lr", "scheduler = '[linear_lr' is not [a scheduler]"},
        {"warmup_lr:scheduler=[linear_lr]]", "scheduler = '[linear_lr]]' is not [a scheduler]"},
        {"warmup_lr:scheduler=[linear_lr]x", "scheduler = '[linear_lr]x' is not [a scheduler]"},
        {"chained_scheduler:schedulers=[linear_lr]/", "schedulers = '[linear_lr]/' is not [a scheduler]/[another]/..."},
        {"chained_scheduler:schedulers=/[linear_lr]", "is not [a scheduler]/[another]/..."},
        {"chained_scheduler:schedulers=", "chained_scheduler: schedulers is empty, and there is no default"},
        {"chained_scheduler", "chained_scheduler: schedulers must be given, in [a scheduler]/[another]/..."},
        {"chained_scheduler:schedulers=[linear_lr]/[reduce_lr_on_plateau]",
         "chained_scheduler: schedulers[1]: reduce_lr_on_plateau follows a metric, and cannot be part of another"},
        {"warmup_lr:scheduler=[linear_lr:last_step=3]",
         "warmup_lr: scheduler: linear_lr: last_step is given to the outer scheduler"},
        {"warmup_lr:scheduler=[linear_lr:verbose=true]", "linear_lr: verbose is given to the outer scheduler"},
        {"sequential_lr:schedulers=[linear_lr]/[linear_lr]",
         "sequential_lr: 0 milestones for 2 schedulers; there is one between any two"},
        {"sequential_lr:schedulers=[linear_lr],milestones=3", "sequential_lr: 1 milestones for 1 schedulers"},
        {"sequential_lr:schedulers=[linear_lr]/[linear_lr]/[linear_lr],milestones=3/3",
         "sequential_lr: milestones[1] = 3 is not more than milestones[0] = 3"},
        {"warmup_lr:scheduler=[cyclic_lr:max_lr=1/2/3]",
         "warmup_lr: scheduler: cyclic_lr: max_lr has 3 entries for 2 groups; give one, or one per group"},
        {"one_cycle_lr:total_steps=9,three_phase=true,pct_start=0.6", "three_phase = true needs pct_start <= 0.5"},
        {"one_cycle_lr:total_steps=9,three_phase=true,pct_start=0.50000001", "pct_start = 0.50000001"},
        {"warmup_lr:last_step=3", "no initial_lr"},
        {"chained_scheduler:schedulers=[exponential_lr:gamma=1e38]/[exponential_lr:gamma=1e38],last_step=-2",
         "last_step = -2 is outside"},
    };
    params p;
    tread_optimizer *optimizer = make_optimizer(&p, "sgd");
    look before = look_at(optimizer);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_ptr_null(tread_lr_scheduler_from_spec(optimizer, bad[i].spec));
        ck_assert_msg(strstr(tread_last_error(), bad[i].sentence) != NULL, "\"%s\" lacks \"%s\"", tread_last_error(),
                      bad[i].sentence);
        must_look_the_same(&before, optimizer);
    }
    ck_assert_ptr_null(tread_lr_scheduler_from_spec(NULL, "warmup_lr:scheduler=[linear_lr]"));
    ck_assert_uint_eq(tread_memory_live_blocks(), before.live);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

static char *nested(int depth) {
    static char spec[100000];
    char *at = spec;
    for (int i = 0; i < depth; i++)
        at = stpcpy(at, "chained_scheduler:schedulers=[");
    at = stpcpy(at, "exponential_lr:gamma=0.5");
    memset(at, ']', (size_t)depth);
    at[depth] = '\0';
    return spec;
}

START_TEST(nesting_is_deep_but_ends) {
    params p;
    tread_optimizer *optimizer = make_optimizer(&p, "sgd");
    tread_lr_scheduler *deep = make_scheduler(optimizer, nested(TREAD_MAX_NESTING));
    ck_assert_ok(tread_lr_scheduler_step(deep));
    ck_assert_double_eq(tread_optimizer_lr(optimizer, 0), 0.25);
    look before = look_at(optimizer);
    ck_assert_ptr_null(tread_lr_scheduler_from_spec(optimizer, nested(TREAD_MAX_NESTING + 1)));
    ck_assert_str_eq(tread_last_error(), "scheduler: brackets are nested 65 deep, and 64 is the most");
    ck_assert_ptr_null(tread_lr_scheduler_from_spec(optimizer, nested(3000)));
    tread_warmup_lr_options o = tread_warmup_lr_defaults();
    o.scheduler = deep;
    ck_assert_ptr_null(tread_warmup_lr(optimizer, &o));
    ck_assert_str_eq(tread_last_error(), "warmup_lr: schedulers are nested 65 deep, and 64 is the most");
    must_look_the_same(&before, optimizer);
    tread_lr_scheduler_destroy(deep);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

/* What print and errors show reads back as the same scheduler. */
START_TEST(text_reads_back) {
    params p;
    tread_optimizer *optimizer = make_optimizer(&p, "sgd");
    tread_lr_scheduler *outer =
        make_scheduler(optimizer, "warmup_lr:scheduler=[sequential_lr:schedulers=[linear_lr]/"
                                  "[multi_step_lr:milestones=3/9],milestones=4],warmup_iters=2");
    const tread_field_table *table = &outer->type->table;
    tread_report text = {.length = 0}, again = {.length = 0};
    tread_field_text(tread_fields_find(table, "scheduler"), outer->options, &text);
    ck_assert_str_eq(text.text,
                     "[sequential_lr:schedulers=[linear_lr:start_factor=0.3333333333333333,end_factor=1,total_iters=5,"
                     "verbose=false]/[multi_step_lr:milestones=3/9,gamma=0.1,verbose=false],milestones=4,verbose="
                     "false]");
    char spec[1000];
    double number;
    snprintf(spec, sizeof spec, "warmup_lr:scheduler=%.900s", text.text);
    tread_lr_scheduler *back = make_scheduler(optimizer, spec);
    tread_field_text(tread_fields_find(table, "scheduler"), back->options, &again);
    ck_assert_str_eq(again.text, text.text);
    ck_assert_fails(tread_fields_get(table, outer->options, "scheduler", &number), TREAD_ERROR_ARGUMENT,
                    "warmup_lr: scheduler is a scheduler, and no number");
    tread_lr_scheduler_destroy(outer);
    tread_lr_scheduler_destroy(back);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

/* ---- Groups ---- */

START_TEST(lists_fit_groups_that_come_later_or_say_so) {
    params p;
    tread_optimizer *optimizer = make_optimizer(&p, "sgd");
    tread_lr_scheduler *outer = make_scheduler(
        optimizer, "sequential_lr:schedulers=[constant_lr]/[cyclic_lr:max_lr=4/6,step_size_up=2],milestones=1");
    for (int n = 0; n < 3; n++)
        ck_assert_ok(tread_lr_scheduler_step(outer));
    ck_assert_double_eq(tread_optimizer_lr(optimizer, 0), 4);
    ck_assert_double_eq(tread_optimizer_lr(optimizer, 1), 6);
    ck_assert_ok(tread_optimizer_add_param_group_spec(optimizer, params_part(&p, 2, 1), "lr=0.25"));
    ck_assert_fails(tread_lr_scheduler_step(outer), TREAD_ERROR_STATE,
                    "sequential_lr: schedulers[1]: cyclic_lr: max_lr has 2 entries for 3 groups; give one, or one per");
    ck_assert_int_eq(tread_lr_scheduler_last_step(outer), 3);
    tread_lr_scheduler_destroy(outer);
    outer = make_scheduler(optimizer,
                           "chained_scheduler:schedulers=[one_cycle_lr:max_lr=1/2/3,total_steps=4,pct_start=0.75]");
    ck_assert_ok(tread_lr_scheduler_step(outer));
    ck_assert_ok(tread_lr_scheduler_step(outer));
    for (size_t g = 0; g < 3; g++)
        ck_assert_double_eq(tread_optimizer_lr(optimizer, g), (double)g + 1);
    ck_assert_double_eq(optimizer->groups[2].initial_lr, 0.25);
    tread_lr_scheduler_destroy(outer);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
}
END_TEST

/* ---- Allocations ---- */

static void *make_from_spec(void *data) {
    return tread_lr_scheduler_from_spec(
        data, "warmup_lr:scheduler=[sequential_lr:schedulers=[one_cycle_lr:max_lr=1/2,total_steps=9,"
              "cycle_momentum=true]/[linear_lr],milestones=4],warmup_iters=2,warmup_prefix=true");
}
static void unmake(void *data, void *made) {
    (void)data;
    tread_lr_scheduler_destroy(made);
}
typedef struct handles {
    tread_optimizer *optimizer;
    tread_lr_scheduler *line, *cycle;
    look before;
} handles;
static void *make_of_handles(void *data) {
    handles *h = data;
    must_look_the_same(&h->before, h->optimizer); /* after the failures so far */
    return sequence(h->optimizer, h->line, h->cycle, 3);
}

START_TEST(failing_allocations_change_nothing) {
    params p, q;
    tread_optimizer *optimizer = make_optimizer(&p, "sgd");
    fail_every_allocation(make_from_spec, unmake, optimizer); /* no momentum yet: the cycle needs memory for it */
    tread_optimizer_destroy(optimizer);
    optimizer = make_optimizer(&q, "sgd");
    handles h = {.optimizer = optimizer, .line = make_scheduler(optimizer, "linear_lr")};
    tread_cyclic_lr_options o = tread_cyclic_lr_defaults();
    const double peak = 1;
    o.max_lr = &peak;
    o.n_max_lr = 1;
    h.cycle = tread_cyclic_lr(optimizer, &o);
    h.before = look_at(optimizer);
    fail_every_allocation(make_of_handles, unmake, &h);
    ck_assert_ptr_null(optimizer->schedulers);
    tread_optimizer_destroy(optimizer);
    params_destroy(&p);
    params_destroy(&q);
}
END_TEST

TEST_MAIN("lr_composite", handles_are_taken_over, handles_that_cannot_be_inner,
          bad_specs_name_the_path_and_change_nothing, nesting_is_deep_but_ends, text_reads_back,
          lists_fit_groups_that_come_later_or_say_so, failing_allocations_change_nothing)
