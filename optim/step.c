#include <string.h>

#include "core/context.h"
#include "core/parallel.h"
#include "core/recorder.h"
#include "core/search.h"
#include "core/status.h"
#include "optim/optimizer.h"
#include "optim/vector.h"

/* An update is cut no finer than a grain, so that small models stay on one thread, and at whole pages of floats. Within
 * a thread it goes on in blocks, for which the zeros that stand in for an unwritten gradient are enough. */
#define GRAIN 16384
#define ALIGN 1024
#define BLOCK 16384

static float zeros[BLOCK] __attribute__((aligned(64))); /* never written */

/* ---- Planning a step: who takes part, and with which factors ---- */

/* Parameters of a group that stand alike share one set of factors; the last few sets are looked through. */
#define RECENT 4
typedef struct recent {
    tread_progress before, after;
    void *factors;
} recent;

typedef struct planner {
    tread_optimizer *optimizer;
    const tread_param_group *group;
    recent made[RECENT];
    int n_made;
    size_t n_factors;
} planner;

static bool stand_alike(const tread_optimizer_type *type, const tread_progress *a, const tread_progress *b) {
    bool alike = a->step == b->step && a->fresh == b->fresh;
    for (int s = 0; s < type->n_scalars; s++)
        alike &= a->scalars[s] == b->scalars[s];
    return alike;
}

/* Sets item->factors and moves its progress on by one update. */
static void prepare(planner *p, tread_optimizer_item *item) {
    const tread_optimizer_type *type = p->optimizer->type;
    bool own = type->reduce != NULL; /* reduced() changes them */
    int n = p->n_made < RECENT ? p->n_made : RECENT;
    for (int i = 0; i < n && !own; i++)
        if (stand_alike(type, &p->made[i].before, &item->progress)) {
            item->factors = p->made[i].factors;
            item->progress = p->made[i].after;
            return;
        }
    recent *made = &p->made[p->n_made++ % RECENT];
    made->before = item->progress;
    made->factors = p->optimizer->factors + TREAD_MAX_FACTORS * p->n_factors++;
    item->progress.step++;
    type->prepare(p->group->options, &item->progress, made->factors);
    item->progress.fresh = 0;
    made->after = item->progress;
    item->factors = made->factors;
}

static const float *gradient_of(const tread_tensor *x) {
    return x->grad_state == TREAD_GRAD_ZERO     ? zeros
           : x->grad_state == TREAD_GRAD_SPARSE ? x->sparse->rows
                                                : (const float *)x->grad->data;
}

/* What an item takes of the element space: of a sparse gradient the rows that it holds, side by side. */
static int64_t entries_of(const tread_optimizer_item *item) {
    return item->rows != NULL ? item->rows->n_rows * item->rows->row_size : item->n;
}

/* Returns the length of the step's element space. */
static int64_t plan_step(tread_optimizer *optimizer) {
    planner p = {.optimizer = optimizer};
    int64_t position = 0;
    for (size_t g = 0; g < optimizer->n_groups; g++) {
        tread_param_group *group = &optimizer->groups[g];
        float scale = *(const bool *)tread_group_option(optimizer, group, "maximize") ? -group->clip : group->clip;
        p.group = group;
        p.n_made = 0;
        for (size_t i = group->first; i < group->first + group->count; i++) {
            tread_optimizer_item *item = &optimizer->items[i];
            tread_tensor *x = &item->parameter->tensor;
            item->position = position;
            item->g = NULL;
            item->rows = NULL;
            if (x->grad_state == TREAD_GRAD_NONE)
                continue;
            item->x = x->data;
            if (x->grad_state == TREAD_GRAD_SPARSE)
                item->rows = tread_sparse_grad_rows(optimizer->context, x);
            item->g = gradient_of(x);
            item->scale = scale;
            item->starting = item->progress.fresh;
            item->before = item->progress;
            prepare(&p, item);
            if (!item->whole)
                position += tread_line_padded(entries_of(item));
        }
    }
    return position;
}

/* ---- Running it ---- */

/* n elements of an item from `at` on; slots that need it are filled before their first update. */
static tread_update part_of(const tread_optimizer *optimizer, const tread_param_group *group,
                            const tread_optimizer_item *item, int64_t at, int64_t n, bool start) {
    tread_update u = {.n = n, .x = item->x + at, .scale = item->scale};
    u.g = item->g == zeros ? zeros : item->g + at;
    for (int s = 0; s < optimizer->type->n_slots; s++) {
        if (group->memory.slots[s] == NULL)
            continue;
        u.slots[s] = group->memory.slots[s] + item->offset + at;
        if (start && optimizer->type->slots[s].starts_as_parameter && item->starting >> s & 1)
            memcpy(u.slots[s], u.x, (size_t)n * sizeof(float));
    }
    return u;
}

static size_t group_of(const tread_optimizer *optimizer, size_t item) {
    int64_t next;
    TREAD_FIND_FIRST(next, optimizer->n_groups, g, optimizer->groups[g].first > item);
    return (size_t)next - 1;
}

/* The last item that begins at or before `at` in the element space; the one that holds it. */
static size_t item_at(const tread_optimizer *optimizer, int64_t at) {
    int64_t next;
    TREAD_FIND_FIRST(next, optimizer->n_items, i, optimizer->items[i].position > at);
    return (size_t)next - 1;
}

/* What to do with each part; a mode switch differs from a step in this alone. */
typedef struct pass {
    const tread_optimizer *optimizer;
    bool is_switch, training;
} pass;

/* A model's parameters lie one after the other, and so do their gradients and slots: what shares its factors is then
 * one array. Returns the elements from item i on that are, and in ret_next the first item after them. */
static int64_t joined(const tread_optimizer *optimizer, size_t i, size_t group_end, size_t *ret_next) {
    const tread_optimizer_item *item = &optimizer->items[i], *next = item + 1;
    const tread_optimizer_item *stop = &optimizer->items[group_end];
    int64_t n = item->n;
    for (; next < stop && next->g == item->g + n && next->factors == item->factors && !next->whole; next++) {
        if (n % TREAD_LINE_FLOATS != 0 || next->rows != NULL || next->x != item->x + n || item->g == zeros ||
            next->starting != item->starting)
            break;
        n += next->n;
    }
    *ret_next = (size_t)(next - optimizer->items);
    return n;
}

/* A row of a large table is not in the cache, and no hardware foresees which comes next: measured, Adam takes 35 us for
 * 256 rows of 64 floats without this, and 13 with it. What follows the first floats of a row the hardware sees coming.
 */
#define ROWS_AHEAD 8
#define FLOATS_AHEAD 64
static void fetch_row(const tread_update *whole, int64_t at, int64_t size) {
    for (int64_t i = at; i < at + (size < FLOATS_AHEAD ? size : FLOATS_AHEAD); i += TREAD_LINE_FLOATS) {
        __builtin_prefetch(whole->x + i, 1);
        for (int s = 0; s < TREAD_MAX_SLOTS; s++)
            if (whole->slots[s] != NULL)
                __builtin_prefetch(whole->slots[s] + i, 1);
    }
}

/* Entries [from, to) of a sparse gradient; rows that are neighbours in the parameter too are updated in one go. */
static void update_rows(const tread_optimizer *optimizer, const tread_param_group *group,
                        const tread_optimizer_item *item, int64_t from, int64_t to) {
    const int64_t size = item->rows->row_size;
    const int32_t *indices = item->rows->indices;
    const tread_update whole = part_of(optimizer, group, item, 0, 0, false);
    for (int64_t at = from, n; at < to; at += n) {
        const int64_t first = at / size, stop = to - at < BLOCK ? to : at + BLOCK;
        int64_t next = first + 1;
        while (next * size < stop && indices[next] == indices[next - 1] + 1)
            next++;
        n = (next * size < stop ? next * size : stop) - at;
        if (first + ROWS_AHEAD < item->rows->n_rows)
            fetch_row(&whole, indices[first + ROWS_AHEAD] * size, size);
        const int64_t x_at = indices[first] * size + (at - first * size);
        tread_update u = {.n = n, .x = whole.x + x_at, .g = whole.g + at, .scale = whole.scale};
        for (int s = 0; s < TREAD_MAX_SLOTS; s++)
            u.slots[s] = whole.slots[s] != NULL ? whole.slots[s] + x_at : NULL;
        optimizer->type->update(item->factors, &u);
    }
}

static void update_elements(void *argument, int64_t begin, int64_t end) {
    const pass *p = argument;
    const tread_optimizer *optimizer = p->optimizer;
    const tread_optimizer_type *type = optimizer->type;
    size_t i = item_at(optimizer, begin), g = group_of(optimizer, i);
    for (size_t next; i < optimizer->n_items && optimizer->items[i].position < end; i = next) {
        const tread_optimizer_item *item = &optimizer->items[i];
        while (i >= optimizer->groups[g].first + optimizer->groups[g].count)
            g++;
        next = i + 1;
        if (item->g == NULL || item->whole)
            continue;
        int64_t n = item->rows != NULL
                        ? entries_of(item)
                        : joined(optimizer, i, optimizer->groups[g].first + optimizer->groups[g].count, &next);
        int64_t from = begin > item->position ? begin - item->position : 0;
        int64_t to = end - item->position < n ? end - item->position : n;
        if (item->rows != NULL) {
            update_rows(optimizer, &optimizer->groups[g], item, from, to);
            continue;
        }
        for (int64_t at = from; at < to; at += BLOCK) {
            tread_update u = part_of(optimizer, &optimizer->groups[g], item, at, to - at < BLOCK ? to - at : BLOCK,
                                     !p->is_switch && type->reduce == NULL);
            if (p->is_switch)
                type->set_training(item->factors, &u, p->training);
            else
                type->update(item->factors, &u);
        }
    }
}

static void reduce_chunks(void *argument, int64_t begin, int64_t end) {
    const tread_optimizer *optimizer = argument;
    const tread_optimizer_type *type = optimizer->type;
    for (int64_t chunk = begin; chunk < end; chunk++) {
        size_t i = tread_leaf_of_chunk(&optimizer->leaves, chunk);
        const tread_optimizer_item *item = &optimizer->items[i];
        const tread_param_group *group = &optimizer->groups[group_of(optimizer, i)];
        double *sums = optimizer->leaves.partial_sums + chunk * type->n_sums;
        int64_t size = tread_chunk_size(item->n), at = (chunk - optimizer->leaves.items[i].first_chunk) * size;
        int64_t stop = at + size < item->n ? at + size : item->n;
        memset(sums, 0, (size_t)type->n_sums * sizeof *sums);
        for (; at < stop && item->g != NULL && !item->whole; at += BLOCK) {
            tread_update u = part_of(optimizer, group, item, at, stop - at < BLOCK ? stop - at : BLOCK, true);
            type->reduce(item->factors, &u, sums);
        }
    }
}

static void reduce_all(tread_optimizer *optimizer, int64_t total) {
    const tread_optimizer_type *type = optimizer->type;
    tread_parallel_for(optimizer->context, optimizer->leaves.n_chunks,
                       total < 2 * GRAIN ? optimizer->leaves.n_chunks : 1, 1, reduce_chunks, optimizer);
    for (size_t i = 0; i < optimizer->n_items; i++) {
        tread_optimizer_item *item = &optimizer->items[i];
        if (item->g == NULL || item->whole)
            continue;
        double sums[TREAD_MAX_SUMS] = {0};
        for (int64_t chunk = 0; chunk < tread_chunk_count(item->n); chunk++)
            for (int s = 0; s < type->n_sums; s++)
                sums[s] +=
                    optimizer->leaves.partial_sums[(optimizer->leaves.items[i].first_chunk + chunk) * type->n_sums + s];
        type->reduced(optimizer->groups[group_of(optimizer, i)].options, sums, item->factors);
    }
}

/* The parameters that are updated as a whole; first their directions, which may fail, then the updates. */
static tread_status update_whole(tread_optimizer *optimizer, bool directions) {
    const tread_optimizer_type *type = optimizer->type;
    for (size_t i = 0; i < optimizer->n_items; i++) {
        tread_optimizer_item *item = &optimizer->items[i];
        if (!item->whole || item->g == NULL)
            continue;
        tread_tensor *x = &item->parameter->tensor;
        item->g = tread_tensor_grad(x)->data; /* zeros are written out: one block of them is not enough here */
        const tread_param_group *group = &optimizer->groups[group_of(optimizer, i)];
        tread_update u = part_of(optimizer, group, item, 0, item->n, directions || type->find_direction == NULL);
        if (directions)
            TREAD_TRY(type->find_direction(item->factors, &u, item->workspace));
        else
            type->whole_tensor(item->factors, &u, x, item->workspace);
    }
    return TREAD_OK;
}

static void undo_plan(tread_optimizer *optimizer) {
    for (size_t i = 0; i < optimizer->n_items; i++)
        if (optimizer->items[i].g != NULL)
            optimizer->items[i].progress = optimizer->items[i].before;
}

static tread_status apply(tread_optimizer *optimizer) {
    const tread_optimizer_type *type = optimizer->type;
    int64_t total = plan_step(optimizer);
    if (type->find_direction != NULL) {
        tread_status status = update_whole(optimizer, true);
        if (status != TREAD_OK) {
            undo_plan(optimizer);
            return status;
        }
    }
    /* Nothing can fail from here on. */
    for (size_t i = 0; i < optimizer->n_items; i++)
        if (optimizer->items[i].g != NULL)
            tread_tensor_touch(&optimizer->items[i].parameter->tensor);
    for (size_t g = 0; g < optimizer->n_groups; g++)
        optimizer->groups[g].clip = 1;
    if (type->reduce != NULL)
        reduce_all(optimizer, total);
    if (type->update != NULL)
        tread_parallel_for(optimizer->context, total, GRAIN, ALIGN, update_elements, &(pass){.optimizer = optimizer});
    if (type->whole_tensor != NULL)
        return update_whole(optimizer, false);
    return TREAD_OK;
}

tread_status tread_optimizer_evaluate(tread_optimizer *optimizer, tread_closure *closure, double *ret_loss) {
    double loss = 0;
    optimizer->closure_calls++;
    TREAD_TRY(closure->evaluate(closure->data, &loss));
    TREAD_TRY(tread_optimizer_check_sparse(optimizer));
    *ret_loss = loss;
    return TREAD_OK;
}

/* What a fused clip left from before the step is of gradients that the closure computes anew. */
static tread_status solve(tread_optimizer *optimizer, tread_closure *closure) {
    if (closure == NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: a step needs a closure", optimizer->type->table.name);
    optimizer->groups[0].clip = 1;
    optimizer->solving = true;
    const tread_time_span_key key = {.name = optimizer->type->table.name, .phase = TREAD_TRACE_OTHER};
    const tread_time_span span = tread_time_span_within(optimizer->context, &key);
    tread_status status = optimizer->type->solve(optimizer, optimizer->solver, closure);
    tread_time_span_end(optimizer->context, span, (tread_cost){0});
    optimizer->solving = false;
    for (size_t i = 0; i < optimizer->n_items && status == TREAD_OK && !optimizer->skipped; i++)
        optimizer->items[i].progress.step++;
    return status;
}

tread_status tread_optimizer_step(tread_optimizer *optimizer, tread_closure *closure) {
    TREAD_REFUSE_NULL("optimizer step", optimizer);
    const tread_optimizer_type *type = optimizer->type;
    if (optimizer->evaluating)
        return tread_fail(TREAD_ERROR_STATE, "%s: a step in evaluation mode; call tread_optimizer_set_training first",
                          type->table.name);
    if (closure != NULL && closure->evaluate == NULL)
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: the closure's evaluate is NULL", type->table.name);
    if (optimizer->solving)
        return tread_fail(TREAD_ERROR_STATE, "%s: a step within a step", type->table.name);
    optimizer->closure_calls = 0;
    if (type->solve != NULL)
        return solve(optimizer, closure);
    double loss = 0;
    TREAD_TRY(closure != NULL ? tread_optimizer_evaluate(optimizer, closure, &loss)
                              : tread_optimizer_check_sparse(optimizer));
    tread_status status = TREAD_OK;
    optimizer->skipped = optimizer->skip_next;
    optimizer->skip_next = false;
    if (!optimizer->skipped) {
        const tread_time_span_key key = {.name = type->table.name, .phase = TREAD_TRACE_OTHER};
        const tread_time_span span = tread_time_span_begin(optimizer->context, &key);
        status = apply(optimizer);
        tread_time_span_end(optimizer->context, span, (tread_cost){0});
    }
    if (closure != NULL && status == TREAD_OK)
        closure->loss = loss;
    return status;
}

bool tread_optimizer_step_skipped(const tread_optimizer *optimizer) {
    return optimizer != NULL ? optimizer->skipped : false;
}

int64_t tread_optimizer_closure_calls(const tread_optimizer *optimizer) {
    return optimizer != NULL ? optimizer->closure_calls : 0;
}

void tread_optimizer_zero_grad(tread_optimizer *optimizer, bool set_to_none) {
    if (optimizer == NULL)
        return;
    for (size_t i = 0; i < optimizer->n_items; i++)
        tread_tensor_zero_grad(&optimizer->items[i].parameter->tensor, set_to_none);
    optimizer->skip_next = false; /* what was clipped is gone */
    for (size_t g = 0; g < optimizer->n_groups; g++)
        optimizer->groups[g].clip = 1;
}

void tread_optimizer_touch(tread_optimizer *optimizer) {
    for (size_t i = 0; i < optimizer->n_items; i++)
        tread_tensor_touch(&optimizer->items[i].parameter->tensor);
}

/* Parameters that were never updated are the same in both modes. */
tread_status tread_optimizer_set_training(tread_optimizer *optimizer, bool training) {
    TREAD_REFUSE_NULL("optimizer set training", optimizer);
    if (optimizer->type->set_training == NULL || optimizer->evaluating != training)
        return TREAD_OK;
    planner p = {.optimizer = optimizer};
    int64_t position = 0;
    for (size_t g = 0; g < optimizer->n_groups; g++) {
        p.group = &optimizer->groups[g];
        p.n_made = 0;
        for (size_t i = p.group->first; i < p.group->first + p.group->count; i++) {
            tread_optimizer_item *item = &optimizer->items[i];
            tread_progress kept = item->progress;
            item->position = position;
            item->g = NULL;
            item->rows = NULL;
            if (kept.step == 0)
                continue;
            item->x = item->parameter->tensor.data;
            item->g = zeros;
            prepare(&p, item); /* for the factors alone */
            item->progress = kept;
            tread_tensor_touch(&item->parameter->tensor);
            position += tread_line_padded(item->n);
        }
    }
    tread_parallel_for(optimizer->context, position, GRAIN, ALIGN, update_elements,
                       &(pass){.optimizer = optimizer, .is_switch = true, .training = training});
    optimizer->evaluating = !training;
    return TREAD_OK;
}

bool tread_optimizer_is_training(const tread_optimizer *optimizer) {
    return optimizer != NULL && !optimizer->evaluating;
}
