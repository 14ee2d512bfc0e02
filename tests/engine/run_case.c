#include "tests/engine/run_case.h"

#include <math.h>
#include <string.h>
#include <tread/groups.h>

#include "core/tensor.h"
#include "tests/test.h"

size_t run_case_count(void) { return 2 * tread_optimizer_type_count(); }

run_case run_case_at(size_t i) {
    static const char *const schedulers[] = {
        "cosine_decay_lr:decay_steps=15",
        NULL,
        "reduce_lr_on_plateau:patience=0,threshold=0.3,factor=0.5",
        "step_lr:step_size=2,gamma=0.5",
        "sequential_lr:schedulers=[linear_lr:start_factor=0.5,total_iters=4]/[exponential_lr:gamma=0.9],milestones=4",
        "one_cycle_lr:max_lr=0.05,total_steps=40",
        "cosine_annealing_warm_restarts:T_0=3",
    };
    const size_t n = sizeof schedulers / sizeof *schedulers;
    run_case c = {.optimizer = tread_optimizer_type_name(i % tread_optimizer_type_count()),
                  .scheduler = schedulers[i % n],
                  .dropout = i % 3 == 0 ? 0 : 0.25,
                  .clip_norm = i % 4 == 1 ? 0.5 : INFINITY,
                  .accumulate = 1 + (int64_t)(i % 3),
                  .evaluate_every_steps = i % 2 == 0 ? 0 : 2,
                  .restore_best = i % 5 == 0,
                  .prefetch = i % 4 == 2};
    const bool averages = strncmp(c.optimizer, "schedule_free", 13) == 0, solves = strcmp(c.optimizer, "lbfgs") == 0;
    const bool on_metric = c.scheduler != NULL && strncmp(c.scheduler, "reduce", 6) == 0;
    const bool changes_momentum = c.scheduler != NULL && strncmp(c.scheduler, "one_cycle", 9) == 0;
    c.ema_decay = i % 3 == 1 && !averages ? 0.9 : 0;
    const bool by_epochs = on_metric ? i % 2 == 0 : c.scheduler != NULL && strncmp(c.scheduler, "step_lr", 7) == 0;
    c.every = by_epochs ? TREAD_EVERY_EPOCH : on_metric ? TREAD_EVERY_EVALUATION : TREAD_EVERY_STEP;
    if (solves)
        c.clip_norm = INFINITY;
    if (changes_momentum && (solves || strncmp(c.optimizer, "ada", 3) == 0))
        c.scheduler = schedulers[0];
    return c;
}

void run_open(run *r, const run_case *c, int threads, void (*change)(void *data, tread_trainer_options *options),
              void *data) {
    tread_context_options co = tread_context_defaults();
    co.threads = threads;
    co.seed = 7;
    memset(r, 0, sizeof *r);
    r->context = tread_context_create(&co);
    ck_assert_msg(r->context != NULL, "%s", tread_last_error());
    world_build(&r->w, r->context, c->dropout);
    tread_optimizer_destroy(r->w.optimizer);
    r->w.optimizer = tread_optimizer_from_groups(r->context, tread_module_parameters(r->w.model), c->optimizer, NULL);
    ck_assert_msg(r->w.optimizer != NULL, "%s: %s", c->optimizer, tread_last_error());
    if (c->scheduler != NULL) {
        r->scheduler = tread_lr_scheduler_from_spec(r->w.optimizer, c->scheduler);
        ck_assert_msg(r->scheduler != NULL, "%s with %s: %s", c->scheduler, c->optimizer, tread_last_error());
    }
    tread_trainer_options o = world_options(&r->w, RUN_EPOCHS);
    if (c->prefetch) {
        tread_batches_options bo = tread_batches_defaults();
        bo.batch_size = tread_batches_batch_size(r->w.train);
        bo.prefetch = true;
        o.train = r->ahead = tread_batches_create(r->context, r->w.train_set, &bo);
        ck_assert_msg(r->ahead != NULL, "%s", tread_last_error());
    }
    o.scheduler = r->scheduler;
    o.schedule_every = c->every;
    o.accumulate = c->accumulate;
    o.ema_decay = c->ema_decay;
    o.clip_norm = c->clip_norm;
    o.evaluate_every_steps = c->evaluate_every_steps;
    o.restore_best = c->restore_best;
    if (change != NULL)
        change(data, &o);
    r->trainer = tread_trainer_create(r->context, &o);
    ck_assert_msg(r->trainer != NULL, "%s", tread_last_error());
}

void run_close(run *r) {
    tread_trainer_destroy(r->trainer);
    tread_lr_scheduler_destroy(r->scheduler);
    tread_batches_destroy(r->ahead);
    world_destroy(&r->w);
    tread_context_destroy(r->context);
}

static uint64_t add(uint64_t hash, const void *data, size_t n) {
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ ((const uint8_t *)data)[i]) * 1099511628211u;
    return hash;
}

static uint64_t add_node(uint64_t hash, const tread_state *node) {
    const tread_state_kind kind = tread_state_kind_of(node);
    const char *name = tread_state_name(node), *text;
    const tread_tensor *tensor;
    int64_t integer;
    double real;
    hash = add(hash, &kind, sizeof kind);
    hash = name != NULL ? add(hash, name, strlen(name) + 1) : hash;
    switch (kind) {
    case TREAD_STATE_REAL: return tread_state_as_real(node, &real) == TREAD_OK ? add(hash, &real, sizeof real) : 0;
    case TREAD_STATE_INTEGER:
        return tread_state_as_integer(node, &integer) == TREAD_OK ? add(hash, &integer, sizeof integer) : 0;
    case TREAD_STATE_STRING:
        return tread_state_as_string(node, &text) == TREAD_OK ? add(hash, text, strlen(text) + 1) : 0;
    case TREAD_STATE_TENSOR:
        ck_assert_ok(tread_state_as_tensor(node, &tensor));
        hash = add(hash, tensor->shape, (size_t)tensor->rank * sizeof *tensor->shape);
        return add(hash, tensor->data, tread_tensor_bytes(tensor));
    case TREAD_STATE_TREE:
    case TREAD_STATE_LIST: break;
    }
    for (size_t i = 0; i < tread_state_count(node); i++)
        hash = add_node(hash, tread_state_at(node, i));
    return hash;
}

uint64_t run_state_hash(const tread_state *state) {
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < tread_state_count(state); i++) {
        const tread_state *part = tread_state_at(state, i);
        if (strcmp(tread_state_name(part), "time") != 0)
            hash = add_node(hash, part);
    }
    return hash;
}

uint64_t run_hash(const run *r) {
    tread_state *state = tread_trainer_state(r->trainer);
    ck_assert_msg(state != NULL, "%s", tread_last_error());
    uint64_t hash = run_state_hash(state);
    tread_state_destroy(state);
    return hash;
}
