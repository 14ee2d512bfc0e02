/* A training that is profiled: what is found, and that it is the same training. */
#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "engine/profile/train_profile.h"
#include "tests/engine/world.h"
#include "tests/test.h"

static world w;
static tread_trainer *trainer;
static tread_train_profile *profile;

static void start(tread_context *context) {
    world_build(&w, context, 0);
    tread_trainer_options o = world_options(&w, 1000);
    trainer = tread_trainer_create(context, &o);
    ck_assert_ptr_nonnull(trainer);
    profile = NULL;
}

static void end(void) {
    tread_train_profile_destroy(profile);
    tread_trainer_destroy(trainer);
    world_destroy(&w);
}

static tread_profile_train_options quick(int64_t warmup, int64_t steps) {
    tread_profile_train_options o = tread_profile_train_defaults();
    o.warmup = warmup;
    o.steps = steps;
    o.measure_machine = false;
    return o;
}

static const tread_profile_part *find(const char *name, const char *detail, const char *phase) {
    for (size_t i = 0; i < profile->n_parts; i++) {
        const tread_profile_part *part = &profile->parts[i];
        if (strcmp(part->name, name) == 0 && strcmp(part->detail, detail) == 0 && strcmp(part->phase, phase) == 0)
            return part;
    }
    ck_abort_msg("there is no %s %s %s", name, detail, phase);
}

START_TEST(parts_add_up_to_the_step) {
    start(NULL);
    tread_profile_train_options o = quick(5, 20);
    ck_assert_ok(tread_profile_train(trainer, &o, &profile));
    ck_assert_int_eq(profile->n_steps, 20);
    ck_assert_uint_eq(profile->n_all_steps, 40);
    ck_assert_int_eq(profile->warmup, 5);
    ck_assert_int_eq(profile->batch_samples, 16);
    ck_assert_str_eq(profile->parts[0].name, "step");
    ck_assert_double_eq(profile->parts[0].share, 1);
    double leaves = 0, recorded = 0;
    for (size_t i = 0; i < profile->n_parts; i++) {
        const tread_profile_part *part = &profile->parts[i];
        ck_assert_int_lt(part->parent, (int)i);
        ck_assert_int_eq(part->depth, i == 0 ? 0 : profile->parts[part->parent].depth + 1);
        ck_assert(i == 0 || profile->parts[part->parent].has_parts);
        leaves += part->has_parts ? 0 : part->seconds;
    }
    ck_assert_double_eq_tol(leaves / profile->parts[0].seconds, 1, 1e-9);
    for (size_t i = 0; i < profile->n_all_steps; i++)
        recorded += profile->steps[i].recorded ? profile->steps[i].seconds : 0;
    ck_assert_double_eq_tol(profile->parts[0].seconds / recorded, 1, 0.2);
    static const struct {
        const char *name, *detail, *phase;
    } all[] = {{"batch", "", ""},
               {"forward", "", ""},
               {"loss", "", ""},
               {"backward", "", ""},
               {"adam", "", ""},
               {"linear", "0.weight", "forward"},
               {"linear", "2.weight", "forward"},
               {"linear", "0.weight", "backward"},
               {"linear", "2.weight", "backward"},
               {"cross_entropy", "#2", "forward"},
               {"cross_entropy", "#2", "backward"},
               {"gemm", "16x8x6", ""},
               {"gemm", "dx 16x8x3", ""},
               {"gemm", "dw 3x8x16", ""},
               {"gemm", "dw 8x6x16", ""},
               {"gemm", "6x8x6", ""}}; /* an epoch's last batch has 6 samples */
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        find(all[i].name, all[i].detail, all[i].phase);
    const tread_profile_part *product = find("gemm", "dx 16x8x3", ""), *batch = find("batch", "", "");
    ck_assert_double_eq(product->flops, 2.0 * 16 * 8 * 3 * (double)product->calls);
    ck_assert_double_eq(product->bytes, 4.0 * (16 * 3 + 3 * 8 + 16 * 8) * (double)product->calls);
    ck_assert_double_eq_tol(product->flops_per_second, product->flops / product->seconds, 1);
    ck_assert_int_eq(batch->calls, 20);
    ck_assert_double_eq(find("adam", "", "")->bytes,
                        20.0 * 28 * (8 * 6 + 8 + 3 * 8 + 3)); /* parameter, both moments: read
                                                           and written; gradient: read */
    ck_assert_int_eq(product->ceiling, TREAD_CEILING_NONE);   /* the machine was not measured */
    ck_assert(isnan(product->ceiling_share));
    ck_assert_str_eq(profile->parts[product->parent].detail, "2.weight");
    end();
}
END_TEST

static uint64_t plain_hash(int64_t steps) {
    world plain;
    world_build(&plain, NULL, 0);
    tread_trainer_options o = world_options(&plain, 1000);
    o.max_steps = steps;
    tread_trainer *one = tread_trainer_create(NULL, &o);
    ck_assert_ok(tread_trainer_run(one));
    const uint64_t hash = world_hash(&plain);
    tread_trainer_destroy(one);
    world_destroy(&plain);
    return hash;
}

START_TEST(the_training_is_the_same_and_goes_on) {
    start(NULL);
    tread_profile_train_options o = quick(3, 17);
    o.trace_events = 1000;
    ck_assert_ok(tread_profile_train(trainer, &o, &profile));
    const int64_t steps = tread_trainer_result(trainer)->steps;
    ck_assert_int_ge(steps, 3 + 2 * 17);
    ck_assert_uint_eq(world_hash(&w), plain_hash(steps));
    ck_assert_uint_eq(trainer->n_callbacks, 0);
    ck_assert_int_eq(trainer->options.epochs, 1000);
    trainer->options.max_steps = steps + 20;
    ck_assert_ok(tread_trainer_run(trainer));
    ck_assert_uint_eq(world_hash(&w), plain_hash(steps + 20));
    end();
}
END_TEST

START_TEST(limits_do_not_count_and_come_back) {
    world_build(&w, NULL, 0);
    tread_trainer_options o = world_options(&w, 1);
    o.max_steps = 2;
    o.patience = 0;
    o.target = 0;
    trainer = tread_trainer_create(NULL, &o);
    profile = NULL;
    tread_profile_train_options p = quick(0, 10);
    ck_assert_ok(tread_profile_train(trainer, &p, &profile));
    ck_assert_int_eq(profile->n_steps, 10);
    ck_assert_int_eq(trainer->options.max_steps, 2);
    ck_assert_int_eq(trainer->options.patience, 0);
    ck_assert_int_eq(trainer->options.epochs, 1);
    end();
}
END_TEST

START_TEST(a_single_step_is_enough) {
    start(NULL);
    tread_profile_train_options o = quick(0, 1);
    ck_assert_ok(tread_profile_train(trainer, &o, &profile));
    ck_assert_uint_eq(profile->n_all_steps, 2);
    ck_assert(!profile->steps[0].recorded && profile->steps[1].recorded);
    ck_assert(profile->steps[0].events & TREAD_STEP_FIRST_OF_EPOCH);
    ck_assert(profile->steps[1].events & TREAD_STEP_FIRST_OF_STRETCH);
    ck_assert(isfinite(profile->overhead) && isnan(profile->overhead_lower));
    end();
}
END_TEST

START_TEST(steps_know_what_went_on) {
    start(NULL);
    tread_profile_train_options o = quick(0, 30);
    ck_assert_ok(tread_profile_train(trainer, &o, &profile));
    int small = 0, first = 0, after = 0;
    for (size_t i = 0; i < profile->n_all_steps; i++) {
        const tread_profile_step *step = &profile->steps[i];
        const int64_t in_epoch = step->step % 5;
        ck_assert_int_eq(step->samples, in_epoch == 4 ? 6 : 16);
        ck_assert_int_eq((step->events & TREAD_STEP_SMALLER_BATCH) != 0, in_epoch == 4);
        ck_assert_int_eq((step->events & TREAD_STEP_FIRST_OF_EPOCH) != 0, in_epoch == 0);
        ck_assert_int_eq((step->events & TREAD_STEP_AFTER_EVALUATION) != 0, in_epoch == 0 && step->step > 0);
        ck_assert_int_eq((step->events & TREAD_STEP_LOST_CPU) != 0, step->switches > 0);
        small += in_epoch == 4;
        first += in_epoch == 0;
        after += (step->events & TREAD_STEP_AFTER_EVALUATION) != 0;
    }
    ck_assert(small > 0 && first > 0 && after > 0);
    ck_assert_int_eq(profile->times.n + profile->recorded_times.n, 60 - small);
    ck_assert_int_gt(profile->smaller_times.n, 0);
    ck_assert_int_le(profile->smaller_times.n, small);
    ck_assert_double_gt(profile->evaluation_seconds, 0);
    end();
}
END_TEST

typedef struct progress {
    int64_t calls, last, all, stop_at;
    bool in_order;
} progress;

static bool note_progress(void *data, const tread_profile_train_progress *p) {
    progress *seen = data;
    seen->in_order &= p->steps >= seen->last && p->seconds >= 0 && (seen->calls > 0) == (p->steps > 0);
    seen->last = p->steps;
    seen->all = p->all_steps;
    seen->calls++;
    return p->steps < seen->stop_at;
}

START_TEST(progress_is_told_and_may_end_it) {
    progress seen = {.stop_at = INT64_MAX, .in_order = true};
    start(NULL);
    tread_profile_train_options o = quick(3, 20);
    o.progress = note_progress;
    o.progress_data = &seen;
    ck_assert_ok(tread_profile_train(trainer, &o, &profile));
    ck_assert(seen.in_order && !profile->interrupted);
    ck_assert_int_eq(seen.all, 43);
    ck_assert_int_eq(seen.calls, 1 + 2 + 8); /* the machine, warming up, and eight stretches of five steps */
    ck_assert_int_eq(seen.last, 38);
    end();
    start(NULL);
    seen = (progress){.stop_at = 13, .in_order = true};
    ck_assert_ok(tread_profile_train(trainer, &o, &profile));
    ck_assert(profile->interrupted);
    ck_assert_int_eq(profile->n_all_steps, 10); /* the one that is done before the end settles */
    end();
    start(NULL);
    seen = (progress){.stop_at = 0, .in_order = true};
    ck_assert_fails(tread_profile_train(trainer, &o, &profile), TREAD_ERROR_STATE, "ended after 0 steps");
    end();
}
END_TEST

static uint64_t calls_at[200];
static tread_action note_calls(void *data, tread_trainer *t, const tread_step_info *info) {
    (void)data;
    (void)t;
    if (info->step < 200)
        calls_at[info->step] = tread_memory_calls();
    return TREAD_CONTINUE;
}

START_TEST(nothing_is_allocated_while_it_records) {
    world_build(&w, NULL, 0);
    tread_trainer_options o = world_options(&w, 1000);
    tread_callbacks callbacks = tread_callbacks_defaults();
    callbacks.on_step = note_calls;
    o.callbacks = &callbacks;
    o.test = NULL;
    trainer = tread_trainer_create(NULL, &o);
    profile = NULL;
    tread_profile_train_options p = quick(1, 50);
    p.trace_events = 100; /* which are too few */
    ck_assert_ok(tread_profile_train(trainer, &p, &profile));
    ck_assert_uint_gt(profile->n_trace_dropped, 0);
    for (int i = 2; i <= 100; i++)
        ck_assert_msg(calls_at[i] == calls_at[1], "step %d: %llu allocations", i,
                      (unsigned long long)(calls_at[i] - calls_at[1]));
    end();
}
END_TEST

static int stop_after;
static tread_action stop(void *data, tread_trainer *t, const tread_step_info *info) {
    (void)data;
    (void)t;
    return info->step >= stop_after ? TREAD_STOP : TREAD_CONTINUE;
}

START_TEST(a_run_that_is_ended_gives_what_there_is) {
    for (stop_after = 3; stop_after <= 30; stop_after += 27) {
        start(NULL);
        tread_callbacks callbacks = tread_callbacks_defaults();
        callbacks.on_step = stop;
        ck_assert_ok(tread_trainer_add_callbacks(trainer, &callbacks));
        tread_profile_train_options o = quick(5, 100);
        tread_status status = tread_profile_train(trainer, &o, &profile);
        ck_assert_int_eq(status, stop_after == 3 ? TREAD_ERROR_STATE : TREAD_OK);
        if (status == TREAD_OK)
            ck_assert(profile->n_steps >= 1 && profile->n_steps < 30 && profile->n_all_steps < 30);
        else
            ck_assert_ptr_nonnull(strstr(tread_last_error(), "ended after 3 steps of warming up and 0"));
        ck_assert_uint_eq(trainer->n_callbacks, 1);
        end();
    }
}
END_TEST

static tread_action profile_again(void *data, tread_trainer *t, const tread_step_info *info) {
    tread_train_profile *inner = NULL;
    (void)data;
    (void)info;
    ck_assert_fails(tread_profile_train(t, NULL, &inner), TREAD_ERROR_STATE, "runs already");
    return TREAD_FAIL;
}

START_TEST(what_cannot_be_is_refused) {
    start(NULL);
    tread_profile_train_options o = quick(-1, 1);
    ck_assert_fails(tread_profile_train(trainer, &o, &profile), TREAD_ERROR_ARGUMENT, "warmup = -1 is outside [0,");
    o = quick(0, 0);
    ck_assert_fails(tread_profile_train(trainer, &o, &profile), TREAD_ERROR_ARGUMENT, "steps = 0 is outside [1,");
    o = quick(0, 1);
    o.trace_events = SIZE_MAX;
    ck_assert_fails(tread_profile_train(trainer, &o, &profile), TREAD_ERROR_ARGUMENT, "trace_events");
    o.size = 3;
    ck_assert_fails(tread_profile_train(trainer, &o, &profile), TREAD_ERROR_ARGUMENT, "size");
    ck_assert_fails(tread_profile_train(NULL, NULL, &profile), TREAD_ERROR_ARGUMENT, "NULL");
    ck_assert_fails(tread_profile_train(trainer, NULL, NULL), TREAD_ERROR_ARGUMENT, "NULL");
    ck_assert_fails(tread_train_profile_write_trace(NULL, "x"), TREAD_ERROR_ARGUMENT, "NULL");
    ck_assert_ptr_null(profile);
    tread_callbacks callbacks = tread_callbacks_defaults();
    callbacks.on_step = profile_again;
    ck_assert_ok(tread_trainer_add_callbacks(trainer, &callbacks));
    o = quick(0, 1);
    ck_assert_fails(tread_profile_train(trainer, &o, &profile), TREAD_ERROR_CALLBACK, "");
    ck_assert_ptr_null(profile);
    end();
    world_build(&w, NULL, 0);
    tread_trainer_options only_evaluates = world_options(&w, 1);
    only_evaluates.optimizer = NULL;
    trainer = tread_trainer_create(NULL, &only_evaluates);
    ck_assert_fails(tread_profile_train(trainer, NULL, &profile), TREAD_ERROR_STATE, "no optimizer");
    end();
    tread_train_profile_destroy(NULL);
    ck_assert_str_eq(tread_profile_ceiling_name(TREAD_CEILING_MEMORY), "memory");
    ck_assert_ptr_null(tread_profile_ceiling_name((tread_profile_ceiling)5));
}
END_TEST

START_TEST(every_failing_allocation_is_reported) {
    for (uint64_t k = 1;; k++) {
        const uint64_t blocks = tread_memory_live_blocks();
        start(NULL);
        tread_profile_train_options o = quick(1, 2);
        o.trace_events = 10;
        tread_memory_fail_at(k);
        tread_status status = tread_profile_train(trainer, &o, &profile);
        const bool failed = tread_memory_failed();
        tread_memory_fail_at(0);
        if (failed)
            ck_assert_int_eq(status, TREAD_ERROR_MEMORY);
        else
            ck_assert_ok(status);
        ck_assert(failed == (profile == NULL));
        if (failed)
            ck_assert_ptr_null(tread_context_resolve(NULL)->recorder);
        end();
        ck_assert_uint_eq(tread_memory_live_blocks(), blocks);
        if (!failed)
            return;
    }
}
END_TEST

START_TEST(the_machine_is_what_parts_are_held_against) {
    start(NULL);
    tread_profile_train_options o = quick(0, 10);
    o.measure_machine = true;
    ck_assert_ok(tread_profile_train(trainer, &o, &profile));
    ck_assert_double_gt(profile->peak_flops, 1e8);
    ck_assert_double_ge(profile->peak_flops, profile->peak_flops_later);
    ck_assert_double_gt(profile->cache_bandwidth, 1e8);
    ck_assert_double_gt(profile->memory_bandwidth, 1e8);
    const tread_profile_part *product = find("gemm", "dx 16x8x3", "");
    const double by_flops = product->flops / profile->peak_flops, by_bytes = product->bytes / profile->cache_bandwidth;
    ck_assert_int_eq(product->ceiling, by_flops >= by_bytes ? TREAD_CEILING_ARITHMETIC : TREAD_CEILING_CACHE);
    ck_assert_double_eq_tol(product->ceiling_share, fmax(by_flops, by_bytes) / product->seconds, 1e-9);
    ck_assert_double_gt(profile->parts[0].ceiling_share, 0);
    ck_assert_double_gt(profile->noise.seconds, 0);
    end();
}
END_TEST

TEST_MAIN("train_profile", parts_add_up_to_the_step, the_training_is_the_same_and_goes_on,
          limits_do_not_count_and_come_back, a_single_step_is_enough, steps_know_what_went_on,
          progress_is_told_and_may_end_it, nothing_is_allocated_while_it_records,
          a_run_that_is_ended_gives_what_there_is, what_cannot_be_is_refused, every_failing_allocation_is_reported,
          the_machine_is_what_parts_are_held_against)
