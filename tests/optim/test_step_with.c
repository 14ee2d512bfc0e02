/* What a step folds into its pass is, to the bit, what the calls for each of it do; and a step that is refused writes
 * nothing. */
#include "core/bf16.h"
#include "core/status.h"
#include "tests/optim/helpers.h"

static const int64_t sizes[] = {1, 100, 40000, 17, 4096, 33};
#define N_SIZES 6
#define N_FLOATS (1 + 100 + 40000 + 17 + 4096 + 33)
#define DECAY 0.75

/* Parameters in three groups, with averages and, for some, copies in bfloat16. */
typedef struct world {
    params p;
    tread_context *context;
    tread_optimizer *optimizer;
    float *memory, *averages[N_SIZES];
} world;

/* A group of its own with other slots, where the algorithm has some that may be missing. */
static const char *other_fields(const char *spec) {
    return strncmp(spec, "adam:", 5) == 0 || strncmp(spec, "adamw:", 6) == 0 ? "amsgrad=true"
           : strncmp(spec, "sgd", 3) == 0                                    ? "momentum=0.5,dampening=0"
           : strncmp(spec, "rmsprop", 7) == 0                                ? "centered=true"
                                                                             : "lr=0.2";
}

static world world_make(const char *spec, int threads) {
    world w = {.p = params_make_for(spec, N_SIZES, sizes), .context = context_with_threads(threads)};
    w.optimizer = tread_optimizer_from_spec(w.context, params_part(&w.p, 0, 3), spec);
    ck_assert_msg(w.optimizer != NULL, "%s", tread_last_error());
    ck_assert_ok(tread_optimizer_add_param_group_spec(w.optimizer, params_part(&w.p, 3, 1), "lr=0.05"));
    ck_assert_ok(tread_optimizer_add_param_group_spec(w.optimizer, params_part(&w.p, 4, 2), other_fields(spec)));
    w.memory = malloc(N_FLOATS * sizeof(float));
    float *at = w.memory;
    for (size_t i = 0; i < N_SIZES; at += sizes[i++]) {
        w.averages[i] = i == 3 ? NULL : at;
        memcpy(at, param_data(&w.p, i), (size_t)sizes[i] * sizeof(float));
    }
    for (size_t i = 1; i < N_SIZES; i += 2)
        ck_assert_ok(tread_bf16_ensure(&w.p.items[i]->tensor));
    return w;
}

static void world_destroy(world *w) {
    tread_optimizer_destroy(w->optimizer);
    params_destroy(&w->p);
    tread_context_destroy(w->context);
    free(w->memory);
}

static void set_grads(world *w, int64_t t, float scale) {
    params_set_grads(&w->p, t, t % 3 == 1 ? 1u << 1 | 1u << 4 : 0);
    for (size_t i = 0; i < N_SIZES; i++)
        for (int64_t e = 0; e < sizes[i]; e++)
            ((float *)w->p.items[i]->tensor.grad->data)[e] *= scale;
}

static tread_step_options all_of_it(world *w) {
    tread_step_options o = tread_step_defaults();
    o.grad_scale = 1024;
    o.nonfinite = TREAD_NONFINITE_ERROR;
    o.max_norm = 0.75;
    o.zero_grad = TREAD_ZERO_GRAD_TO_NONE;
    o.ema_decay = DECAY;
    o.averages = w->averages;
    o.n_averages = N_SIZES;
    return o;
}

/* The same by one call for each. */
static void step_apart(world *w, double *ret_norm) {
    for (size_t i = 0; i < N_SIZES; i++)
        for (int64_t e = 0; e < sizes[i]; e++)
            ((float *)w->p.items[i]->tensor.grad->data)[e] /= 1024;
    ck_assert_ok(tread_optimizer_clip_grad_norm(w->optimizer, 0.75, 2, NULL, ret_norm));
    ck_assert_ok(tread_optimizer_step(w->optimizer, NULL));
    const float keep = (float)DECAY, take = (float)(1 - DECAY);
    for (size_t i = 0; i < N_SIZES; i++)
        for (int64_t e = 0; e < sizes[i] && w->averages[i] != NULL; e++) {
            const float kept = keep * w->averages[i][e], taken = take * param_data(&w->p, i)[e];
            w->averages[i][e] = kept + taken;
        }
    tread_optimizer_zero_grad(w->optimizer, true);
}

static bool averages_equal(const world *a, const world *b) {
    for (size_t i = 0; i < N_SIZES; i++)
        if (a->averages[i] != NULL && memcmp(a->averages[i], b->averages[i], (size_t)sizes[i] * sizeof(float)) != 0)
            return false;
    return true;
}

/* Every copy is there, marked as fresh where its parameter was ever updated, and holds the rounded values. */
static bool copies_fit(const world *w) {
    bool fit = true;
    for (size_t i = 1; i < N_SIZES; i += 2) {
        const tread_tensor *x = &w->p.items[i]->tensor;
        fit &= tread_item_progress(w->optimizer, i)->step == 0 || x->bf16_version == x->version;
        for (int64_t e = 0; e < x->count && x->bf16_version == x->version; e++)
            fit &= x->bf16[e] == tread_bf16_from_f32(param_data(&w->p, i)[e]);
    }
    return fit;
}

START_TEST(folded_is_apart_to_the_bit) {
    static const struct {
        int threads;
        tread_isa isa;
    } ways[] = {{1, TREAD_ISA_BASELINE}, {2, TREAD_ISA_AVX2}, {3, TREAD_ISA_AVX512}, {8, TREAD_ISA_AVX512}};
    for (int s = 0; battery_specs[s] != NULL; s++) {
        world apart = world_make(battery_specs[s], 1), folded[4];
        double norm;
        for (size_t k = 0; k < 4; k++)
            folded[k] = world_make(battery_specs[s], ways[k].threads);
        for (int64_t t = 0; t < 5; t++) {
            set_grads(&apart, t, 1024);
            step_apart(&apart, &norm);
            for (size_t k = 0; k < 4; k++) {
                tread_step_result result;
                const tread_step_options o = all_of_it(&folded[k]);
                const tread_isa before = tread_isa_use(ways[k].isa);
                set_grads(&folded[k], t, 1024);
                ck_assert_ok(tread_optimizer_step_with(folded[k].optimizer, NULL, &o, &result));
                tread_isa_use(before);
                ck_assert_double_eq_tol(result.norm / norm, 1, 1e-12);
                ck_assert(!result.skipped);
                ck_assert_msg(params_equal(&apart.p, &folded[k].p), "%s: way %d, step %d", battery_specs[s], (int)k,
                              (int)t);
                ck_assert_msg(averages_equal(&apart, &folded[k]), "%s: averages, way %d, step %d", battery_specs[s],
                              (int)k, (int)t);
                ck_assert_msg(copies_fit(&folded[k]), "%s: bfloat16, way %d, step %d", battery_specs[s], (int)k,
                              (int)t);
                for (size_t i = 0; i < N_SIZES; i++)
                    ck_assert_int_eq(folded[k].p.items[i]->tensor.grad_state, TREAD_GRAD_NONE);
            }
        }
        for (size_t k = 0; k < 4; k++)
            world_destroy(&folded[k]);
        world_destroy(&apart);
    }
}
END_TEST

/* Everything that a step could write. */
typedef struct picture {
    params p;
    float averages[N_FLOATS], grads[N_FLOATS];
    uint32_t versions[N_SIZES], copies[N_SIZES];
    tread_grad_state states[N_SIZES];
    uint64_t steps[N_SIZES];
} picture;

static void picture_take(const world *w, const char *spec, picture *to) {
    *to = (picture){.p = params_make_for(spec, N_SIZES, sizes)};
    memcpy(to->averages, w->memory, sizeof to->averages);
    float *grads = to->grads;
    for (size_t i = 0; i < N_SIZES; grads += sizes[i++]) {
        const tread_tensor *x = &w->p.items[i]->tensor;
        memcpy(param_data(&to->p, i), x->data, tread_tensor_bytes(x));
        memcpy(grads, x->grad->data, tread_tensor_bytes(x));
        to->versions[i] = x->version;
        to->copies[i] = x->bf16_version;
        to->states[i] = x->grad_state;
        to->steps[i] = tread_item_progress(w->optimizer, i)->step;
    }
}

static bool picture_fits(const picture *a, const picture *b) {
    return params_equal(&a->p, &b->p) && memcmp(a->averages, b->averages, sizeof a->averages) == 0 &&
           memcmp(a->grads, b->grads, sizeof a->grads) == 0 &&
           memcmp(a->versions, b->versions, sizeof a->versions) == 0 &&
           memcmp(a->copies, b->copies, sizeof a->copies) == 0 && memcmp(a->states, b->states, sizeof a->states) == 0 &&
           memcmp(a->steps, b->steps, sizeof a->steps) == 0;
}

static picture before, after;

START_TEST(a_refused_step_writes_nothing) {
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int s = 0; battery_specs[s] != NULL; s++) {
        world good = world_make(battery_specs[s], 2), w = world_make(battery_specs[s], 2);
        const tread_step_options o = all_of_it(&w), g = all_of_it(&good);
        for (int64_t t = 0; t < 4; t++) {
            set_grads(&w, t, 1024);
            const size_t i = (size_t)(t + 2) % N_SIZES;
            const tread_grad_state state = w.p.items[i]->tensor.grad_state;
            float *value = (float *)w.p.items[i]->tensor.grad->data + sizes[i] - 1, kept = *value;
            w.p.items[i]->tensor.grad_state = TREAD_GRAD_DENSE;
            *value = bad[t % 3];
            picture_take(&w, battery_specs[s], &before);
            tread_step_result result = {.norm = 7};
            ck_assert_fails(tread_optimizer_step_with(w.optimizer, NULL, &o, &result), TREAD_ERROR_NUMERIC,
                            tread_parameter_name(w.p.items[i]));
            ck_assert_double_eq(result.norm, 7);
            picture_take(&w, battery_specs[s], &after);
            ck_assert_msg(memcmp(before.grads, after.grads, sizeof before.grads) == 0, "%s", battery_specs[s]);
            ck_assert_msg(picture_fits(&before, &after), "%s, step %d", battery_specs[s], (int)t);
            params_destroy(&before.p);
            params_destroy(&after.p);
            *value = kept;
            w.p.items[i]->tensor.grad_state = state;
            ck_assert_ok(tread_optimizer_step_with(w.optimizer, NULL, &o, NULL));
            set_grads(&good, t, 1024);
            ck_assert_ok(tread_optimizer_step_with(good.optimizer, NULL, &g, NULL));
            ck_assert_msg(params_equal(&w.p, &good.p) && averages_equal(&w, &good), "%s", battery_specs[s]);
        }
        world_destroy(&good);
        world_destroy(&w);
    }
}
END_TEST

START_TEST(a_skipped_step_leaves_all_but_the_gradients) {
    world w = world_make("adam:lr=0.01", 2);
    tread_step_options o = all_of_it(&w);
    tread_step_result result;
    o.nonfinite = TREAD_NONFINITE_SKIP;
    o.zero_grad = TREAD_ZERO_GRAD_TO_ZEROS;
    set_grads(&w, 0, 1024);
    ck_assert_ok(tread_optimizer_step_with(w.optimizer, NULL, &o, &result));
    set_grads(&w, 2, 1024);
    ((float *)w.p.items[4]->tensor.grad->data)[9] = INFINITY;
    picture_take(&w, "adam", &before);
    ck_assert_ok(tread_optimizer_step_with(w.optimizer, NULL, &o, &result));
    ck_assert(result.skipped && tread_optimizer_step_skipped(w.optimizer) && isinf(result.norm));
    picture_take(&w, "adam", &after);
    for (size_t i = 0; i < N_SIZES; i++) {
        ck_assert_int_eq(after.states[i], TREAD_GRAD_ZERO);
        after.states[i] = before.states[i];
    }
    ck_assert(picture_fits(&before, &after));
    params_destroy(&before.p);
    params_destroy(&after.p);
    set_grads(&w, 2, 1024);
    ck_assert_ok(tread_optimizer_step_with(w.optimizer, NULL, &o, &result));
    ck_assert(!result.skipped && isfinite(result.norm));
    o.nonfinite = TREAD_NONFINITE_PROPAGATE; /* nobody looks */
    o.max_norm = INFINITY;
    set_grads(&w, 3, 1024);
    ((float *)w.p.items[4]->tensor.grad->data)[9] = NAN;
    ck_assert_ok(tread_optimizer_step_with(w.optimizer, NULL, &o, &result));
    ck_assert(isnan(result.norm) && isnan(param_data(&w.p, 4)[9]) && !isnan(param_data(&w.p, 4)[8]));
    world_destroy(&w);
}
END_TEST

START_TEST(groups_are_clipped_by_their_own_norms_too) {
    for (int both = 0; both < 2; both++) {
        world a = world_make("sgd:lr=0.1,clip_grad_max_norm=0.5", 1),
              b = world_make("sgd:lr=0.1,clip_grad_max_norm=0.5", 2);
        tread_step_options o = tread_step_defaults();
        o.clip_groups = true;
        o.max_norm = both == 1 ? 2 : INFINITY;
        for (int64_t t = 0; t < 3; t++) {
            tread_clip_options fused = tread_clip_defaults();
            fused.fused = true;
            set_grads(&a, t, 1);
            set_grads(&b, t, 1);
            if (both == 1)
                ck_assert_ok(tread_optimizer_clip_grad_norm(a.optimizer, 2, 2, &fused, NULL));
            ck_assert_ok(tread_optimizer_clip_grad(a.optimizer, &fused, NULL));
            ck_assert_ok(tread_optimizer_step(a.optimizer, NULL));
            ck_assert_ok(tread_optimizer_step_with(b.optimizer, NULL, &o, NULL));
            ck_assert(params_equal(&a.p, &b.p));
            ck_assert_int_eq(b.p.items[0]->tensor.grad_state, TREAD_GRAD_DENSE);
        }
        world_destroy(&a);
        world_destroy(&b);
    }
}
END_TEST

/* All groups as one pass, by the smallest entry, and give a coefficient; then a group's own norm is infinite. */
START_TEST(a_step_that_is_not_done_leaves_no_coefficient) {
    static const tread_nonfinite_policy policies[] = {TREAD_NONFINITE_ERROR, TREAD_NONFINITE_SKIP};
    for (int i = 0; i < 2; i++) {
        world a = world_make("sgd:lr=0.1,clip_grad_max_norm=0.5", 1),
              b = world_make("sgd:lr=0.1,clip_grad_max_norm=0.5", 1);
        tread_step_options o = tread_step_defaults();
        o.clip_groups = true;
        o.max_norm = 0;
        o.norm_type = -INFINITY;
        o.grad_scale = 2;
        o.nonfinite = policies[i];
        set_grads(&a, 0, 1);
        for (size_t p = 0; p < N_SIZES; p++) /* so that the smallest is not 0 */
            for (int64_t e = 0; e < sizes[p]; e++)
                ((float *)a.p.items[p]->tensor.grad->data)[e] = 1;
        ((float *)a.p.items[1]->tensor.grad->data)[5] = INFINITY;
        tread_step_result result = {0};
        if (policies[i] == TREAD_NONFINITE_ERROR) {
            ck_assert_fails(tread_optimizer_step_with(a.optimizer, NULL, &o, &result), TREAD_ERROR_NUMERIC, "'p1'");
        } else {
            ck_assert_ok(tread_optimizer_step_with(a.optimizer, NULL, &o, &result));
            ck_assert(result.skipped && result.norm == 0.5);
        }
        set_grads(&a, 0, 1);
        set_grads(&b, 0, 1);
        ck_assert_ok(tread_optimizer_step(a.optimizer, NULL));
        ck_assert_ok(tread_optimizer_step(b.optimizer, NULL));
        ck_assert(params_equal(&a.p, &b.p));
        world_destroy(&a);
        world_destroy(&b);
    }
}
END_TEST

START_TEST(no_step_allocates) {
    for (int s = 0; battery_specs[s] != NULL; s++) {
        world w = world_make(battery_specs[s], 2);
        const tread_step_options o = all_of_it(&w);
        const uint64_t calls = tread_memory_calls();
        for (int64_t t = 0; t < 4; t++) {
            set_grads(&w, t, 1024);
            ck_assert_ok(tread_optimizer_step_with(w.optimizer, NULL, &o, NULL));
        }
        ck_assert_uint_eq(tread_memory_calls(), calls);
        world_destroy(&w);
    }
}
END_TEST

START_TEST(bad_options_are_refused) {
    world w = world_make("adam", 1);
    float *averages[N_SIZES] = {NULL};
    static const struct {
        const char *sentence;
        tread_step_options o;
    } bad[] = {
        {"grad_scale = 0 is outside (0, inf)", {.grad_scale = 0, .max_norm = 1, .norm_type = 2}},
        {"grad_scale = inf is outside", {.grad_scale = INFINITY, .max_norm = 1, .norm_type = 2}},
        {"max_norm = -1 is outside", {.grad_scale = 1, .max_norm = -1, .norm_type = 2}},
        {"norm_type = 0 is outside", {.grad_scale = 1, .max_norm = 1, .norm_type = 0}},
        {"nonfinite = 7", {.grad_scale = 1, .max_norm = 1, .norm_type = 2, .nonfinite = (tread_nonfinite_policy)7}},
        {"zero_grad = 5", {.grad_scale = 1, .max_norm = 1, .norm_type = 2, .zero_grad = (tread_zero_grad)5}},
        {"ema_decay = 1 is outside [0, 1)", {.grad_scale = 1, .max_norm = 1, .norm_type = 2, .ema_decay = 1}},
        {"ema_decay = 0.5 needs averages, an array for each of 6 parameters",
         {.grad_scale = 1, .max_norm = 1, .norm_type = 2, .ema_decay = 0.5}},
        {"5 averages for 6 parameters", {.grad_scale = 1, .max_norm = 1, .norm_type = 2, .n_averages = 5}},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        tread_step_options o = bad[i].o;
        o.size = sizeof o;
        o.averages = o.n_averages > 0 ? averages : NULL;
        set_grads(&w, 0, 1);
        picture_take(&w, "adam", &before);
        ck_assert_fails(tread_optimizer_step_with(w.optimizer, NULL, &o, NULL), TREAD_ERROR_ARGUMENT, bad[i].sentence);
        picture_take(&w, "adam", &after);
        ck_assert(picture_fits(&before, &after));
        params_destroy(&before.p);
        params_destroy(&after.p);
    }
    ck_assert_fails(tread_optimizer_step_with(NULL, NULL, NULL, NULL), TREAD_ERROR_ARGUMENT, "NULL");
    world_destroy(&w);
}
END_TEST

START_TEST(averages_are_exchanged_and_back) {
    world w = world_make("adam", 1);
    for (size_t i = 0; i < N_FLOATS; i++)
        w.memory[i] = (float)i + 0.5f;
    set_grads(&w, 0, 1);
    picture_take(&w, "adam", &before);
    const uint32_t version = w.p.items[1]->tensor.version;
    ck_assert_ok(tread_optimizer_exchange_averages(w.optimizer, w.averages, N_SIZES));
    size_t at = 0;
    for (size_t i = 0; i < N_SIZES; i++)
        for (int64_t e = 0; e < sizes[i]; e++, at++) {
            const bool stays = w.averages[i] == NULL;
            ck_assert_float_eq(param_data(&w.p, i)[e], stays ? param_data(&before.p, i)[e] : (float)at + 0.5f);
            ck_assert_float_eq(w.memory[at], stays ? (float)at + 0.5f : param_data(&before.p, i)[e]);
        }
    /* What was rounded to bfloat16 is stale, and backward refuses what was computed with the old weights. */
    ck_assert_uint_ne(w.p.items[1]->tensor.version, version);
    ck_assert(!w.p.items[1]->tensor.given);
    ck_assert_ok(tread_optimizer_exchange_averages(w.optimizer, w.averages, N_SIZES));
    ck_assert_fails(tread_optimizer_exchange_averages(w.optimizer, w.averages, N_SIZES - 1), TREAD_ERROR_ARGUMENT,
                    "adam: exchange averages: 5 averages for 6 parameters");
    ck_assert_fails(tread_optimizer_exchange_averages(w.optimizer, NULL, N_SIZES), TREAD_ERROR_ARGUMENT, "0 averages");
    ck_assert_fails(tread_optimizer_exchange_averages(NULL, w.averages, N_SIZES), TREAD_ERROR_ARGUMENT, "NULL");
    w.optimizer->solving = true;
    ck_assert_fails(tread_optimizer_exchange_averages(w.optimizer, w.averages, N_SIZES), TREAD_ERROR_STATE,
                    "within a step");
    w.optimizer->solving = false;
    picture_take(&w, "adam", &after);
    ck_assert(params_equal(&before.p, &after.p));
    ck_assert_mem_eq(before.averages, after.averages, sizeof before.averages);
    params_destroy(&before.p);
    params_destroy(&after.p);
    world_destroy(&w);
}
END_TEST

TEST_MAIN("step_with", folded_is_apart_to_the_bit, a_refused_step_writes_nothing,
          a_skipped_step_leaves_all_but_the_gradients, groups_are_clipped_by_their_own_norms_too,
          a_step_that_is_not_done_leaves_no_coefficient, no_step_allocates, bad_options_are_refused,
          averages_are_exchanged_and_back)
