/* What step() promises whatever the algorithm. Their arithmetic: test_golden.c and test_reference.c. */
#include "tests/optim/bounded.h"
#include "tests/optim/helpers.h"

static const int64_t sizes[] = {1, 100, 40000, 17, 4096};
#define N_SIZES 5

static void run_steps(tread_optimizer *optimizer, params *p, int64_t from, int64_t to) {
    for (int64_t t = from; t < to; t++) {
        params_set_grads(p, t, t % 4 == 2 ? 1u << 1 : 0);
        ck_assert_ok(tread_optimizer_step(optimizer, NULL));
    }
}

START_TEST(threads_and_instruction_sets_change_no_bit) {
    for (int s = 0; battery_specs[s] != NULL; s++) {
        params first = params_make_for(battery_specs[s], N_SIZES, sizes);
        tread_context *one = context_with_threads(1);
        tread_optimizer *optimizer = tread_optimizer_from_spec(one, params_list(&first), battery_specs[s]);
        run_steps(optimizer, &first, 0, 5);
        tread_optimizer_destroy(optimizer);
        static const struct {
            int threads;
            tread_isa isa;
        } ways[] = {{1, TREAD_ISA_BASELINE}, {2, TREAD_ISA_AVX2}, {3, TREAD_ISA_AVX512}, {8, TREAD_ISA_AVX2}};
        for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
            tread_context *context = context_with_threads(ways[i].threads);
            tread_isa before = tread_isa_use(ways[i].isa);
            params p = params_make_for(battery_specs[s], N_SIZES, sizes);
            optimizer = tread_optimizer_from_spec(context, params_list(&p), battery_specs[s]);
            run_steps(optimizer, &p, 0, 5);
            ck_assert_msg(params_equal(&first, &p), "%s at %d threads", battery_specs[s], ways[i].threads);
            tread_optimizer_destroy(optimizer);
            params_destroy(&p);
            tread_isa_use(before);
            tread_context_destroy(context);
        }
        tread_context_destroy(one);
        params_destroy(&first);
    }
}
END_TEST

START_TEST(equal_groups_equal_one_group) {
    for (int s = 0; battery_specs[s] != NULL; s++) {
        params a = params_make_for(battery_specs[s], N_SIZES, sizes),
               b = params_make_for(battery_specs[s], N_SIZES, sizes);
        tread_optimizer *one = tread_optimizer_from_spec(NULL, params_list(&a), battery_specs[s]);
        tread_optimizer *three = tread_optimizer_from_spec(NULL, params_part(&b, 0, 2), battery_specs[s]);
        ck_assert_ok(tread_optimizer_add_param_group(three, params_part(&b, 2, 1), NULL));
        ck_assert_ok(tread_optimizer_add_param_group_spec(three, params_part(&b, 3, 2), ""));
        run_steps(one, &a, 0, 6);
        run_steps(three, &b, 0, 6);
        ck_assert_msg(params_equal(&a, &b), "%s", battery_specs[s]);
        tread_optimizer_destroy(one);
        tread_optimizer_destroy(three);
        params_destroy(&a);
        params_destroy(&b);
    }
}
END_TEST

START_TEST(a_rate_of_0_changes_nothing_and_groups_have_their_own) {
    for (int s = 0; battery_specs[s] != NULL; s++) {
        params a = params_make_for(battery_specs[s], 2, sizes), b = params_make_for(battery_specs[s], 2, sizes);
        tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_part(&a, 0, 1), battery_specs[s]);
        ck_assert_ok(tread_optimizer_add_param_group_spec(optimizer, params_part(&a, 1, 1), "lr=0"));
        ck_assert_ok(tread_optimizer_set(optimizer, 1, "lr", 0.5));
        ck_assert_ok(tread_optimizer_set(optimizer, 1, "lr", 0));
        run_steps(optimizer, &a, 0, 3); /* an odd number: Lion's steps are all of one size */
        ck_assert_float_ne(param_data(&a, 0)[0], param_data(&b, 0)[0]);
        ck_assert_mem_eq(param_data(&a, 1), param_data(&b, 1), 400);
        tread_optimizer_destroy(optimizer);
        params_destroy(&a);
        params_destroy(&b);
    }
}
END_TEST

/* In a model's block, where parameters lie side by side, several are updated in one go. */
START_TEST(parameters_in_one_block_are_updated_alike) {
    static const int64_t counts[] = {16, 32, 40000, 48, 100, 5, 16, 4096};
    for (int s = 0; battery_specs[s] != NULL; s++)
        for (int threads = 1; threads <= 3; threads += 2) {
            params alone = params_make_for(battery_specs[s], 8, counts),
                   p = params_make_for(battery_specs[s], 8, counts);
            tread_context *context = context_with_threads(threads);
            tread_parameter_block block;
            ck_assert_ok(tread_parameter_block_create(p.items, 8, &block));
            tread_optimizer *x = tread_optimizer_from_spec(context, params_part(&alone, 0, 7), battery_specs[s]);
            tread_optimizer *y = tread_optimizer_from_spec(context, params_part(&p, 0, 7), battery_specs[s]);
            ck_assert_ok(tread_optimizer_add_param_group_spec(x, params_part(&alone, 7, 1), "lr=0.2"));
            ck_assert_ok(tread_optimizer_add_param_group_spec(y, params_part(&p, 7, 1), "lr=0.2"));
            for (int64_t t = 0; t < 7; t++) {
                /* all; without p1; without p1 and p6; all with p3 and p4 zeros; ... */
                unsigned missing = t == 1 ? 2 : t == 2 ? 0x42 : 0;
                params_set_grads(&alone, t, missing);
                params_set_grads(&p, t, missing);
                for (int i = 3; i < 5 && t == 3; i++) {
                    tread_tensor_zero_grad(&alone.items[i]->tensor, false);
                    tread_tensor_zero_grad(&p.items[i]->tensor, false);
                }
                ck_assert_ok(tread_optimizer_step(x, NULL));
                ck_assert_ok(tread_optimizer_step(y, NULL));
                ck_assert_msg(params_equal(&alone, &p), "%s, %d threads, step %d", battery_specs[s], threads, (int)t);
            }
            int padding = 0;
            for (size_t i = 0; i < 8; i++)
                for (int64_t e = counts[i]; e % 16 != 0; e++)
                    padding += param_data(&p, i)[e] != 0;
            ck_assert_int_eq(padding, 0);
            tread_optimizer_destroy(x);
            tread_optimizer_destroy(y);
            tread_parameter_block_destroy(&block);
            tread_context_destroy(context);
            params_destroy(&alone);
        }
}
END_TEST

/* Zeros that nobody wrote are a step of zeros; none is no step. */
START_TEST(zero_and_none_differ) {
    for (int s = 0; battery_specs[s] != NULL; s++) {
        params a = params_make_for(battery_specs[s], N_SIZES, sizes),
               b = params_make_for(battery_specs[s], N_SIZES, sizes),
               c = params_make_for(battery_specs[s], N_SIZES, sizes);
        tread_optimizer *x = tread_optimizer_from_spec(NULL, params_list(&a), battery_specs[s]);
        tread_optimizer *y = tread_optimizer_from_spec(NULL, params_list(&b), battery_specs[s]);
        tread_optimizer *z = tread_optimizer_from_spec(NULL, params_list(&c), battery_specs[s]);
        run_steps(x, &a, 0, 2);
        run_steps(y, &b, 0, 2);
        run_steps(z, &c, 0, 2);
        tread_optimizer_zero_grad(x, false);
        for (size_t i = 0; i < N_SIZES; i++) {
            ck_assert_int_eq(a.items[i]->tensor.grad_state, TREAD_GRAD_ZERO);
            memset(b.items[i]->tensor.grad->data, 0, tread_tensor_bytes(&b.items[i]->tensor));
        }
        tread_optimizer_zero_grad(z, true);
        params before = params_make_for(battery_specs[s], N_SIZES, sizes);
        for (size_t i = 0; i < N_SIZES; i++) {
            ck_assert_ptr_null(tread_tensor_grad(&c.items[i]->tensor));
            memcpy(param_data(&before, i), param_data(&c, i), tread_tensor_bytes(&c.items[i]->tensor));
        }
        ck_assert_ok(tread_optimizer_step(x, NULL));
        ck_assert_ok(tread_optimizer_step(y, NULL));
        ck_assert_ok(tread_optimizer_step(z, NULL));
        ck_assert_msg(params_equal(&a, &b), "%s", battery_specs[s]);
        ck_assert_msg(params_equal(&before, &c), "%s", battery_specs[s]);
        run_steps(x, &a, 3, 5);
        run_steps(y, &b, 3, 5);
        run_steps(z, &c, 3, 5);
        ck_assert_msg(params_equal(&a, &b), "%s", battery_specs[s]);
        ck_assert_uint_eq(tread_item_progress(x, 0)->step, 5);
        ck_assert_uint_eq(tread_item_progress(z, 0)->step, 4);
        tread_optimizer_destroy(x);
        tread_optimizer_destroy(y);
        tread_optimizer_destroy(z);
        params_destroy(&a);
        params_destroy(&b);
        params_destroy(&c);
        params_destroy(&before);
    }
}
END_TEST

START_TEST(a_step_allocates_nothing_and_counts_versions) {
    for (int s = 0; battery_specs[s] != NULL; s++) {
        params p = params_make_for(battery_specs[s], N_SIZES, sizes);
        tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_part(&p, 0, 3), battery_specs[s]);
        ck_assert_ok(tread_optimizer_add_param_group_spec(optimizer, params_part(&p, 3, 2), "clip_grad_max_norm=0.1"));
        uint64_t calls = tread_memory_calls();
        uint32_t version = p.items[0]->tensor.version, other = p.items[1]->tensor.version;
        run_steps(optimizer, &p, 0, 3); /* p1 misses step 2 */
        ck_assert_ok(tread_optimizer_clip_grad(optimizer, NULL, NULL));
        ck_assert_ok(tread_optimizer_clip_grad_norm(optimizer, 0.1, 3, NULL, NULL));
        tread_optimizer_zero_grad(optimizer, false);
        ck_assert_ok(tread_optimizer_set(optimizer, TREAD_ALL_GROUPS, "lr", 0.2));
        ck_assert_uint_eq(tread_memory_calls(), calls);
        ck_assert_uint_eq(p.items[0]->tensor.version, version + 3);
        ck_assert_uint_eq(p.items[1]->tensor.version, other + 2);
        tread_optimizer_destroy(optimizer);
        params_destroy(&p);
    }
}
END_TEST

/* ---- Closures ---- */

typedef struct closure_data {
    params *p;
    int calls;
    bool fails;
} closure_data;

static tread_status evaluate(void *data, double *ret_loss) {
    closure_data *c = data;
    ck_assert(tread_grad_enabled()); /* it back-propagates */
    params_set_grads(c->p, c->calls++, 0);
    if (c->fails)
        return tread_fail(TREAD_ERROR_CALLBACK, "batch %d is bad", c->calls);
    *ret_loss = 0.125 * c->calls;
    return TREAD_OK;
}

START_TEST(closures_run_first_and_failing_ones_change_nothing) {
    for (int s = 0; battery_specs[s] != NULL; s++) {
        params a = params_make_for(battery_specs[s], N_SIZES, sizes),
               b = params_make_for(battery_specs[s], N_SIZES, sizes);
        tread_optimizer *x = tread_optimizer_from_spec(NULL, params_list(&a), battery_specs[s]);
        tread_optimizer *y = tread_optimizer_from_spec(NULL, params_list(&b), battery_specs[s]);
        closure_data data = {.p = &a};
        tread_closure closure = {.evaluate = evaluate, .data = &data};
        for (int t = 0; t < 3; t++) {
            ck_assert_ok(tread_optimizer_step(x, &closure));
            ck_assert_double_eq(closure.loss, 0.125 * (t + 1));
            ck_assert_int_eq(tread_optimizer_closure_calls(x), 1);
            params_set_grads(&b, t, 0);
            ck_assert_ok(tread_optimizer_step(y, NULL));
            ck_assert_int_eq(tread_optimizer_closure_calls(y), 0);
        }
        ck_assert_int_eq(data.calls, 3);
        ck_assert_msg(params_equal(&a, &b), "%s", battery_specs[s]);
        data.fails = true;
        ck_assert_fails(tread_optimizer_step(x, &closure), TREAD_ERROR_CALLBACK, "batch 4 is bad");
        ck_assert_double_eq(closure.loss, 0.375);
        ck_assert_msg(params_equal(&a, &b), "%s", battery_specs[s]);
        data = (closure_data){.p = &a, .calls = 7};
        ck_assert_ok(tread_optimizer_step(x, &closure));
        params_set_grads(&b, 7, 0);
        ck_assert_ok(tread_optimizer_step(y, NULL));
        ck_assert_msg(params_equal(&a, &b), "%s", battery_specs[s]);
        closure.evaluate = NULL;
        ck_assert_fails(tread_optimizer_step(x, &closure), TREAD_ERROR_ARGUMENT, "evaluate is NULL");
        tread_optimizer_destroy(x);
        tread_optimizer_destroy(y);
        params_destroy(&a);
        params_destroy(&b);
    }
}
END_TEST

/* With dampening 0 and a constant rate the two conventions are one method; a scheduler parts them. */
START_TEST(conventions_of_sgd_agree_while_the_rate_is_constant) {
    params a = params_make(1, (const int64_t[]){50}), b = params_make(1, (const int64_t[]){50});
    tread_optimizer *x = tread_optimizer_from_spec(NULL, params_list(&a), "sgd:lr=0.1,momentum=0.9");
    tread_optimizer *y = tread_optimizer_from_spec(NULL, params_list(&b), "sgd:lr=0.1,momentum=0.9,convention=pytorch");
    for (int round = 0; round < 2; round++) {
        double furthest = 0;
        run_steps(x, &a, 0, 3);
        run_steps(y, &b, 0, 3);
        for (int i = 0; i < 50; i++)
            furthest = fmax(furthest, fabs(param_data(&a, 0)[i] - param_data(&b, 0)[i]));
        if (round == 0) /* 3 steps of 4 roundings, of values below 2 */
            ck_assert_double_lt(furthest, 3 * 4 * 2 * 2 * BOUNDED_U);
        else /* V kept lr 0.1 and b takes 0.01: they part by 0.09 of a buffer that is about 1 */
            ck_assert_double_gt(furthest, 0.01);
        ck_assert_ok(tread_optimizer_set(x, 0, "lr", 0.01));
        ck_assert_ok(tread_optimizer_set(y, 0, "lr", 0.01));
    }
    tread_optimizer_destroy(x);
    tread_optimizer_destroy(y);
    params_destroy(&a);
    params_destroy(&b);
}
END_TEST

TEST_MAIN("step", threads_and_instruction_sets_change_no_bit, equal_groups_equal_one_group,
          parameters_in_one_block_are_updated_alike, a_rate_of_0_changes_nothing_and_groups_have_their_own,
          zero_and_none_differ, a_step_allocates_nothing_and_counts_versions,
          closures_run_first_and_failing_ones_change_nothing, conventions_of_sgd_agree_while_the_rate_is_constant)
