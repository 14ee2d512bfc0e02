/* A plan that is kept gives what a new one would, whatever changed between two steps. */
#include <tread/sparse_grad.h>

#include "core/bf16.h"
#include "tests/optim/helpers.h"

#define N 5000

/* Enough parameters for the look at them to be on several threads. Each in memory of its own, of 3, 16 or 40 values. */
typedef struct crowd {
    tread_parameter *items[N];
    tread_optimizer *optimizer;
    tread_context *context;
} crowd;

static int64_t size_of(size_t i) { return i % 3 == 0 ? 3 : i % 3 == 1 ? 16 : 40; }

static void crowd_make(crowd *c, int threads, const char *spec) {
    c->context = context_with_threads(threads);
    for (size_t i = 0; i < N; i++) {
        c->items[i] = tread_parameter_create(NULL, 1, &(int64_t){size_of(i)});
        ck_assert_ptr_nonnull(c->items[i]);
        for (int64_t e = 0; e < size_of(i); e++)
            ((float *)c->items[i]->tensor.data)[e] = param_value(i, e);
    }
    c->optimizer = tread_optimizer_from_spec(c->context, (tread_parameter_list){c->items, N - 100}, spec);
    ck_assert_ok(
        tread_optimizer_add_param_group_spec(c->optimizer, (tread_parameter_list){c->items + N - 100, 100}, "lr=0.1"));
}

static void crowd_destroy(crowd *c) {
    tread_optimizer_destroy(c->optimizer);
    for (size_t i = 0; i < N; i++)
        tread_parameter_destroy(c->items[i]);
    tread_context_destroy(c->context);
}

static void set_grads(crowd *c, int64_t t) {
    for (size_t i = 0; i < N; i++) {
        tread_tensor *x = &c->items[i]->tensor;
        for (int64_t e = 0; e < x->count; e++)
            ((float *)x->grad->data)[e] = param_grad(i, e, t);
        x->grad_state = TREAD_GRAD_DENSE;
    }
}

static bool equal(const crowd *a, const crowd *b) {
    bool same = true;
    for (size_t i = 0; i < N; i++)
        same &=
            memcmp(a->items[i]->tensor.data, b->items[i]->tensor.data, tread_tensor_bytes(&a->items[i]->tensor)) == 0 &&
            a->items[i]->tensor.version == b->items[i]->tensor.version &&
            a->items[i]->tensor.grad_state == b->items[i]->tensor.grad_state;
    return same;
}

/* What callers do between steps. */
static void disturb(crowd *c, int64_t t) {
    tread_tensor *x = &c->items[1234]->tensor, *last = &c->items[N - 1]->tensor;
    switch (t) {
    case 2: x->grad_state = TREAD_GRAD_NONE; break;
    case 3: tread_tensor_zero_grad(last, false); break;
    case 4:
        ((float *)x->data)[0] = 3;
        tread_tensor_touch(x);
        break;
    case 5: ck_assert_ok(tread_optimizer_set(c->optimizer, TREAD_ALL_GROUPS, "lr", 0.01)); break;
    case 6: ck_assert_ok(tread_optimizer_set(c->optimizer, 0, "amsgrad", 1)); break;
    case 7: ck_assert_ok(tread_bf16_ensure(last)); break;
    case 8: {
        tread_state *state = tread_optimizer_state_dict(c->optimizer);
        ck_assert_ok(tread_optimizer_load_state_dict(c->optimizer, state));
        tread_state_destroy(state);
        break;
    }
    case 9: c->items[0]->tensor.grad_state = c->items[N - 2]->tensor.grad_state = TREAD_GRAD_NONE; break;
    default: break;
    }
}

START_TEST(a_kept_plan_is_a_new_one) {
    static crowd kept, anew;
    for (int threads = 1; threads <= 3; threads++) {
        crowd_make(&kept, threads, "adam");
        crowd_make(&anew, 1, "adam");
        tread_step_options o = tread_step_defaults();
        for (int64_t t = 0; t < 12; t++) {
            o.zero_grad = t % 2 == 0 ? TREAD_ZERO_GRAD_TO_NONE : TREAD_ZERO_GRAD_KEEP;
            set_grads(&kept, t);
            set_grads(&anew, t);
            disturb(&kept, t);
            disturb(&anew, t);
            tread_step_plan_release(anew.optimizer);
            ck_assert_ok(tread_optimizer_step_with(kept.optimizer, NULL, &o, NULL));
            ck_assert_ok(tread_optimizer_step_with(anew.optimizer, NULL, &o, NULL));
            ck_assert_msg(equal(&kept, &anew), "%d threads, step %d", threads, (int)t);
            for (size_t i = 0; i < N; i += 617)
                ck_assert_uint_eq(tread_item_progress(kept.optimizer, i)->step,
                                  tread_item_progress(anew.optimizer, i)->step);
            const tread_tensor *last = &kept.items[N - 1]->tensor;
            if (last->bf16 != NULL) {
                ck_assert_uint_eq(last->bf16_version, last->version);
                ck_assert_uint_eq(last->bf16[0], tread_bf16_from_f32(((float *)last->data)[0]));
            }
        }
        ck_assert_uint_lt(kept.optimizer->plan.n_kinds, 10);
        crowd_destroy(&kept);
        crowd_destroy(&anew);
    }
}
END_TEST

/* A model's block: values move, and the plan with them. */
START_TEST(a_move_of_the_arrays_is_seen) {
    static const int64_t sizes[] = {32, 48, 7};
    params a = params_make(3, sizes), b = params_make(3, sizes);
    tread_optimizer *x = tread_optimizer_from_spec(NULL, params_list(&a), "adam");
    tread_optimizer *y = tread_optimizer_from_spec(NULL, params_list(&b), "adam");
    tread_parameter_block block = {0};
    for (int64_t t = 0; t < 6; t++) {
        if (t == 3)
            ck_assert_ok(tread_parameter_block_create(b.items, 3, &block));
        params_set_grads(&a, t, 0);
        params_set_grads(&b, t, 0);
        ck_assert_ok(tread_optimizer_step(x, NULL));
        ck_assert_ok(tread_optimizer_step(y, NULL));
        ck_assert_msg(params_equal(&a, &b), "step %d", (int)t);
        ck_assert_uint_eq(y->plan.n_pieces, t < 3 ? 3 : 1); /* side by side: one array */
    }
    tread_optimizer_destroy(x);
    tread_optimizer_destroy(y);
    tread_parameter_block_destroy(&block);
    params_destroy(&a);
}
END_TEST

/* A gradient that cannot be taken ends a step between the look at the old plan and the making of a new one. */
START_TEST(a_refused_gradient_does_not_spoil_the_plan) {
    static const int64_t shape[] = {8, 4}, n = 24;
    tread_parameter *items[2][2];
    tread_optimizer *optimizers[2];
    for (int which = 0; which < 2; which++) {
        items[which][0] = tread_parameter_create("table", 2, shape);
        items[which][1] = tread_parameter_create("vector", 1, &n);
        optimizers[which] =
            tread_optimizer_from_spec(NULL, (tread_parameter_list){items[which], 2}, "adam:weight_decay=0.1");
        ck_assert_ptr_nonnull(optimizers[which]);
    }
    float rows[4] = {1, 2, 3, 4};
    for (int64_t t = 0; t < 6; t++)
        for (int which = 0; which < 2; which++) {
            tread_tensor *table = &items[which][0]->tensor;
            if (which == 0 && t >= 2 && t <= 4) {
                ck_assert_ok(tread_tensor_set_sparse_grad(table, 1, &(int32_t){3}, rows));
                const uint32_t version = items[0][1]->tensor.version;
                for (int again = 0; again < 2; again++)
                    ck_assert_fails(tread_optimizer_step(optimizers[0], NULL), TREAD_ERROR_STATE, "sparse");
                ck_assert_uint_eq(items[0][1]->tensor.version, version);
            }
            for (int i = 0; i < 2; i++) {
                tread_tensor *x = &items[which][i]->tensor;
                for (int64_t e = 0; e < x->count; e++)
                    ((float *)x->grad->data)[e] = param_grad((size_t)i, e, t);
                x->grad_state = TREAD_GRAD_DENSE;
            }
            ck_assert_ok(tread_optimizer_step(optimizers[which], NULL));
        }
    for (int i = 0; i < 2; i++) {
        const tread_tensor *x = &items[0][i]->tensor, *y = &items[1][i]->tensor;
        ck_assert_mem_eq(x->data, y->data, tread_tensor_bytes(x));
        ck_assert_uint_eq(tread_item_progress(optimizers[0], (size_t)i)->step, 6);
    }
    for (int which = 0; which < 2; which++) {
        tread_optimizer_destroy(optimizers[which]);
        for (int i = 0; i < 2; i++)
            tread_parameter_destroy(items[which][i]);
    }
}
END_TEST

/* Each item knows its piece, also where several are one. */
START_TEST(joined_items_know_their_piece) {
    static const int64_t sizes[] = {32, 48, 7, 16, 0, 0, 64};
    params p = params_make(7, sizes);
    tread_parameter_block block;
    ck_assert_ok(tread_parameter_block_create(p.items, 7, &block));
    tread_optimizer *optimizer = tread_optimizer_from_spec(NULL, params_list(&p), "adam");
    params_set_grads(&p, 0, 0);
    ck_assert_ok(tread_optimizer_step(optimizer, NULL));
    ck_assert_uint_eq(optimizer->plan.n_pieces, 2);
    for (size_t i = 0; i < 7; i++) {
        ck_assert_uint_eq(optimizer->items[i].piece, i < 3 ? 0 : 1);
        const tread_plan_piece *piece = &optimizer->plan.pieces[optimizer->items[i].piece];
        ck_assert(piece->x <= param_data(&p, i) && param_data(&p, i) + sizes[i] <= piece->x + piece->n);
    }
    tread_optimizer_destroy(optimizer);
    tread_parameter_block_destroy(&block);
}
END_TEST

TEST_MAIN("step_plan", a_kept_plan_is_a_new_one, a_move_of_the_arrays_is_seen,
          a_refused_gradient_does_not_spoil_the_plan, joined_items_know_their_piece)
