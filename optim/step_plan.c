#include "optim/step_plan.h"

#include <stdatomic.h>
#include <string.h>

#include "core/memory.h"
#include "core/parallel.h"
#include "core/status.h"
#include "optim/optimizer.h"
#include "optim/step_run.h"
#include "optim/vector.h"

/* ---- Memory ---- */

tread_status tread_step_plan_create(size_t n_items, tread_step_plan *ret_plan) {
    tread_step_plan plan = {0};
    const size_t size = sizeof *plan.checks + sizeof *plan.kinds + sizeof *plan.pieces + sizeof *plan.extras;
    char *at = plan.memory = tread_calloc(n_items, size, "an optimizer's plan of a step");
    if (at == NULL)
        return TREAD_ERROR_MEMORY;
    plan.pieces = (void *)at;
    plan.extras = (void *)(at += n_items * sizeof *plan.pieces);
    plan.kinds = (void *)(at += n_items * sizeof *plan.extras);
    plan.checks = (void *)(at + n_items * sizeof *plan.kinds);
    *ret_plan = plan;
    return TREAD_OK;
}

void tread_step_plan_free(tread_step_plan *plan) {
    tread_free(plan->memory);
    *plan = (tread_step_plan){0};
}

/* ---- Progress ---- */

const tread_progress *tread_item_progress(const tread_optimizer *optimizer, size_t i) {
    const tread_optimizer_item *item = &optimizer->items[i];
    return optimizer->plan.holds && item->active ? &optimizer->plan.kinds[item->kind].progress : &item->progress;
}

static void settle(tread_optimizer *optimizer) {
    for (size_t i = 0; i < optimizer->n_items && optimizer->plan.holds; i++)
        optimizer->items[i].progress = *tread_item_progress(optimizer, i);
    optimizer->plan.holds = false;
}

void tread_step_plan_release(tread_optimizer *optimizer) {
    settle(optimizer);
    optimizer->plan.is_kept = false;
}

/* Moves a kind on by one update. */
static void advance(const tread_optimizer *optimizer, tread_plan_kind *kind) {
    kind->before = kind->progress;
    kind->progress.step++;
    optimizer->type->prepare(optimizer->groups[kind->group].options, &kind->progress, kind->factors);
    kind->progress.fresh = 0;
}

/* ---- Making one ---- */

#define RECENT 4 /* kinds of a group that are looked through for one that an item can share */

static bool stand_alike(const tread_optimizer_type *type, const tread_progress *a, const tread_progress *b) {
    bool alike = a->step == b->step && a->fresh == b->fresh;
    for (int s = 0; s < type->n_scalars; s++)
        alike &= a->scalars[s] == b->scalars[s];
    return alike;
}

/* The kind of an item that is updated; a new one where none of the group's last ones is. */
static uint32_t kind_of(tread_optimizer *optimizer, size_t group, const tread_optimizer_item *item) {
    tread_step_plan *plan = &optimizer->plan;
    const size_t least = plan->n_kinds < RECENT ? 0 : plan->n_kinds - RECENT;
    const bool own = optimizer->type->reduce != NULL; /* reduced() changes its factors */
    for (size_t k = plan->n_kinds; k-- > least && !own && plan->kinds[k].group == group;)
        if (stand_alike(optimizer->type, &plan->kinds[k].before, &item->progress))
            return (uint32_t)k;
    tread_plan_kind *kind = &plan->kinds[plan->n_kinds];
    *kind = (tread_plan_kind){
        .group = group, .progress = item->progress, .factors = optimizer->factors + TREAD_MAX_FACTORS * plan->n_kinds};
    advance(optimizer, kind);
    return (uint32_t)plan->n_kinds++;
}

/* Bytes an element. */
static uint32_t moves(const tread_optimizer_type *type, const tread_param_group *group, const tread_plan_piece *piece,
                      const tread_plan_extra *extra) {
    uint32_t floats = extra->average != NULL ? piece->g == NULL ? 3 : 2 : 0;
    for (int s = 0; s < type->n_slots && piece->g != NULL; s++)
        floats += group->memory.slots[s] != NULL ? 2 : 0;
    if (piece->g != NULL)
        floats += piece->g == tread_step_zeros ? 2 : 3;
    return floats * (uint32_t)sizeof(float) + (extra->bf16 != NULL ? (uint32_t)sizeof(uint16_t) : 0);
}

/* A model's parameters lie one after the other, and so do their gradients and slots: what shares its factors is then
 * one array. */
static bool joins(const tread_step_plan *plan, const tread_plan_piece *piece, const tread_plan_extra *extra) {
    if (plan->n_pieces == 0)
        return false;
    const tread_plan_piece *last = &plan->pieces[plan->n_pieces - 1];
    const tread_plan_extra *before = &plan->extras[plan->n_pieces - 1];
    const int64_t n = last->n;
    return n % TREAD_LINE_FLOATS == 0 && last->x + n == piece->x && last->g != NULL && last->g + n == piece->g &&
           last->g != tread_step_zeros && last->kind == piece->kind && last->offset + n == piece->offset &&
           last->moves == piece->moves && before->rows == NULL && extra->rows == NULL && before->bf16 == NULL &&
           (before->average == NULL || before->average + n == extra->average);
}

static void add_piece(tread_optimizer *optimizer, const tread_param_group *group, tread_plan_piece piece,
                      tread_plan_extra extra) {
    tread_step_plan *plan = &optimizer->plan;
    piece.moves = moves(optimizer->type, group, &piece, &extra);
    piece.position = plan->n_bytes;
    plan->n_bytes += piece.n * piece.moves;
    plan->has_extras |= extra.rows != NULL || extra.average != NULL || extra.bf16 != NULL;
    if (joins(plan, &piece, &extra)) {
        plan->pieces[plan->n_pieces - 1].n += piece.n;
        return;
    }
    plan->pieces[plan->n_pieces] = piece;
    plan->extras[plan->n_pieces++] = extra;
}

static const float *gradient_of(const tread_tensor *x) {
    return x->grad_state == TREAD_GRAD_ZERO     ? tread_step_zeros
           : x->grad_state == TREAD_GRAD_SPARSE ? x->sparse->rows
                                                : (const float *)x->grad->data;
}

/* What is averaged, and copied to bfloat16, after the pass instead of in it: what is updated whole, or by rows. */
static bool is_late(const tread_optimizer_item *item, const tread_plan_extra *extra) {
    return item->whole || extra->rows != NULL;
}

static void plan_item(tread_optimizer *optimizer, size_t g, size_t i, float *average) {
    tread_step_plan *plan = &optimizer->plan;
    const tread_param_group *group = &optimizer->groups[g];
    tread_optimizer_item *item = &optimizer->items[i];
    tread_tensor *x = &item->parameter->tensor;
    tread_plan_piece piece = {.x = x->data, .n = item->n, .offset = item->offset};
    tread_plan_extra extra = {.average = average};
    item->active = x->grad_state != TREAD_GRAD_NONE;
    if (item->active && item->whole) {
        piece.n = 0;                          /* of the pass over all */
        piece.g = tread_tensor_grad(x)->data; /* zeros are written out: one block of them is not enough here */
    } else if (item->active) {
        if (x->grad_state == TREAD_GRAD_SPARSE) {
            extra.rows = tread_sparse_grad_rows(optimizer->context, x);
            piece.n = extra.rows->n_rows * extra.rows->row_size;
        }
        piece.g = gradient_of(x);
    }
    plan->checks[i] = (tread_plan_check){x, x->bf16, average, x->version, x->grad_state};
    if (item->active) {
        piece.kind = item->kind = kind_of(optimizer, g, item);
        extra.bf16 = x->bf16;
    }
    if (is_late(item, &extra)) {
        plan->is_kept = false;
        extra.average = NULL;
        extra.bf16 = NULL;
    }
    if (item->active || extra.average != NULL)
        add_piece(optimizer, group, piece, extra);
    item->piece = plan->n_pieces - 1;
}

static void begin(tread_optimizer *optimizer) {
    settle(optimizer);
    tread_step_plan *plan = &optimizer->plan;
    plan->n_kinds = plan->n_pieces = 0;
    plan->n_bytes = 0;
    plan->has_extras = false;
    plan->is_kept = true;
}

tread_status tread_step_plan_make(tread_optimizer *optimizer, const tread_step_extras *extras) {
    TREAD_TRY(tread_optimizer_check_sparse(optimizer));
    begin(optimizer);
    for (size_t g = 0; g < optimizer->n_groups; g++) {
        const tread_param_group *group = &optimizer->groups[g];
        for (size_t i = group->first; i < group->first + group->count; i++)
            plan_item(optimizer, g, i, extras->averages != NULL ? extras->averages[i] : NULL);
    }
    return TREAD_OK;
}

/* Parameters that were never updated are the same in both modes. */
void tread_step_plan_make_switch(tread_optimizer *optimizer) {
    begin(optimizer);
    for (size_t g = 0; g < optimizer->n_groups; g++) {
        const tread_param_group *group = &optimizer->groups[g];
        for (size_t i = group->first; i < group->first + group->count; i++) {
            const tread_optimizer_item *item = &optimizer->items[i];
            tread_tensor *x = &item->parameter->tensor;
            if (item->progress.step == 0)
                continue;
            add_piece(optimizer, group,
                      (tread_plan_piece){.x = x->data,
                                         .g = tread_step_zeros,
                                         .n = item->n,
                                         .offset = item->offset,
                                         .kind = kind_of(optimizer, g, item)},
                      (tread_plan_extra){0});
            tread_tensor_touch(x);
        }
    }
    optimizer->plan.is_kept = false;
}

/* ---- Keeping it ---- */

#define ITEMS_GRAIN 2048
#define ITEMS_AHEAD 32 /* their lines are fetched meanwhile: of a large model they have left the cache */

typedef struct job {
    tread_optimizer *optimizer;
    const tread_step_extras *extras;
    atomic_bool *differs; /* NULL: mark without looking */
} job;

static void mark(tread_plan_check *check, const tread_step_extras *extras, bool zeroes) {
    tread_tensor *x = check->tensor;
    if (x->grad_state == TREAD_GRAD_NONE)
        return;
    tread_tensor_touch(x);
    check->version = x->version;
    if (x->bf16 != NULL)
        x->bf16_version = x->version;
    if (zeroes)
        x->grad_state = extras->to_none ? TREAD_GRAD_NONE : TREAD_GRAD_ZERO;
}

/* What mark did, as far as it matters; a copy in bfloat16 counts as stale. */
static void take_back(tread_plan_check *check) {
    tread_tensor *x = check->tensor;
    if (check->state == TREAD_GRAD_NONE)
        return;
    check->version = --x->version;
    x->bf16_version = x->version - 1;
    x->grad_state = check->state;
}

static bool is_as_planned(const tread_plan_check *check, const float *average) {
    const tread_tensor *x = check->tensor;
    return x->version == check->version && x->grad_state == check->state && x->bf16 == check->bf16 &&
           average == check->average;
}

/* An item that is not as planned loses its tensor here, so that it is told from those that were marked. */
static void renew_items(void *argument, int64_t begin, int64_t end) {
    const job *j = argument;
    const tread_step_plan *plan = &j->optimizer->plan;
    float *const *averages = j->extras->averages;
    const bool zeroes = j->extras->zero && plan->is_kept;
    bool differs = false;
    for (int64_t i = begin; i < end; i++) {
        if (i + ITEMS_AHEAD < end)
            __builtin_prefetch(plan->checks[i + ITEMS_AHEAD].tensor, 1);
        if (j->differs == NULL || is_as_planned(&plan->checks[i], averages != NULL ? averages[i] : NULL)) {
            mark(&plan->checks[i], j->extras, zeroes);
            continue;
        }
        plan->checks[i].tensor = NULL;
        differs = true;
    }
    if (differs)
        atomic_store_explicit(j->differs, true, memory_order_relaxed);
}

static void for_all_items(job j) {
    tread_parallel_for(j.optimizer->context, (int64_t)j.optimizer->n_items, ITEMS_GRAIN, 4, renew_items, &j);
}

void tread_step_plan_mark(tread_optimizer *optimizer, const tread_step_extras *extras) {
    for_all_items((job){optimizer, extras, NULL});
    optimizer->plan.holds = true;
}

bool tread_step_plan_renew(tread_optimizer *optimizer, const tread_step_extras *extras) {
    tread_step_plan *plan = &optimizer->plan;
    if (!plan->holds || !plan->is_kept)
        return false;
    atomic_bool differs = false;
    for_all_items((job){optimizer, extras, &differs});
    if (differs) {
        for (size_t i = 0; i < optimizer->n_items; i++)
            if (plan->checks[i].tensor != NULL)
                take_back(&plan->checks[i]);
        plan->is_kept = false; /* nor may it be looked at again: what differed has no tensor any more */
        return false;
    }
    for (size_t k = 0; k < plan->n_kinds; k++)
        advance(optimizer, &plan->kinds[k]);
    return true;
}
