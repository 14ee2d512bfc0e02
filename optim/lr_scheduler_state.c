#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "optim/lr_function.h"
#include "optim/lr_inner.h"
#include "optim/optimizer.h"

/* On a metric the lr that is there, which goes into the next one; so optimizer and scheduler may be loaded in any
 * order.
 */
static double last_lr(const tread_lr_scheduler *scheduler, size_t g) {
    return g < scheduler->n_lrs && scheduler->type->lr_on_metric == NULL ? scheduler->lrs[g]
                                                                         : tread_optimizer_lr(scheduler->optimizer, g);
}
static double base_lr(const tread_lr_scheduler *scheduler, size_t g) {
    return scheduler->optimizer->groups[g].initial_lr;
}

static tread_status add_lrs(tread_state *root, const char *name, const tread_lr_scheduler *scheduler,
                            double (*lr_of)(const tread_lr_scheduler *, size_t)) {
    tread_state *list = tread_state_add_list(root, name);
    if (list == NULL)
        return TREAD_ERROR_MEMORY;
    for (size_t g = 0; g < scheduler->optimizer->n_groups; g++)
        TREAD_TRY(tread_state_add_real(list, NULL, lr_of(scheduler, g)));
    return TREAD_OK;
}

static tread_status fill(const tread_lr_scheduler *scheduler, tread_state *root) {
    TREAD_TRY(tread_lr_scheduler_check_optimizer(scheduler));
    TREAD_TRY(tread_state_add_string(root, "algorithm", scheduler->type->table.name));
    TREAD_TRY(tread_state_add_integer(root, "last_step", scheduler->last_step));
    tread_state *options = tread_state_add_tree(root, "options");
    if (options == NULL)
        return TREAD_ERROR_MEMORY;
    TREAD_TRY(tread_fields_to_state(&scheduler->type->table, scheduler->options, options));
    TREAD_TRY(add_lrs(root, "last_lr", scheduler, last_lr));
    if (scheduler->type->lr_on_metric == NULL)
        return add_lrs(root, "base_lrs", scheduler, base_lr);
    tread_state *memory = tread_state_add_tree(root, "memory");
    return memory == NULL ? TREAD_ERROR_MEMORY
                          : tread_fields_to_state(scheduler->type->memory, scheduler->memory, memory);
}

tread_state *tread_lr_scheduler_state_dict(const tread_lr_scheduler *scheduler) {
    if (scheduler == NULL)
        return tread_fail_null(TREAD_ERROR_ARGUMENT, "lr scheduler state dict: the scheduler is NULL");
    tread_state *root = tread_state_create();
    if (root != NULL && fill(scheduler, root) != TREAD_OK) {
        tread_state_destroy(root);
        root = NULL;
    }
    return root;
}

/* ---- Loading ---- */

/* What is loaded, before it replaces anything. */
typedef struct loaded {
    int64_t last_step;
    void *options, *memory;
    double *bases, *lrs;          /* one per group */
    tread_context_load *contexts; /* of functions in options */
    size_t n_contexts;
} loaded;

static void free_loaded(const tread_lr_scheduler *scheduler, loaded *in) {
    tread_fields_free(&scheduler->type->table, in->options);
    if (in->memory != NULL)
        tread_fields_free(scheduler->type->memory, in->memory);
    tread_free(in->bases);
    tread_free(in->lrs);
    tread_context_loads_free(in->contexts, in->n_contexts);
}

static tread_status make_loaded(const tread_lr_scheduler *scheduler, loaded *in) {
    size_t n = scheduler->optimizer->n_groups;
    TREAD_TRY(tread_fields_copy(&scheduler->type->table, scheduler->options, &in->options));
    if (scheduler->type->lr_on_metric != NULL)
        TREAD_TRY(tread_fields_copy(scheduler->type->memory, scheduler->memory, &in->memory));
    in->bases = tread_alloc(n * sizeof *in->bases, "learning rates");
    in->lrs = in->bases == NULL ? NULL : tread_alloc(n * sizeof *in->lrs, "learning rates");
    return in->lrs == NULL ? TREAD_ERROR_MEMORY : TREAD_OK;
}

static void read_lrs(const tread_state *root, const char *name, size_t n, double *ret_lrs, tread_report *report) {
    const tread_state *list;
    if (tread_state_get(root, name, TREAD_STATE_LIST, &list) != TREAD_OK) {
        tread_report_part(report, "%s", tread_last_error());
        return;
    }
    if (tread_state_count(list) != n)
        tread_report_part(report, "%s has %zu groups, not %zu", name, tread_state_count(list), n);
    for (size_t g = 0; g < n && g < tread_state_count(list); g++)
        if (tread_state_as_real(tread_state_at(list, g), &ret_lrs[g]) != TREAD_OK || !tread_is_lr(ret_lrs[g]))
            tread_report_part(report, "%s[%zu] is no number in [0, inf)", name, g);
}

static tread_status read_fields(const tread_field_table *table, void *fields, const tread_state *root, const char *name,
                                tread_report *report) {
    const tread_state *tree;
    if (tread_state_get(root, name, TREAD_STATE_TREE, &tree) == TREAD_OK)
        return tread_fields_from_state(table, fields, tree, NULL, name, report);
    tread_report_part(report, "%s", tread_last_error());
    return TREAD_OK;
}

static tread_status read_all(const tread_lr_scheduler *scheduler, const tread_state *root, loaded *in,
                             tread_report *report) {
    const tread_lr_scheduler_type *type = scheduler->type;
    const char *algorithm;
    size_t n = scheduler->optimizer->n_groups;
    if (tread_state_get_string(root, "algorithm", &algorithm) != TREAD_OK) {
        tread_report_part(report, "%s", tread_last_error());
        return TREAD_OK;
    }
    if (strcmp(algorithm, type->table.name) != 0) {
        tread_report_part(report, "it is of %s", algorithm);
        read_lrs(root, "last_lr", n, in->lrs, report);
        return TREAD_OK;
    }
    if (tread_state_get_integer(root, "last_step", &in->last_step) != TREAD_OK)
        tread_report_part(report, "%s", tread_last_error());
    else if (in->last_step < 0 || (double)in->last_step > TREAD_LARGEST_INTEGER)
        tread_report_part(report, "last_step = %lld is %s", (long long)in->last_step,
                          in->last_step < 0 ? "negative" : "more than 2^53");
    read_lrs(root, "last_lr", n, in->lrs, report);
    const char *const own = type->lr_on_metric != NULL ? "memory" : "base_lrs";
    tread_report_surplus(root, (const char *[]){"algorithm", "last_step", "options", "last_lr", own, NULL},
                         type->table.name, report);
    TREAD_TRY(read_fields(&type->table, in->options, root, "options", report));
    if (type->lr_on_metric != NULL)
        TREAD_TRY(read_fields(type->memory, in->memory, root, "memory", report));
    else
        read_lrs(root, "base_lrs", n, in->bases, report);
    if (report->n_parts == 0 && tread_inner_fit_groups(&type->table, in->options, n, TREAD_ERROR_FORMAT) != TREAD_OK)
        tread_report_part(report, "%s", tread_last_error());
    if (tread_lr_scheduler_check_momentum(scheduler->optimizer, &type->table, in->options) != TREAD_OK)
        tread_report_part(report, "%s", tread_last_error());
    return TREAD_OK;
}

/* What needs the contexts in place: the lr at the loaded step, and the momentum. */
static tread_status apply(tread_lr_scheduler *scheduler, loaded *in) {
    const tread_lr_scheduler_type *type = scheduler->type;
    for (size_t g = 0; g < scheduler->n_lrs && type->lr != NULL; g++) {
        in->lrs[g] = type->lr(in->options, in->bases[g], in->last_step, g);
        char number[TREAD_NUMBER_TEXT];
        if (!tread_is_lr(in->lrs[g]))
            return tread_fail(TREAD_ERROR_FORMAT, "%s: the state does not fit: lr of group %zu at step %lld is %s",
                              type->table.name, g, (long long)in->last_step, tread_number_text(number, in->lrs[g]));
    }
    return tread_lr_scheduler_write_momentum(scheduler, in->options, in->last_step);
}

static tread_status load_contexts(const tread_lr_scheduler *scheduler, const tread_state *root, loaded *in) {
    const tread_field_table *table = &scheduler->type->table;
    const tread_state *options = tread_state_find(root, "options");
    size_t n = tread_context_loads(table, in->options, options, NULL);
    if (n == 0)
        return TREAD_OK;
    in->contexts = tread_calloc(n, sizeof *in->contexts, "contexts of functions");
    if (in->contexts == NULL)
        return TREAD_ERROR_MEMORY;
    in->n_contexts = tread_context_loads(table, in->options, options, in->contexts);
    return tread_contexts_load(in->contexts, n);
}

static tread_status load(tread_lr_scheduler *scheduler, const tread_state *state, loaded *in) {
    tread_report report = {.length = 0};
    TREAD_TRY(make_loaded(scheduler, in));
    TREAD_TRY(read_all(scheduler, state, in, &report));
    if (report.n_parts > 0)
        return tread_fail(TREAD_ERROR_FORMAT, "%s: the state does not fit, %zu difference%s: %s",
                          scheduler->type->table.name, report.n_parts, report.n_parts == 1 ? "" : "s", report.text);
    TREAD_TRY(tread_lr_scheduler_fit_groups(scheduler));
    TREAD_TRY(load_contexts(scheduler, state, in));
    tread_status status = apply(scheduler, in);
    if (status != TREAD_OK)
        tread_contexts_put_back(in->contexts, in->n_contexts);
    return status;
}

tread_status tread_lr_scheduler_load_state_dict(tread_lr_scheduler *scheduler, const tread_state *state) {
    TREAD_REFUSE_NULL("lr scheduler load state dict", scheduler);
    TREAD_REFUSE_NULL("lr scheduler load state dict", state);
    TREAD_TRY(tread_lr_scheduler_check_optimizer(scheduler));
    loaded in = {0};
    tread_status status = load(scheduler, state, &in);
    if (status == TREAD_OK) {
        void *options = scheduler->options, *memory = scheduler->memory;
        tread_inner_exchange(&scheduler->type->table, options, in.options);
        scheduler->options = in.options;
        scheduler->memory = in.memory;
        in.options = options;
        in.memory = memory;
        scheduler->last_step = in.last_step;
        for (size_t g = 0; g < scheduler->n_lrs; g++) {
            if (scheduler->type->lr_on_metric == NULL)
                scheduler->optimizer->groups[g].initial_lr = in.bases[g];
            scheduler->lrs[scheduler->n_lrs + g] = in.lrs[g];
        }
        tread_lr_scheduler_write(scheduler);
    }
    free_loaded(scheduler, &in);
    return status;
}
