/* Sparse and dense parameters together: what step() promises whatever the kinds of gradient, and what it refuses. */
#include "core/status.h"
#include "tests/optim/sparse_helpers.h"

static const char *const specs[] = {
    "sgd:lr=0.1",
    "sgd:momentum=0.9,nesterov=true",
    "sgd:momentum=0.9,convention=pytorch,dampening=0.5",
    "adam:lr=0.01",
    "adam:amsgrad=true,betas=0.5/0.6,maximize=true",
    "adamw:lr=0.01,weight_decay=0.1",
    "adagrad:lr_decay=0.1,initial_accumulator_value=0.1",
    NULL,
};

/* Tables between vectors; large enough for several threads, whose pieces end inside rows. */
#define N_ALL 6
static const struct shape {
    int64_t rows, width, n; /* n entries; -1: dense */
} shapes[N_ALL] = {{40, 1, -1}, {3000, 100, 1500}, {40000, 1, -1}, {500, 7, 300}, {60, 16, 0}, {32, 1, -1}};

typedef struct world {
    tread_parameter *items[N_ALL];
} world;

static world world_make(void) {
    world w;
    for (size_t i = 0; i < N_ALL; i++) {
        char name[16];
        snprintf(name, sizeof name, "p%zu", i);
        w.items[i] = table_make(name, i, shapes[i].rows, shapes[i].width);
    }
    return w;
}
static void world_free(world *w) {
    for (size_t i = 0; i < N_ALL; i++)
        tread_parameter_destroy(w->items[i]);
}
static void set_one(tread_parameter *parameter, size_t i, int64_t step) {
    const struct shape *s = &shapes[i];
    entries e = entries_make(i, s->rows, s->width, s->n < 0 ? s->rows : s->n, step);
    if (s->n < 0)
        entries_set_dense(&e, parameter);
    else
        entries_set_sparse(&e, parameter);
    entries_free(&e);
}
/* p3 has none at every fourth step. */
static void world_set(world *w, int64_t step) {
    for (size_t i = 0; i < N_ALL; i++) {
        set_one(w->items[i], i, step);
        if (i == 3 && step % 4 == 2)
            tread_tensor_zero_grad(&w->items[i]->tensor, true);
    }
}
static void run_steps(tread_optimizer *optimizer, world *w, int64_t from, int64_t to) {
    for (int64_t t = from; t < to; t++) {
        world_set(w, t);
        ck_assert_ok(tread_optimizer_step(optimizer, NULL));
    }
}
static bool worlds_equal(const world *a, const world *b) {
    bool equal = true;
    for (size_t i = 0; i < N_ALL; i++)
        equal &= tables_equal(a->items[i], b->items[i]);
    return equal;
}
/* Two groups: p0 to p3, and the others with a rate of their own. */
static tread_optimizer *make(const tread_context *context, world *w, const char *spec) {
    tread_optimizer *optimizer = tread_optimizer_from_spec(context, (tread_parameter_list){w->items, 4}, spec);
    ck_assert_msg(optimizer != NULL, "%s", tread_last_error());
    ck_assert_ok(
        tread_optimizer_add_param_group_spec(optimizer, (tread_parameter_list){w->items + 4, N_ALL - 4}, "lr=0.02"));
    return optimizer;
}

START_TEST(threads_and_instruction_sets_change_no_bit) {
    for (int s = 0; specs[s] != NULL; s++) {
        tread_context *one = context_with_threads(1);
        world first = world_make();
        tread_optimizer *expected = make(one, &first, specs[s]);
        run_steps(expected, &first, 0, 4);
        for (int threads = 1; threads <= 8; threads += threads == 3 ? 5 : 1)
            for (int isa = 0; isa < TREAD_ISA_COUNT; isa++) {
                tread_context *context = context_with_threads(threads);
                tread_isa before = tread_isa_use((tread_isa)isa);
                world w = world_make();
                tread_optimizer *optimizer = make(context, &w, specs[s]);
                run_steps(optimizer, &w, 0, 4);
                ck_assert_msg(worlds_equal(&first, &w) && states_equal(expected, optimizer), "%s, %d threads, isa %d",
                              specs[s], threads, isa);
                tread_optimizer_destroy(optimizer);
                world_free(&w);
                tread_isa_use(before);
                tread_context_destroy(context);
            }
        tread_optimizer_destroy(expected);
        world_free(&first);
        tread_context_destroy(one);
    }
}
END_TEST

/* A parameter's neighbours, of either kind, do not matter to it; in a block with them neither. */
START_TEST(mixed_groups_equal_parameters_alone) {
    for (int s = 0; specs[s] != NULL; s++) {
        world w = world_make(), alone = world_make(), together = world_make();
        tread_parameter_block block;
        ck_assert_ok(tread_parameter_block_create(together.items, N_ALL, &block));
        tread_optimizer *all = make(NULL, &w, specs[s]), *in_block = make(NULL, &together, specs[s]);
        run_steps(all, &w, 0, 5);
        run_steps(in_block, &together, 0, 5);
        ck_assert_msg(worlds_equal(&w, &together) && states_equal(all, in_block), "%s: in a block", specs[s]);
        for (size_t i = 0; i < N_ALL; i++) {
            tread_optimizer *one =
                tread_optimizer_from_spec(NULL, (tread_parameter_list){&alone.items[i], 1}, specs[s]);
            if (i >= 4)
                ck_assert_ok(tread_optimizer_set(one, 0, "lr", 0.02));
            for (int64_t t = 0; t < 5; t++) {
                set_one(alone.items[i], i, t);
                if (i == 3 && t == 2)
                    tread_optimizer_zero_grad(one, true);
                ck_assert_ok(tread_optimizer_step(one, NULL));
            }
            ck_assert_uint_eq(tread_item_progress(one, 0)->step, tread_item_progress(all, i)->step);
            tread_optimizer_destroy(one);
        }
        ck_assert_msg(worlds_equal(&w, &alone), "%s: alone", specs[s]);
        tread_optimizer_destroy(all);
        tread_optimizer_destroy(in_block);
        tread_parameter_block_destroy(&block);
        world_free(&w);
        world_free(&alone);
    }
}
END_TEST

START_TEST(a_saved_run_goes_on_bit_for_bit) {
    for (int s = 0; specs[s] != NULL; s++)
        for (int64_t at = 0; at <= 3; at++) {
            world w = world_make(), resumed = world_make();
            tread_optimizer *through = make(NULL, &w, specs[s]), *optimizer = make(NULL, &resumed, specs[s]);
            run_steps(through, &w, 0, 6);
            run_steps(optimizer, &resumed, 0, at);
            tread_state *state = tread_optimizer_state_dict(optimizer);
            ck_assert_msg(state != NULL, "%s", tread_last_error());
            tread_optimizer_destroy(optimizer);
            tread_context *context = context_with_threads(1 + (int)at);
            optimizer = make(context, &resumed, specs[s]);
            ck_assert_ok(tread_optimizer_load_state_dict(optimizer, state));
            run_steps(optimizer, &resumed, at, 6);
            ck_assert_msg(worlds_equal(&w, &resumed) && states_equal(through, optimizer), "%s from step %d", specs[s],
                          (int)at);
            tread_state_destroy(state);
            tread_optimizer_destroy(through);
            tread_optimizer_destroy(optimizer);
            tread_context_destroy(context);
            world_free(&w);
            world_free(&resumed);
        }
}
END_TEST

START_TEST(a_step_allocates_nothing) {
    for (int s = 0; specs[s] != NULL; s++) {
        world w = world_make();
        tread_optimizer *optimizer = make(NULL, &w, specs[s]);
        ck_assert_ok(tread_optimizer_set(optimizer, 0, "clip_grad_max_norm", 0.5));
        world_set(&w, 0); /* where the gradients' own memory comes from */
        uint64_t calls = tread_memory_calls();
        for (int64_t t = 0; t < 3; t++) {
            world_set(&w, t);
            ck_assert_ok(tread_optimizer_clip_grad(optimizer, NULL, NULL));
            ck_assert_ok(tread_optimizer_step(optimizer, NULL));
            tread_optimizer_zero_grad(optimizer, t == 1);
        }
        ck_assert_uint_eq(tread_memory_calls(), calls);
        tread_optimizer_destroy(optimizer);
        world_free(&w);
    }
}
END_TEST

/* A parameter, its sparse gradient, an optimizer and a step: whichever allocation fails, all can be taken back. */
typedef struct trial {
    tread_parameter *table;
    tread_optimizer *optimizer;
} trial;
static void destroy_trial(void *data, void *made) {
    trial *t = data;
    (void)made;
    tread_optimizer_destroy(t->optimizer);
    tread_parameter_destroy(t->table);
}
static void *make_trial(void *data) {
    trial *t = data;
    static const float rows[6] = {1, 2, 3, 4, 5, 6};
    t->optimizer = NULL;
    t->table = tread_parameter_create("t", 2, (const int64_t[]){9, 2});
    if (t->table == NULL)
        return NULL;
    t->optimizer = tread_optimizer_from_spec(NULL, (tread_parameter_list){&t->table, 1}, "adam");
    if (t->optimizer != NULL &&
        tread_tensor_set_sparse_grad(&t->table->tensor, 3, (const int32_t[]){8, 1, 8}, rows) == TREAD_OK &&
        tread_optimizer_step(t->optimizer, NULL) == TREAD_OK)
        return t;
    bool none = t->table->tensor.grad_state == TREAD_GRAD_NONE;
    destroy_trial(t, NULL);
    ck_assert(none);
    return NULL;
}

START_TEST(failing_allocations_leave_nothing_behind) {
    trial t;
    fail_every_allocation(make_trial, destroy_trial, &t);
}
END_TEST

/* ---- What is refused ---- */

static tread_status evaluate(void *data, double *ret_loss) {
    world_set(data, 0);
    *ret_loss = 0.5;
    return TREAD_OK;
}

/* The step fails with that sentence, and nothing but the gradients has changed. */
static void check_refused(tread_optimizer *optimizer, world *w, const char *sentence) {
    world before = world_make();
    tread_closure closure = {.evaluate = evaluate, .data = w, .loss = 42};
    ck_assert_fails(tread_optimizer_step(optimizer, &closure), TREAD_ERROR_STATE, sentence);
    ck_assert_double_eq(closure.loss, 42);
    ck_assert(worlds_equal(w, &before));
    for (size_t i = 0; i < optimizer->n_items; i++) {
        ck_assert_uint_eq(tread_item_progress(optimizer, i)->step, 0);
        if (optimizer->type->solve == NULL) /* a solver may have been elsewhere, and has put everything back */
            ck_assert_uint_eq(w->items[i]->tensor.version, 0);
    }
    ck_assert(tread_tensor_grad_is_sparse(&w->items[1]->tensor));
    world_free(&before);
}

START_TEST(l2_decay_is_refused_before_anything_has_changed) {
    for (int s = 0; specs[s] != NULL; s++) {
        if (strncmp(specs[s], "adamw", 5) == 0) /* its decay is not L2 */
            continue;
        world w = world_make();
        tread_optimizer *optimizer = make(NULL, &w, specs[s]);
        const char *name = tread_optimizer_name(optimizer);
        char sentence[128];
        ck_assert_ok(tread_optimizer_set(optimizer, 1, "weight_decay", 0.1));
        snprintf(sentence, sizeof sentence,
                 "%s: weight_decay = 0.1 is added to the gradient, and that of parameter 'p4'", name);
        check_refused(optimizer, &w, sentence);
        ck_assert_ok(tread_optimizer_set(optimizer, 0, "weight_decay", 0.25));
        snprintf(sentence, sizeof sentence, "weight_decay = 0.25 is added to the gradient, and that of parameter 'p1'");
        check_refused(optimizer, &w, sentence);
        /* With dense gradients it is no matter; and where it is 0 sparse ones are taken. */
        ck_assert_ok(tread_optimizer_set(optimizer, 0, "weight_decay", 0));
        world_set(&w, 0);
        ck_assert_ok(tread_tensor_densify_grad(&w.items[4]->tensor));
        ck_assert_ok(tread_optimizer_step(optimizer, NULL));
        ck_assert_uint_eq(tread_item_progress(optimizer, 4)->step, 1);
        tread_optimizer_destroy(optimizer);
        world_free(&w);
    }
}
END_TEST

START_TEST(other_optimizers_refuse_sparse_gradients) {
    int refusing = 0;
    for (size_t t = 0; t < tread_optimizer_type_count(); t++) {
        const char *name = tread_optimizer_type_name(t);
        world w = world_make();
        tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, (tread_parameter_list){w.items, 4}, name);
        ck_assert_msg(optimizer != NULL, "%s", tread_last_error());
        if (!tread_optimizer_support_sparse(optimizer)) {
            char sentence[128];
            snprintf(sentence, sizeof sentence, "%s: the gradient of parameter 'p1' is sparse", name);
            check_refused(optimizer, &w, sentence);
            ck_assert_ptr_nonnull(strstr(tread_last_error(), "sgd, "));
            ck_assert_ptr_nonnull(strstr(tread_last_error(), "sparse = false"));
            ck_assert_ptr_nonnull(strstr(tread_last_error(), "tread_tensor_densify_grad()"));
            refusing++;
        }
        tread_optimizer_destroy(optimizer);
        world_free(&w);
    }
    ck_assert_int_gt(refusing, 0);
}
END_TEST

START_TEST(who_takes_them_is_in_the_view) {
    static const char *const taking[] = {"sgd", "adam", "adamw", "adagrad"};
    for (int i = 0; i < 4; i++) {
        world w = world_make();
        FILE *file = tmpfile();
        tread_optimizer *optimizer = make(NULL, &w, taking[i]);
        ck_assert(tread_optimizer_support_sparse(optimizer));
        ck_assert_ok(tread_optimizer_print(optimizer, file));
        ck_assert_ptr_nonnull(strstr(text_of(file), "sparse gradients taken\n"));
        fclose(file);
        tread_optimizer_destroy(optimizer);
        world_free(&w);
    }
}
END_TEST

TEST_MAIN("sparse_front", threads_and_instruction_sets_change_no_bit, mixed_groups_equal_parameters_alone,
          a_saved_run_goes_on_bit_for_bit, a_step_allocates_nothing, failing_allocations_leave_nothing_behind,
          l2_decay_is_refused_before_anything_has_changed, other_optimizers_refuse_sparse_gradients,
          who_takes_them_is_in_the_view)
